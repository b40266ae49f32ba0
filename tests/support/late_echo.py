"""Late echo replies from a far side made of one TUN device: each leaves `delay` seconds after its request came.

What the delay truly was is read off the wire by a packet socket (packet(7)): both packets with the kernel's own stamp,
as tcpdump would have them. For a network namespace of its own; see `netns.py`.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time

from tests.support.far_ping import ECHO, answer
from tests.support.far_side import V4_NET, V6_NET, open_tun

#: Who answers late, in either family.
ADDRESSES = f"{V4_NET}{ECHO}", f"{V6_NET}{ECHO}"
_ETH_P_ALL, _SO_TIMESTAMPNS, _NS = 0x0003, 35, 1_000_000_000
_REQUESTS, _SPIN = (8, 128), 0.0003


class LateEcho:
    """The device, the thread that answers, and the tap. `delays` belongs to one thread."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._tun = open_tun()
        self._tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._tap.bind(("far0", _ETH_P_ALL))
        self._tap.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._tap.setblocking(False)
        self._asked: dict[bytes, int] = {}
        threading.Thread(target=self._play, daemon=True).start()

    def delays(self) -> list[float]:
        """Seconds from request to reply, of every reply since the last call."""
        found = []
        while True:
            try:
                packet, ancillary, _, _ = self._tap.recvmsg(256, 128)
            except BlockingIOError:
                return found
            message = _icmp(packet)
            if message is None:
                continue
            seconds, nanoseconds = struct.unpack_from("@ll", ancillary[0][2])
            stamp, key = seconds * _NS + nanoseconds, message[4:]  # identifier, sequence, payload: the same both ways
            if message[0] in _REQUESTS:
                self._asked[key] = stamp
            elif key in self._asked:
                found.append((stamp - self._asked.pop(key)) / _NS)

    def _play(self) -> None:
        while True:
            packet = os.read(self._tun, 65536)
            due = time.perf_counter() + self._delay
            if (reply := answer(packet)) is None:
                continue
            time.sleep(max(0.0, due - time.perf_counter() - _SPIN))
            while time.perf_counter() < due:
                pass
            os.write(self._tun, reply)


def _icmp(packet: bytes) -> bytes | None:
    """The ICMP message of an IPv4 or IPv6 packet, None if it has none."""
    if packet[0] >> 4 == 4:
        return packet[20:] if packet[9] == 1 else None
    return packet[40:] if packet[6] == 58 else None
