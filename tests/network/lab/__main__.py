"""`python -m tests.network.lab`: the lab, and a shell in its vantage (`make lab`); with `--serve` for the tests.

Both ways it first runs itself again in namespaces of its own. It ends with its shell, or with its input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import threading
from contextlib import suppress

from tests.network.lab import control, isolation, plan
from tests.network.lab.faults import FAULTS, unknown
from tests.network.lab.lab import Lab
from tests.network.lab.plan import VANTAGE

_STDIN = 0


def main() -> int:
    """Run the lab until its shell or its input ends; 3 where this machine cannot have one, 2 for an unknown fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.network.lab", description=__doc__.splitlines()[0])
    parser.add_argument("--serve", action="store_true", help="no shell: ready on stdout, ends at the end of stdin")
    parser.add_argument("--fault", help="switch this fault on")
    args = parser.parse_args()
    if not isolation.is_inside():
        if (reason := isolation.why_not()) is not None:
            print(f"no lab here: {reason}", file=sys.stderr)
            return 3
        if args.fault is not None and args.fault not in FAULTS:
            print(unknown(args.fault), file=sys.stderr)
            return 2
        isolation.enter([sys.executable, "-P", "-m", "tests.network.lab", *sys.argv[1:]])
    return asyncio.run(_serve() if args.serve else _shell(args.fault))


async def _serve() -> int:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait_for_end() -> None:
        while os.read(_STDIN, 4096):
            pass
        with suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(ended.set)

    async with Lab() as lab:
        server = await control.listen(lab.obey)
        print(json.dumps({"seconds": lab.seconds, "fronts": lab.fronts.started_in}), flush=True)
        threading.Thread(target=wait_for_end, daemon=True).start()
        await ended.wait()
        server.close()
    return 0


async def _shell(fault: str | None) -> int:
    async with Lab() as lab:
        if fault is not None:
            await lab.turn(fault, on=True)
        server = await control.listen(lab.obey)
        rc = isolation.FILES / "bashrc"
        rc.write_text(_BASHRC.format(python=sys.executable), encoding="utf-8")
        said = f"Fault on: {fault}." if fault else "No fault is on."
        print(_WELCOME.format(seconds=lab.seconds, fault=said, places=" ".join(plan.PLACES)), flush=True)
        # at a terminal a shell with a prompt; else one that reads its commands from what it is given
        how = ["--rcfile", str(rc), "-i"] if sys.stdin.isatty() else ["-s"]
        shell = await asyncio.create_subprocess_exec(
            "ip", "netns", "exec", plan.CLIENT.name, "bash", *how, env={**os.environ, **VANTAGE, "BASH_ENV": str(rc)}
        )
        status = await shell.wait()
        server.close()
    return status


_WELCOME = """\
A Kubernetes-shaped network, built in {seconds:.2f} s. {fault}
This shell is in the Pod `client` on node1; `on PLACE COMMAND…` runs a command elsewhere: {places}.
`faults` lists the faults, `fault NAME [ipv4|ipv6]` switches one on, `nofault NAME` off, `clear` all of them.
The end of this shell is the end of the network.
"""
_BASHRC = """\
PS1='lab:client$ '
on() {{ local place=$1; shift; ip netns exec "$place" "$@"; }}
prober() {{ {python} -P -m prober "$@"; }}
faults() {{ {python} -P -m tests.network.lab.say faults; }}
fault() {{ {python} -P -m tests.network.lab.say on "$@"; }}
nofault() {{ {python} -P -m tests.network.lab.say off "$@"; }}
clear() {{ {python} -P -m tests.network.lab.say clear; }}
"""


if __name__ == "__main__":
    sys.exit(main())
