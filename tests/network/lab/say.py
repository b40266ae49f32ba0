"""What the lab's shell says to the lab: `on NAME [ipv4|ipv6]`, `off NAME`, `clear`, and `faults`, the list of them."""

from __future__ import annotations

import sys

from tests.network.lab import control
from tests.network.lab.faults import FAULTS

_USAGE = "usage: fault NAME [ipv4|ipv6]   nofault NAME   clear   faults"


def main(words: list[str]) -> int:
    """0, or 2 with a sentence on stderr where the lab refuses."""
    try:
        match words:
            case ["faults"]:
                for fault in FAULTS.values():
                    print(f"{fault.name:28} {fault.signature}  {fault.says}")
                return 0
            case ["on", name, *families]:
                chosen = {"families": families} if families else {}
                answer = control.ask({"fault": name, "on": True, **chosen})
            case ["off", name]:
                answer = control.ask({"fault": name, "on": False})
            case ["clear"]:
                answer = control.ask({"clear": True})
            case _:
                print(_USAGE, file=sys.stderr)
                return 2
    except (RuntimeError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"on: {' '.join(answer['on']) or 'nothing'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
