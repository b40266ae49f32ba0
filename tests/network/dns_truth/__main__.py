"""`python -m tests.network.dns_truth LIBC [PROGRAM] [WORD…]`: in a network namespace of its own, prints what both did.

LIBC: `glibc`, `old musl` or `modern musl`; PROGRAM: linked with that musl, `-` for glibc. WORDs choose among the cases.
A JSON line for each case. A case that differs is tried again: ports and ids are random and may meet, and the
machine that this runs on may be busy.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.network.dns_truth.capture import Capture, events
from tests.network.dns_truth.case import LIBC, MACHINE, Case, addresses
from tests.network.dns_truth.libc import returned, started
from tests.network.dns_truth.machine import ask_all
from tests.network.dns_truth.server import serving
from tests.network.dns_truth.table import CASES

_NETWORK = """link set lo up
route add local fd53::/64 dev lo
link add d0 up type veth peer name d1
link set d1 up
address add 10.9.0.5/24 dev d0
address add fd00:9::5/64 dev d0 nodad
route add default dev d0
route add ::/0 dev d0
route add unreachable 198.18.0.0/15
"""
TRIES = 4
#: Seconds by which a query may follow the one before it sooner or later than its counterpart does.
TOLERANCE = 0.45


def settle() -> None:
    """The network: all of 127.0.0.0/8 and fd53::/64 is here, and default routes for the order of what is found."""
    subprocess.run(["ip", "-batch", "-"], input=_NETWORK, text=True, check=True)
    Path("/proc/sys/net/ipv4/tcp_syn_retries").write_text("1\n")
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("1024 65535\n")


def compare(cases: Mapping[int, Case], libc: str, program: str) -> dict[int, dict[str, Any]]:
    """What both did in each of the cases: their queries with the seconds since the first, and their results."""
    with serving(cases, (LIBC, MACHINE)):
        capture = Capture()
        running = started([_job(number, case) for number, case in cases.items()], None if program == "-" else program)
        ours = asyncio.run(ask_all(cases, libc))
        theirs = returned(running)
        packets = capture.stop()

    def side(number: int, who: int, result: Mapping[str, Any]) -> dict[str, Any]:
        where = addresses(cases[number], number, who)
        seen = sorted(packet for server in set(where) for packet in packets.get(server, ()))
        asked = events(seen, where, rotate=libc == "glibc" and "rotate" in cases[number].options)
        gaps = [round(one.at - before.at, 2) for before, one in pairwise(asked)]
        return {**result, "asked": [one.what for one in asked], "gaps": gaps}

    return {
        number: {"libc": side(number, LIBC, theirs[number]), "machine": side(number, MACHINE, ours[number])}
        for number in cases
    }


def _job(number: int, case: Case) -> dict[str, Any]:
    file = case.resolv_conf(addresses(case, number, LIBC))
    return {"number": number, "name": case.name, "types": case.types, "hostname": case.hostname, "resolv_conf": file}


def alike(found: Mapping[str, Any]) -> bool:
    """Both sides sent and returned the same, at the same times."""
    libc, machine = found["libc"], found["machine"]
    same = all(libc[key] == machine[key] for key in ("error", "addresses", "asked"))
    return same and all(abs(one - other) < TOLERANCE for one, other in zip(libc["gaps"], machine["gaps"], strict=True))


def main(libc: str, program: str, *words: str) -> None:
    """Compare, and print a line for each case."""
    settle()
    named = dict(enumerate(CASES))
    left = {
        number: CASES[name] for number, name in named.items()
        if libc not in CASES[name].apart and (not words or any(word in name for word in words))
    }  # fmt: skip
    for attempt in range(1, TRIES + 1):
        found = compare(left, libc, program)
        differ = {number: case for number, case in left.items() if not alike(found[number])}
        for number in left:
            if attempt == TRIES or number not in differ:
                print(json.dumps({"case": named[number], "alike": number not in differ, **found[number]}))
        if not (left := differ):
            break


if __name__ == "__main__":
    main(*sys.argv[1:])
