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

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Cell, Endpoint
from prober.options import IcmpOptions, KindOptions
from prober.reasons import Family, Kind
from tests.support.far_side import ROUTER4, ROUTER6, V4_NET, V6_NET, checksum, ipv4, ipv6, open_tun, pseudo

SILENT, ECHO, FORGED, ONE_LOST = 10, 11, 19, 20
# last byte of the destination → ICMP type, code and the word behind the checksum
ICMP4 = {12: (3, 1, 0), 13: (3, 13, 0), 14: (3, 0, 0), 15: (11, 0, 0), 16: (3, 4, 1280), 17: (3, 3, 0)}
ICMP6 = {12: (1, 3, 0), 13: (1, 1, 0), 14: (1, 0, 0), 15: (3, 0, 0), 16: (2, 0, 1280), 17: (1, 4, 0)}
LASTS = (SILENT, ECHO, 12, 13, 14, 15, 16, 17, FORGED, ONE_LOST)


def answer(packet: bytes) -> bytes | None:
    """What comes back for one packet, or None."""
    if packet[0] >> 4 == 4 and packet[9] == 1 and packet[20] == 8:
        source, destination, message, last = packet[12:16], packet[16:20], packet[20:], packet[19]
        if (error := ICMP4.get(last)) is not None:
            body = struct.pack("!BBHI", error[0], error[1], 0, error[2]) + packet[:28]
            return ipv4(socket.inet_aton(ROUTER4), source, 1, _sealed(body, b""))
        reply = _reply(0, message, last)
        return reply and ipv4(destination, source, 1, _sealed(reply, b""))
    if packet[0] >> 4 == 6 and packet[6] == 58 and packet[40] == 128:
        source, destination, message, last = packet[8:24], packet[24:40], packet[40:], int(f"{packet[39]:x}")
        if (error := ICMP6.get(last)) is not None:
            router = socket.inet_pton(socket.AF_INET6, ROUTER6)
            body = struct.pack("!BBHI", error[0], error[1], 0, error[2]) + packet[:1232]
            return ipv6(router, source, 58, _sealed(body, pseudo(router, source, 58, body)))
        reply = _reply(129, message, last)
        return reply and ipv6(destination, source, 58, _sealed(reply, pseudo(destination, source, 58, reply)))
    return None


def _reply(kind: int, message: bytes, last: int) -> bytes | None:
    """An echo reply; none from the silent, one with a forged payload, one for every second request."""
    sequence = struct.unpack_from("!H", message, 6)[0]
    if last == SILENT or (last == ONE_LOST and sequence % 2):
        return None
    payload = b"x" * (len(message) - 8) if last == FORGED else message[8:]
    return struct.pack("!BBH", kind, 0, 0) + message[4:8] + payload


def _sealed(message: bytes, with_pseudo: bytes) -> bytes:
    return message[:2] + struct.pack("!H", checksum(with_pseudo or message)) + message[4:]


def play(descriptor: int) -> None:
    while True:
        packet = os.read(descriptor, 65536)
        if (reply := answer(packet)) is not None:
            os.write(descriptor, reply)


def cell(address: str) -> Cell:
    family = Family.IPV6 if ":" in address else Family.IPV4
    several = address.endswith(str(ONE_LOST))
    options = KindOptions(icmp=IcmpOptions(count=4 if several else 1, gap=0.005, size=100))
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
