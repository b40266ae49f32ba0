"""The lab as a child process: `python -m prober.lab` speaks JSON lines on stdin and stdout, and logs to stderr.

First it prints `{"ready": true, …}`. Then each line `{"fault": NAME, "on": BOOL}` is answered by the same, or by
`{"error": …}`. It ends at the end of stdin, so it never outlives its parent, and at SIGTERM or SIGINT.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from prober.lab.faults import FAULTS
from prober.lab.lab import Lab

_STDIN = 0


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _ready(lab: Lab) -> dict[str, Any]:
    state = lab.faults
    faults = [
        {"name": fault.name, "says": fault.says, "layer": fault.layer, "reason": fault.reason, "on": state[fault.name]}
        for fault in FAULTS.values()
    ]
    return {
        "ready": True,
        "config_path": str(lab.config_path),
        "config_text": lab.config_text,
        "faults": faults,
        "unavailable": dict(lab.unavailable),
        "kubernetes": {
            "host": "127.0.0.1",
            "port": lab.ports.api,
            "token_file": str(lab.token_file),
            "ca_file": str(lab.ca_file),
        },
    }


async def _obey(lab: Lab, line: bytes) -> dict[str, Any]:
    """The answer to one command."""
    try:
        command = json.loads(line)
        name, on = command["fault"], command["on"]
        if not isinstance(name, str) or not isinstance(on, bool):
            raise TypeError("fault has to be a name, on has to be true or false")
    except (ValueError, TypeError, KeyError) as error:
        return {"error": f"not a command: {error}"}
    try:
        await lab.set_fault(name, on)
    except KeyError as error:
        return {"error": error.args[0], "unknown": name}
    except RuntimeError as error:
        return {"error": str(error)}
    return {"fault": name, "on": on}


def _read_lines(loop: asyncio.AbstractEventLoop, lines: asyncio.Queue[bytes | None]) -> None:
    """Read stdin in a thread of its own: unlike asyncio's pipes that works for files and terminals too."""

    def put(line: bytes | None) -> None:
        with suppress(RuntimeError):  # the loop has ended already, through a signal
            loop.call_soon_threadsafe(lines.put_nowait, line)

    rest = b""
    while data := os.read(_STDIN, 65536):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            put(line)
    put(None)


async def main() -> None:
    """Run the lab until stdin ends or a signal comes."""
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes | None] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lines.put_nowait, None)
    async with Lab() as lab:
        _say(_ready(lab))
        # a daemon: a signal has to end the process though stdin stays open
        threading.Thread(target=_read_lines, args=(loop, lines), daemon=True).start()
        while (line := await lines.get()) is not None:
            if line.strip():
                _say(await _obey(lab, line))


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="lab: %(levelname)s %(message)s")
    asyncio.run(main())
