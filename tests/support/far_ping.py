"""Echo requests into a far side made of one TUN device, over datagram sockets that the opened sysctl allows, or raw.

Run as a program inside a network namespace of its own (see `netns.py`): `far_ping.py datagram|raw`. It prints the
outcome of one icmp climb per line as JSON. What the far side does is told by the last byte of the address.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Cell, Endpoint
from prober.options import IcmpOptions, KindOptions
from prober.reasons import Family, Kind
from tests.support.far_side import ROUTER4, ROUTER6, V4_NET, V6_NET, checksum, ipv4, ipv6, open_tun, pseudo

SILENT, ECHO, FORGED, ONE_LOST = 10, 11, 19, 20
# Behind a narrow link, far away, wanting its class, answering twice, in the wrong order, losing more than is tolerated;
# asked for more than our own device takes
NARROW, FAR, CLASS, TWICE, SWAPPED, LOSSY, HUGE = 21, 22, 23, 24, 25, 26, 27
NARROW_MTU, FAR_HOPS, WANTED_CLASS = 1280, 5, 46 << 2
# last byte of the destination → ICMP type, code and the word behind the checksum
ICMP4 = {12: (3, 1, 0), 13: (3, 13, 0), 14: (3, 0, 0), 15: (11, 0, 0), 16: (3, 4, 1280), 17: (3, 3, 0)}
ICMP6 = {12: (1, 3, 0), 13: (1, 1, 0), 14: (1, 0, 0), 15: (3, 0, 0), 16: (2, 0, 1280), 17: (1, 4, 0)}
TRAIN = {"count": 4, "gap": 0.005, "size": 100}
#: last byte of the destination → the options of its cell
OPTIONS: dict[int, dict[str, object]] = {
    ONE_LOST: TRAIN,
    NARROW: {"count": 2, "gap": 0.005, "size": 1400, "dont_fragment": True},
    FAR: {"ttl": 3},
    CLASS: {"dscp": 46},
    TWICE: TRAIN,
    SWAPPED: TRAIN,
    LOSSY: {**TRAIN, "max_loss": 0.4},
    HUGE: {"size": 2000, "dont_fragment": True},
}
LASTS = (SILENT, ECHO, 12, 13, 14, 15, 16, 17, FORGED, *OPTIONS)


def answer(packet: bytes) -> bytes | None:
    """The first of what comes back for one packet, or None."""
    return next(iter(answers(packet)), None)


def answers(packet: bytes) -> list[bytes]:
    """What comes back for one packet."""
    if packet[0] >> 4 == 4 and packet[9] == 1 and packet[20] == 8:
        source, destination, message, last = packet[12:16], packet[16:20], packet[20:], packet[19]
        error = ICMP4.get(last) or _on_the_way(last, len(packet), packet[8], ((3, 4, NARROW_MTU), (11, 0, 0)))
        if error is not None:
            body = struct.pack("!BBHI", error[0], error[1], 0, error[2]) + packet[:28]
            return [ipv4(socket.inet_aton(ROUTER4), source, 1, _sealed(body, b""))]
        replies = _replies(0, message, last, packet[1])
        return [ipv4(destination, source, 1, _sealed(reply, b"")) for reply in replies]
    if packet[0] >> 4 == 6 and packet[6] == 58 and packet[40] == 128:
        source, destination, message, last = packet[8:24], packet[24:40], packet[40:], int(f"{packet[39]:x}")
        error = ICMP6.get(last) or _on_the_way(last, len(packet), packet[7], ((2, 0, NARROW_MTU), (3, 0, 0)))
        if error is not None:
            router = socket.inet_pton(socket.AF_INET6, ROUTER6)
            body = struct.pack("!BBHI", error[0], error[1], 0, error[2]) + packet[:1232]
            return [ipv6(router, source, 58, _sealed(body, pseudo(router, source, 58, body)))]
        replies = _replies(129, message, last, (packet[0] & 0x0F) << 4 | packet[1] >> 4)
        return [
            ipv6(destination, source, 58, _sealed(reply, pseudo(destination, source, 58, reply))) for reply in replies
        ]
    return []


def _on_the_way(last: int, length: int, hops: int, errors: tuple[tuple[int, int, int], ...]) -> Any:
    """What a router says of a packet that is too long for its link or has too few hops left."""
    too_big, exceeded = errors
    if last == NARROW and length > NARROW_MTU:
        return too_big
    return exceeded if last == FAR and hops < FAR_HOPS else None


_held_back: dict[int, bytes] = {}
_turns: dict[tuple[int, int], int] = {}


def _replies(kind: int, message: bytes, last: int, traffic_class: int) -> list[bytes]:
    """An echo reply; none from the silent, one with a forged payload, one for every second request …"""
    turn = _turns[kind, last] = _turns.get((kind, last), 0) + 1
    if last == SILENT or (last in (ONE_LOST, LOSSY) and turn % 2):
        return []
    if last == CLASS and traffic_class != WANTED_CLASS:
        return []
    payload = b"x" * (len(message) - 8) if last == FORGED else message[8:]
    reply = struct.pack("!BBH", kind, 0, 0) + message[4:8] + payload
    if last == SWAPPED:
        if (earlier := _held_back.pop(kind, None)) is None:
            _held_back[kind] = reply
            return []
        return [reply, earlier]
    return [reply] * (2 if last == TWICE else 1)


def _sealed(message: bytes, with_pseudo: bytes) -> bytes:
    return message[:2] + struct.pack("!H", checksum(with_pseudo or message)) + message[4:]


def play(descriptor: int) -> None:
    while True:
        for reply in answers(os.read(descriptor, 65536)):
            os.write(descriptor, reply)


def cell(address: str) -> Cell:
    family = Family.IPV6 if ":" in address else Family.IPV4
    last = int(address.replace(":", ".").rpartition(".")[2])
    options = KindOptions(icmp=IcmpOptions.model_validate(OPTIONS.get(last, {"size": 100})))
    return Cell("far", Kind.ICMP, address, "default", family, Endpoint("icmp", address, 0), interval=1.0, timeout=0.5,
                options=options)  # fmt: skip


async def main() -> None:
    kit = Kit()
    elsewhere = ["10.8.0.1", "fd00:8::1", "10.7.0.1", "fd00:7::1"]
    addresses = [f"{net}{last}" for net in (V4_NET, V6_NET) for last in LASTS] + elsewhere
    for (run,) in await asyncio.gather(*(climb(cell(address), kit) for address in addresses)):
        outcome = run.outcomes[-1]
        seen = {"address": run.cell.target, "reason": outcome.reason, "seconds": outcome.seconds}
        print(json.dumps({**seen, "evidence": outcome.evidence}))
    await kit.close()


if __name__ == "__main__":
    if sys.argv[1] == "datagram":
        Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 2147483647")
    threading.Thread(target=play, args=(open_tun(),), daemon=True).start()
    asyncio.run(main())
