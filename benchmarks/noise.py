"""Noise: what a cell reports on an idle loopback, beside what the kernel and ping(8) say of the same loopback.

tcp: the climb's connect and, in turn with it, a bare blocking connect to the same listener, read by TCP_INFO. icmp: the
climb's echo, and as many of ping's, at the same pace. One after the other, on one core, nothing else going on; times in
µs, p50 / p99.

Run: `python benchmarks/noise.py [--runs N]`; 25 s.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import shutil
import socket
import struct
import subprocess

from benchmarks._far import listen_on_many
from benchmarks._goals import Goals, percentile, show_table
from benchmarks._late import LOOPBACK
from benchmarks._machine import cores, pin, say_machine
from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Cell, Endpoint
from prober.reasons import Family, Kind
from prober.wire.stamps import StampKeeper

#: Seconds between two runs.
PAUSE = 0.005
#: How many times the kernel's own p99 the reported one may be.
GOAL = 2.0
_RTT = struct.Struct("=8B24I")  # struct tcp_info up to tcpi_total_retrans, linux/tcp.h
_PING = re.compile(r"time=([\d.]+) ms")


def bare_connect(port: int) -> float:
    """The kernel's round trip of the SYN, in µs, of a connect without any event loop around it."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT.size)
        return float(_RTT.unpack(info)[8 + 15])


def ping(address: str, runs: int) -> list[float]:
    """Round trips in µs, by ping."""
    command = ["ping", "-n", "-i", str(PAUSE), "-c", str(runs), address]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [float(found) * 1e3 for found in _PING.findall(done.stdout)]


async def reported(cell: Cell, runs: int, port: int | None = None) -> tuple[list[float], list[float]]:
    """What climbs report, in µs; and the bare connects between them, if there is a port."""
    kit, ours, bare = Kit(), [], []
    kit.get(StampKeeper)
    await climb(cell, kit)
    for _ in range(runs):
        await asyncio.sleep(PAUSE)
        (run,) = await climb(cell, kit)
        if not run.ok:
            raise SystemExit(f"{cell.id}: {run.outcomes}")
        ours.append((run.outcomes[-1].seconds or 0.0) * 1e6)
        if port is not None:
            await asyncio.sleep(PAUSE)  # caches are as cold for it as for the climb
            bare.append(bare_connect(port))
    await kit.close()
    return ours, bare


def main() -> None:
    """Both layers; icmp in both families."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="of each")
    runs = parser.parse_args().runs
    say_machine("icmplib")
    at, goals, rows = cores(), Goals(), []
    pin(at.near)

    def compare(name: str, ours: list[float], theirs: list[float], whose: str) -> None:
        shown = [f"{percentile(of, 0.5):.0f} / {percentile(of, 0.99):.0f}" for of in (ours, theirs)]
        rows.append([name, *shown, whose, str(len(ours))])
        goals.add(
            f"{name}, reported p99 as a multiple of {whose}", percentile(ours, 0.99) / percentile(theirs, 0.99), GOAL
        )

    with listen_on_many(at.far) as (port, *_):
        cell = Cell("noise", Kind.TCP, "loopback", "idle", Family.IPV4, Endpoint("tcp", "127.0.0.1", port), 10, 5)
        compare("tcp", *asyncio.run(reported(cell, runs, port)), "TCP_INFO's")
    for family, address in LOOPBACK.items():
        if shutil.which("ping") is None or not (theirs := ping(address, runs)):
            goals.unknown(f"icmp over {family}", "no ping here")
            continue
        cell = Cell("noise", Kind.ICMP, "loopback", "idle", family, Endpoint("icmp", address, 0), 10, 5)
        ours, _ = asyncio.run(reported(cell, runs))
        compare(f"icmp over {family}", ours, theirs, "ping's")
    show_table(["layer", "reported", "baseline", "whose", "runs"], rows)
    goals.show()


if __name__ == "__main__":
    main()
