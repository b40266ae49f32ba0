"""Delay, jitter and loss for forwarded packets, where the kernel has no netem: the scheduling, and the program.

    python -m tests.network.lab.delay --delay 0.02 [--jitter S] [--loss SHARE] [--family ipv4] [--in DEV] [-- MATCH…]

It runs in the network namespace whose forwarded packets it is to hold up, as a process of its own: what measures or
serves must not share an interpreter with what has to be on time. Rules of iptables hand it the packets that are meant:
of one family or both, that come in by one interface (one direction) or any, narrowed by further matches of iptables(8).
It puts the rules up, says so, and takes them down again when its standard input ends or a signal ends it. Killed
outright it leaves rules that let everything pass (`--queue-bypass`) until it is run with `--undo`.

A line on standard input is a JSON object with new values for `delay`, `jitter` and `loss`, or with none. It is answered
by one with the `passages` since the last answer, each with what was wanted of it and what came of that (`passage.py`),
so that others can be held against what the tool really did. `waiting` are the packets that it holds, `lost` those that
have found its queue full.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import heapq
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.network.lab.nfqueue import Packet, Queue
from tests.network.lab.passage import header_of

QUEUE = 7
#: Packets that may wait at once, unless it is told otherwise, and passages that are remembered.
LENGTH, REMEMBERED = 20_000, 200_000
#: Seconds before a packet is due that are spent spinning: sleeping is not exact.
SPIN = 0.0001
#: Seconds from the kernel's stamp to this process beyond which the wall clock is not believed.
_LONGEST_AGE = 1.0
_PROGRAMS = {"ipv4": ("iptables", "ip"), "ipv6": ("ip6tables", "ip6")}
_RAW = ("-w", "-t", "raw")
_ROUTED_ON = ("-m", "addrtype", "--dst-type", "UNICAST", "-m", "addrtype", "!", "--dst-type", "LOCAL")
_PR_SET_TIMERSLACK = 29


@dataclass(frozen=True, slots=True)
class Wanted:
    """Seconds that each packet is held, give or take up to `jitter`; and the share of packets that is dropped."""

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0


@dataclass(slots=True)
class Schedule:
    """When each packet leaves. Those of one interface leave in the order in which they came."""

    wanted: Wanted
    chance: random.Random = field(default_factory=random.Random)
    _waiting: list[tuple[float, int, Packet, float]] = field(default_factory=list)
    _latest: dict[int, float] = field(default_factory=dict)
    _count: int = 0

    def add(self, packet: Packet, came: float) -> bool:
        """Let `packet` wait; False if it is to be dropped."""
        wanted = self.wanted
        if wanted.loss and self.chance.random() < wanted.loss:
            return False
        delay = wanted.delay + (self.chance.uniform(-wanted.jitter, wanted.jitter) if wanted.jitter else 0.0)
        due = max(came + max(delay, 0.0), self._latest.get(packet.interface, 0.0))
        self._latest[packet.interface] = due
        self._count += 1
        heapq.heappush(self._waiting, (due, self._count, packet, came))
        return True

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def next(self) -> float:
        """When the next one is due; infinite if none waits."""
        return self._waiting[0][0] if self._waiting else float("inf")

    def take(self) -> tuple[Packet, float, float]:
        """The next one, when it came, and when it is due."""
        due, _, packet, came = heapq.heappop(self._waiting)
        return packet, came, due


class Tool:
    """The queue, its schedule, and the memory of what was done."""

    def __init__(self, queue: Queue, wanted: Wanted, spin: float = SPIN) -> None:
        self.schedule = Schedule(wanted)
        self._spin = spin
        self.passages: deque[tuple[bytes, float, float, float | None]] = deque(maxlen=REMEMBERED)
        self._queue = queue
        self._heard = b""

    def run(self, commands: int) -> None:
        """Hold packets up until `commands` ends; then let go of all that wait."""
        while True:
            patience = self.schedule.next - time.monotonic() - self._spin
            wait = None if patience == float("inf") else max(0.0, patience)
            ready, _, _ = select.select([self._queue.fileno(), commands], [], [], wait)
            if self._queue.fileno() in ready:
                self._admit()
            self._release(time.monotonic())
            if commands in ready and not self._obey(commands):
                return

    def _admit(self) -> None:
        for packet in self._queue.packets():
            came = _moment(packet.stamp_ns)
            if not self.schedule.add(packet, came):
                self._queue.decide(packet, accept=False)
                self.passages.append((packet.head, came, came, None))

    def _release(self, until: float) -> None:
        while self.schedule.next <= until:
            packet, came, due = self.schedule.take()
            left = time.monotonic()
            self._queue.decide(packet, accept=True)
            self.passages.append((packet.head, came, due, left))

    def flush(self) -> None:
        """Let go at once of everything that waits."""
        self._admit()
        self._release(sys.float_info.max)

    def _obey(self, commands: int) -> bool:
        """Do and answer what was asked; False once nobody is left who could ask."""
        heard = os.read(commands, 65536)
        *lines, self._heard = (self._heard + heard).split(b"\n")
        for line in lines:
            self.schedule.wanted = replace(self.schedule.wanted, **json.loads(line))
            passages = [(header_of(head), *moments) for head, *moments in self.passages]
            self.passages.clear()
            said = {"passages": passages, "waiting": len(self.schedule), "lost": self._queue.lost()}
            print(json.dumps(said), flush=True)
        return bool(heard)


def _moment(stamp_ns: int | None) -> float:
    """The monotonic moment of a stamp of the wall clock; now, if it has none or the clock was stepped."""
    age = 0.0 if stamp_ns is None else (time.time_ns() - stamp_ns) / 1e9
    return time.monotonic() - (age if 0.0 <= age < _LONGEST_AGE else 0.0)


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that hand packets to the queue: for each family, and each interface they come in by.

    Meant are those that are routed on; what is for this place itself, as the outer packets of a tunnel that ends here,
    is not. They wait before connection tracking has seen them: of two first packets of a flow that wait behind it,
    one would be dropped, since each has an entry of its own that is not confirmed yet.
    """

    families: tuple[str, ...]
    interfaces: tuple[str, ...] = ()
    match: tuple[str, ...] = ()
    queue: int = QUEUE

    def add(self) -> None:
        """Put them up. CalledProcessError where iptables can't."""
        for program, rule in self._each():
            subprocess.run([program, *_RAW, "-A", *rule], check=True)

    def remove(self) -> None:
        """Take them down, as often as they are there."""
        for program, rule in self._each():
            while _quietly(program, *_RAW, "-D", *rule).returncode == 0:
                pass

    def remove_tables(self) -> None:
        """Take down the tables that iptables made, if nothing is in them. All that waits in any queue is lost then."""
        for family in self.families:
            program, table = _PROGRAMS[family]
            if b"-A" not in _quietly(program, *_RAW, "-S").stdout:
                _quietly("nft", "delete", "table", table, "raw")

    def _each(self) -> Iterator[tuple[str, list[str]]]:
        target = ["-j", "NFQUEUE", "--queue-num", str(self.queue), "--queue-bypass"]
        for family in self.families:
            for interface in self.interfaces or ("",):
                chosen = ["-i", interface] if interface else []
                yield _PROGRAMS[family][0], ["PREROUTING", *_ROUTED_ON, *chosen, *self.match, *target]


def _quietly(*command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, check=False, capture_output=True)


def _hurry() -> None:
    """Be on time: no garbage collector, no timer slack, and ahead of whatever wants the core, where that is allowed."""
    gc.disable()
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("delay", "jitter", "loss"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    parser.add_argument("--family", action="append", choices=_PROGRAMS, help="both, if not given")
    parser.add_argument("--in", action="append", dest="interfaces", default=[], metavar="DEV", help="any, if not given")
    parser.add_argument("--queue", type=int, default=QUEUE)
    parser.add_argument("--length", type=int, default=LENGTH, help="packets that may wait; what is more is dropped")
    parser.add_argument("--spin", type=float, default=SPIN, help="seconds of spinning before a packet is due")
    parser.add_argument("--undo", action="store_true", help="take down what one left that was killed, and end")
    parser.add_argument("match", nargs="*", help="further matches of iptables(8)")
    asked = parser.parse_args()
    rules = Rules(tuple(asked.family or _PROGRAMS), tuple(asked.interfaces), tuple(asked.match), asked.queue)
    if asked.undo:
        rules.remove()
        rules.remove_tables()
        return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    queue = Queue(asked.queue, asked.length)
    tool = Tool(queue, Wanted(asked.delay, asked.jitter, asked.loss), asked.spin)
    try:
        rules.add()
        _hurry()
        print(json.dumps({"pid": os.getpid()}), flush=True)
        tool.run(sys.stdin.fileno())
    finally:
        rules.remove()
        tool.flush()
        rules.remove_tables()
        queue.close()


if __name__ == "__main__":
    main()
