"""What the delay tool tells of each packet: whose it was, what was wanted for it, and what it got. Values alone."""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple

_TCP, _UDP, _ICMP4, _ICMP6 = 6, 17, 1, 58
_NAMES = {_TCP: "tcp", _UDP: "udp", _ICMP4: "icmp", _ICMP6: "icmp"}
_ASKING = (8, 128)  # echo requests
SYN, ACK, FIN, RST = 0x02, 0x10, 0x01, 0x04


class Header(NamedTuple):
    """Whose packet it was. Echo messages have their identifier in the place of the asker's port, and in that of the
    other side their sequence number.

    `size` is the length of what TCP or UDP carried, or of the ICMP message; `flags` and `sequence` are TCP's, else 0.
    """

    protocol: str
    source: str
    source_port: int
    destination: str
    destination_port: int
    flags: int = 0
    size: int = 0
    sequence: int = 0

    @property
    def back(self) -> tuple[str, str, int, str, int]:
        """The flow that an answer belongs to: compare with `flow`."""
        return self.protocol, self.destination, self.destination_port, self.source, self.source_port

    @property
    def flow(self) -> tuple[str, str, int, str, int]:
        """Protocol, source and destination."""
        return self[:5]


def header_of(packet: bytes) -> Header:
    """The header of a packet that begins with its IP header and may be cut off behind the next one.

    Fragments and extension headers of IPv6 are not looked behind: there the protocol is its number.
    """
    if packet[0] >> 4 == 4:
        behind, protocol = (packet[0] & 0x0F) * 4, packet[9]
        length = int.from_bytes(packet[2:4]) - behind
        source, destination = packet[12:16], packet[16:20]
    else:
        behind, protocol, length = 40, packet[6], int.from_bytes(packet[4:6])
        source, destination = packet[8:24], packet[24:40]
    ends = str(ipaddress.ip_address(source)), str(ipaddress.ip_address(destination))
    name, inner = _NAMES.get(protocol, str(protocol)), packet[behind:]
    if protocol in (_ICMP4, _ICMP6):
        pair = int.from_bytes(inner[4:6]), int.from_bytes(inner[6:8])
        sides = pair if inner[0] in _ASKING else pair[::-1]
        return Header(name, ends[0], sides[0], ends[1], sides[1], 0, length)
    ports = int.from_bytes(inner[:2]), int.from_bytes(inner[2:4])
    if protocol == _TCP:
        size, sequence = length - (inner[12] >> 4) * 4, int.from_bytes(inner[4:8])
        return Header(name, ends[0], ports[0], ends[1], ports[1], inner[13], size, sequence)
    return Header(name, ends[0], ports[0], ends[1], ports[1], 0, length - 8 if protocol == _UDP else length)


class Passage(NamedTuple):
    """One packet's way through the tool: moments of CLOCK_MONOTONIC in seconds, as `time.monotonic` has them."""

    header: Header
    came: float
    """By the kernel's stamp, as it came in."""
    due: float
    """When it was to leave: as wanted, but never before one that came in ahead of it by the same interface."""
    left: float | None
    """When it was let go; None if it was dropped."""

    @property
    def actual(self) -> float:
        """Seconds that it was held. Of a dropped one there are none."""
        assert self.left is not None
        return self.left - self.came

    @property
    def error(self) -> float:
        """Seconds that it left too late."""
        assert self.left is not None
        return self.left - self.due

    @classmethod
    def told(cls, words: list[Any]) -> Passage:
        """From what JSON made of one."""
        header, came, due, left = words
        return cls(Header(*header), came, due, left)
