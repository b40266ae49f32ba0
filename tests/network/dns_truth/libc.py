"""The C library's side: getaddrinfo in a process of its own for each case, with an /etc of its own. No thread here.

Run as a program: reads one JSON list of `{"number", "name", "types", "resolv_conf", "hostname"}` from standard input
and prints a JSON line for each as it ends. The argument: a program linked with musl (`musl_getaddrinfo.c`); without it
the C library of this Python is asked.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from prober.wire.dns.eai import ENDLESS, NUMBERS

#: Calls at the same time: nearly all of them wait.
AT_ONCE = 96
#: Seconds after which a call counts as one that never returns; the machine knows sooner.
PATIENCE = 9.0
_NEWNS, _NEWUTS, _MS_PRIVATE, _MS_REC = 0x00020000, 0x04000000, 1 << 18, 1 << 14
_FAMILIES = {("A",): socket.AF_INET, ("AAAA",): socket.AF_INET6}
_libc = ctypes.CDLL(None, use_errno=True)


def _must(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _settle(job: dict[str, Any]) -> None:
    """A mount and a UTS namespace for this process alone: an /etc with nothing but what the case says."""
    _must(_libc.unshare(_NEWNS | _NEWUTS))
    _must(_libc.mount(b"etc", b"/etc", b"tmpfs", ctypes.c_ulong(0), None))
    socket.sethostname(job["hostname"])
    for name, text in (("resolv.conf", job["resolv_conf"]), ("nsswitch.conf", "hosts: dns\n"), ("hosts", "")):
        with open(f"/etc/{name}", "w", encoding="ascii") as file:  # noqa: PTH123 - nothing more is loaded here
            file.write(text)


def _ask(name: bytes, family: int) -> str:
    """getaddrinfo of this Python's C library, told as `musl_getaddrinfo.c` does."""
    try:
        found = socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM)
    except socket.gaierror as error:
        return str(error.errno)
    return " ".join(["0", *(one[4][0] for one in found)])


def _start(job: dict[str, Any], program: str | None) -> tuple[int, int]:
    """A child for the case; its process id and the end of the pipe that it writes to."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    status = 1
    try:
        os.close(reader)
        _settle(job)
        family = _FAMILIES.get(tuple(job["types"]), socket.AF_UNSPEC)
        if program is not None:
            os.dup2(writer, 1)
            os.execv(program, [program, job["name"], str(int(family))])
        os.write(writer, _ask(job["name"].encode(), family).encode())
        status = 0
    finally:
        os._exit(status)


def _result(said: str) -> dict[str, Any]:
    if not said:
        return {"error": ENDLESS, "addresses": []}
    code, *addresses = said.split()
    return {"error": NUMBERS.get(int(code), code) if int(code) else None, "addresses": addresses}


def started(jobs: Sequence[Mapping[str, Any]], program: str | None) -> subprocess.Popen[str]:
    """This very program at work on `jobs`; its output is to be read by `communicate` and `returned`."""
    command = [sys.executable, "-m", __spec__.name, *filter(None, [program])]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stdin is not None
    json.dump(jobs, running.stdin)
    running.stdin.close()
    running.stdin = None
    return running


def returned(running: subprocess.Popen[str]) -> dict[int, dict[str, Any]]:
    """What each call of `started` returned: `error`, and `addresses` in their order. RuntimeError: it failed itself."""
    lines, _ = running.communicate()
    if running.returncode:
        raise RuntimeError(f"the C library's side ended with status {running.returncode}")
    return {told.pop("number"): told for told in map(json.loads, lines.splitlines())}


def main(program: str | None = None) -> None:
    """Work the list off, `AT_ONCE` at a time."""
    _must(_libc.unshare(_NEWNS))
    _must(_libc.mount(None, b"/", None, ctypes.c_ulong(_MS_PRIVATE | _MS_REC), None))
    jobs = json.load(sys.stdin)
    running: dict[int, tuple[int, int, float]] = {}
    while jobs or running:
        while jobs and len(running) < AT_ONCE:
            job = jobs.pop(0)
            child, reader = _start(job, program)
            running[reader] = (job["number"], child, time.monotonic())
        readable, _, _ = select.select(list(running), [], [], 0.2)
        for reader, (number, child, began) in list(running.items()):
            late = time.monotonic() - began > PATIENCE
            if reader in readable or late:
                if late:
                    os.kill(child, signal.SIGKILL)
                said = "" if late and reader not in readable else os.read(reader, 65536).decode()
                os.close(reader)
                os.waitpid(child, 0)
                del running[reader]
                print(json.dumps({"number": number, **_result(said)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
