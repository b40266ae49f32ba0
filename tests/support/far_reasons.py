"""Reasons that loopback cannot show, climbed against a far side made of a TUN device, and with rights taken away.

Run as a program inside a network namespace of its own (see `netns.py`); it prints the blame of one climb per line as
JSON. What is taken away stays away, so the order counts.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import platform
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Cell, Endpoint
from prober.reasons import Family, Kind, Layer, Reason
from tests.support import far_ping, far_side
from tests.support.cells import LOOPBACK

NETS = {Family.IPV4: far_side.V4_NET, Family.IPV6: far_side.V6_NET}
ONLY_PORT = 61000
RESET = 18
#: layer → reason → last byte of the far address whose answer shows it.
FAR: dict[Layer, dict[Reason, int]] = {
    Layer.TCP: {Reason.REJECTED: 12, Reason.PROHIBITED: 13, Reason.UNREACHABLE: 14, Reason.RESET: RESET},
    Layer.ICMP: {
        Reason.TIMEOUT: far_ping.SILENT, Reason.UNREACHABLE: 12, Reason.PROHIBITED: 13, Reason.TOO_BIG: 16,
    },
}  # fmt: skip
_CONNECT = {"x86_64": 42, "aarch64": 203}
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP = 38, 22
_CAPABILITY_VERSION_3 = 0x20080522


def accept_and_reset(packet: bytes) -> list[bytes]:
    """A SYN to the address of RESET is acknowledged and then reset: both at once."""
    old = packet[0] >> 4 == 4
    source, destination, segment = (
        (packet[12:16], packet[16:20], packet[20:]) if old else (packet[8:24], packet[24:40], packet[40:])
    )
    meant = RESET if old else int(str(RESET), 16)  # the last group of an IPv6 address is written in hexadecimal
    if packet[9 if old else 6] != 6 or destination[-1] != meant or segment[13] != 2:
        return []
    wrap = far_side.ipv4 if old else far_side.ipv6
    return [
        wrap(destination, source, 6, far_side.answering(source, destination, segment, sequence=number, flags=flags))
        for number, flags in ((1000, 0x12), (1001, 0x14))
    ]


def play(descriptor: int) -> None:
    """Answer what comes. `PyDLL` keeps the interpreter's lock: between the two segments nobody else here has a turn."""
    sys.setswitchinterval(1.0)
    held = ctypes.PyDLL(None)
    while True:
        packet = os.read(descriptor, 65536)
        for both in accept_and_reset(packet):
            held.write(descriptor, both, len(both))
        if (reply := far_side.answer(packet) or far_ping.answer(packet)) is not None:
            os.write(descriptor, reply)


async def show(kit: Kit, layer: Layer, family: Family, case: Reason, address: str, port: int = 80) -> None:
    """Climb once and print the blame."""
    kind = Kind.ICMP if layer is Layer.ICMP else Kind.TCP
    endpoint = Endpoint("icmp" if kind is Kind.ICMP else "tcp", address, port)
    timeout = 0.3 if case is Reason.TIMEOUT else 3.0
    cell = Cell("far", kind, address, "default", family, endpoint, interval=5.0, timeout=timeout)
    (run,) = await climb(cell, kit)
    blame = run.blame and (run.blame.layer, run.blame.reason)
    print(json.dumps({"family": family, "layer": layer, "case": case, "blame": blame}))


def leave_one_port() -> None:
    """For both families: ip_local_port_range of ip-sysctl."""
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"{ONLY_PORT} {ONLY_PORT}")


async def without_a_local_port(kit: Kit) -> None:
    """A connection to the same place holds the only port."""
    for family in Family:
        number = socket.AF_INET6 if family is Family.IPV6 else socket.AF_INET
        with socket.create_server((LOOPBACK[family], 7001), family=number), \
                socket.create_connection((LOOPBACK[family], 7001)):  # fmt: skip
            await show(kit, Layer.TCP, family, Reason.NO_LOCAL_PORT, LOOPBACK[family], 7001)


def drop_capabilities(libc: Any) -> None:
    """All of them (capset(2)); what is left is root in name."""
    if libc.capset(struct.pack("Ii", _CAPABILITY_VERSION_3, 0), bytes(24)) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def forbid_connect(libc: Any) -> None:
    """A seccomp profile under which connect(2) fails with EPERM (seccomp(2), classic BPF over struct seccomp_data)."""
    load, jump, leave = 0x20, 0x15, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000 | 1
    code = b"".join(
        struct.pack("HBBI", *line)
        for line in ((load, 0, 0, 0), (jump, 0, 1, _CONNECT[platform.machine()]), (leave, 0, 0, refuse),
                     (leave, 0, 0, allow))
    )  # fmt: skip
    program = ctypes.create_string_buffer(code)
    header = struct.pack("HxxxxxxQ", 4, ctypes.addressof(program))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(_PR_SET_SECCOMP, 2, header, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


async def main() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    kit = Kit()
    for layer, cases in FAR.items():
        for case, last in cases.items():
            for family in Family:
                await show(kit, layer, family, case, f"{NETS[family]}{last}")
    leave_one_port()
    await without_a_local_port(kit)
    await kit.close()
    drop_capabilities(libc)
    for family in Family:
        await show(kit, Layer.ICMP, family, Reason.NOT_PERMITTED, LOOPBACK[family])
    forbid_connect(libc)
    for family in Family:
        await show(kit, Layer.TCP, family, Reason.NOT_PERMITTED, LOOPBACK[family])
    await kit.close()


if __name__ == "__main__":
    threading.Thread(target=play, args=(far_side.open_tun(),), daemon=True).start()
    asyncio.run(main())
