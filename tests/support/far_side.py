"""A far side made of one TUN device: answers SYNs as routers and hosts would, by the last byte of the address.

Run as a program inside a network namespace of its own (see `netns.py`); it prints the outcome of one connect climb
per line as JSON. Real kernel, real ICMP errors, no packet filter needed.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Cell, Endpoint, Run
from prober.options import KindOptions
from prober.reasons import Family, Kind

# last byte of the destination → what the far side does with a SYN; ICMP as (type, code) per family
SILENT, RST, RST_BY_CLASS, SILENT_FOR_LONG, SILENT_UNTIL_GIVEN_UP = 10, 11, 18, 19, 20
#: Seconds of a climb to them.
PATIENCE = {SILENT_FOR_LONG: 1.4, SILENT_UNTIL_GIVEN_UP: 8.0}
ICMP4 = {12: (3, 3), 13: (3, 13), 14: (3, 1), 15: (3, 0), 16: (3, 9), 17: (11, 0)}
ICMP6 = {12: (1, 4), 13: (1, 1), 14: (1, 3), 15: (1, 0), 16: (1, 5), 17: (3, 0)}
EXPEDITED = 46
V4_NET, V6_NET = "10.9.0.", "fd00:9::"
ROUTER4, ROUTER6 = "10.9.0.254", "fd00:9::fe"


def checksum(data: bytes) -> int:
    """The Internet checksum, RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2]))
    total += data[-1] << 8 if len(data) % 2 else 0
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source: bytes, destination: bytes, protocol: int, payload: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, source, destination)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(source: bytes, destination: bytes, protocol: int, payload: bytes) -> bytes:
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), protocol, 64, source, destination) + payload


def pseudo(source: bytes, destination: bytes, protocol: int, payload: bytes) -> bytes:
    if len(source) == 4:
        return source + destination + struct.pack("!BBH", 0, protocol, len(payload)) + payload
    return source + destination + struct.pack("!IHBB", len(payload), 0, 0, protocol) + payload


def reset(source: bytes, destination: bytes, segment: bytes) -> bytes:
    """The RST that answers a SYN (RFC 9293 section 3.10.7.1)."""
    return answering(source, destination, segment, sequence=0, flags=0x14)


def answering(source: bytes, destination: bytes, segment: bytes, *, sequence: int, flags: int) -> bytes:
    """A segment that acknowledges a SYN."""
    from_port, to_port, asked = struct.unpack_from("!HHI", segment)
    head = (to_port, from_port, sequence, (asked + 1) & 0xFFFFFFFF, 5 << 4, flags, 65535 if flags & 2 else 0, 0, 0)
    back = struct.pack("!HHIIBBHHH", *head)
    check = checksum(pseudo(destination, source, 6, back))
    return back[:16] + struct.pack("!H", check) + back[18:]


def answer(packet: bytes) -> bytes | None:
    """What comes back for one packet, or None."""
    if packet[0] >> 4 == 4 and packet[9] == 6:
        source, destination, segment = packet[12:16], packet[16:20], packet[20:]
        if destination[3] == RST or (destination[3] == RST_BY_CLASS and packet[1] == EXPEDITED << 2):
            return ipv4(destination, source, 6, reset(source, destination, segment))
        if (error := ICMP4.get(destination[3])) is not None:
            body = struct.pack("!BBHI", *error, 0, 0) + packet[:28]
            body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
            return ipv4(socket.inet_aton(ROUTER4), source, 1, body)
    if packet[0] >> 4 == 6 and packet[6] == 6:
        source, destination, segment = packet[8:24], packet[24:40], packet[40:]
        last = int(f"{destination[15]:x}")
        traffic_class = (packet[0] & 0x0F) << 4 | packet[1] >> 4
        if last == RST or (last == RST_BY_CLASS and traffic_class == EXPEDITED << 2):
            return ipv6(destination, source, 6, reset(source, destination, segment))
        if (error := ICMP6.get(last)) is not None:
            router = socket.inet_pton(socket.AF_INET6, ROUTER6)
            body = struct.pack("!BBHI", *error, 0, 0) + packet
            check = checksum(pseudo(router, source, 58, body))
            return ipv6(router, source, 58, body[:2] + struct.pack("!H", check) + body[4:])
    return None


def open_tun() -> int:
    """A TUN device with both families on it, up."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, 0x400454CA, struct.pack("16sH22x", b"far0", 0x0001 | 0x1000))  # TUNSETIFF, TUN | NO_PI
    script = (
        "link set lo up\nlink set far0 up\naddr add 10.9.0.1/24 dev far0\naddr add fd00:9::1/64 dev far0 nodad\n"
        "route add unreachable 10.8.0.0/24\nroute add unreachable fd00:8::/64\n"
    )
    subprocess.run(["ip", "-batch", "-"], input=script.encode(), check=True, stdout=subprocess.DEVNULL)
    return descriptor


def play(descriptor: int) -> None:
    while True:
        reply = answer(os.read(descriptor, 65536))
        if reply is not None:
            os.write(descriptor, reply)


def cell(family: Family, address: str, timeout: float) -> Cell:
    endpoint = Endpoint("tcp", address, 80)
    options = KindOptions.model_validate({"tcp": {"dscp": EXPEDITED}} if address.endswith(str(RST_BY_CLASS)) else {})
    return Cell("far", Kind.TCP, address, "default", family, endpoint, 1.0, timeout, options)


async def main(addresses: list[str]) -> None:
    kit = Kit()

    async def far(address: str) -> tuple[Run, ...]:
        family = Family.IPV6 if ":" in address else Family.IPV4
        last = int(address.replace(":", ".").rpartition(".")[2])
        return await climb(cell(family, address, PATIENCE.get(last, 0.5)), kit, found=[(address, 80)])

    for address, (run,) in zip(addresses, await asyncio.gather(*map(far, addresses)), strict=True):
        outcome = run.outcomes[-1]
        print(json.dumps({"address": address, "reason": outcome.reason, "seconds": outcome.seconds,
                          "evidence": outcome.evidence}))  # fmt: skip
    await kit.close()


if __name__ == "__main__":
    Path("/proc/sys/net/ipv4/tcp_syn_retries").write_text("1")  # of both families: the kernel gives up after 3 s
    threading.Thread(target=play, args=(open_tun(),), daemon=True).start()
    asyncio.run(main(sys.argv[1:]))
