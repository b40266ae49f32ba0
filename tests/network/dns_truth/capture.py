"""What goes to port 53 of the loopback interface: captured on a packet socket, and read from Ethernet upwards."""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype

_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35
_SOL_PACKET, _PACKET_STATISTICS = 263, 6  # linux/if_packet.h
_BUFFER = 64 * 1024 * 1024


class Packet(NamedTuple):
    """A segment or datagram to port 53; `at` in seconds of the kernel's clock. UDP: neither SYN nor sequence number."""

    at: float
    server: str
    port: int
    protocol: str
    syn: bool
    sequence: int
    data: bytes


class Capture:
    """All packets to port 53 from now on, until `stop`."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.bind(("lo", 0))
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except PermissionError:  # root of a user namespace alone: as much as everybody may have
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.settimeout(0.1)
        self._packets: list[Packet] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> Mapping[str, Sequence[Packet]]:
        """Stop; the packets by the server that they went to, in their order. RuntimeError: some were dropped."""
        self._stopping = True
        self._thread.join()
        _, dropped = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        if dropped:
            raise RuntimeError(f"{dropped} packets passed uncaptured")
        self._socket.close()
        found: dict[str, list[Packet]] = defaultdict(list)
        for packet in self._packets:
            found[packet.server].append(packet)
        return found

    def _read(self) -> None:
        while True:
            try:
                frame, ancillary, _, source = self._socket.recvmsg(65536, 64)
            except TimeoutError:
                if self._stopping:
                    return
                continue
            if source[2] == _PACKET_OUTGOING:  # on lo every packet passes twice
                seconds, nanoseconds = struct.unpack("qq", ancillary[0][2][:16])
                packet = parse(frame, seconds + nanoseconds / 1e9)
                if packet is not None:
                    self._packets.append(packet)


def parse(frame: bytes, at: float) -> Packet | None:
    """The packet in an Ethernet frame, if it goes to port 53 over UDP or TCP."""
    kind, packet = frame[12:14], frame[14:]
    if kind == b"\x08\x00":
        start, protocol, end = (packet[0] & 15) * 4, packet[9], int.from_bytes(packet[2:4], "big")
        server = str(ipaddress.IPv4Address(packet[16:20]))
    elif kind == b"\x86\xdd":
        start, protocol, end = 40, packet[6], 40 + int.from_bytes(packet[4:6], "big")
        server = str(ipaddress.IPv6Address(packet[24:40]))
    else:
        return None
    segment = packet[start:end]
    port, to = struct.unpack_from("!HH", segment) if len(segment) >= 8 else (0, 0)
    if to != 53:
        return None
    if protocol == socket.IPPROTO_UDP:
        return Packet(at, server, port, "udp", syn=False, sequence=0, data=segment[8:])
    if protocol == socket.IPPROTO_TCP:
        offset = (segment[12] >> 4) * 4
        sequence = int.from_bytes(segment[4:8], "big")
        return Packet(at, server, port, "tcp", bool(segment[13] & 2), sequence, segment[offset:])
    return None


class Event(NamedTuple):
    """A query, or a connection that is opened, as it is compared; `at` as in `Packet`."""

    at: float
    what: str


def events(packets: Sequence[Packet], servers: Sequence[str], *, rotate: bool = False) -> list[Event]:
    """What was asked, in its order. Ports and ids are counted as they appear: two runs never share those.

    A connection's segments are put together; what TCP itself sends twice counts once. What is said on a connection
    stands behind its opening: which of two at the same time speaks first is for the scheduler. `rotate`: which server
    is the first is left to chance, so the first one that is asked counts as number 1.
    """
    if rotate and packets:
        first = servers.index(packets[0].server)
        servers = [*servers[first:], *servers[:first]]
    found: list[list[Event]] = []
    ports: dict[tuple[str, int], int] = {}
    streams: dict[tuple[str, int], _Stream] = {}
    ids: dict[str, list[int]] = defaultdict(list)
    for packet in packets:
        way = (packet.protocol, packet.port)
        where = f"server {servers.index(packet.server) + 1} {packet.protocol}"
        stream = streams.get(way)
        messages = [packet.data] if packet.protocol == "udp" else stream.feed(packet) if stream is not None else []
        if packet.syn and (stream is None or stream.next != packet.sequence + 1):
            stream = streams[way] = _Stream(packet.sequence + 1)
            ports[way] = max(ports.values(), default=0) + 1
            stream.events.append(Event(packet.at, f"{where} connect, port #{ports[way]}"))
            found.append(stream.events)
        number = ports.setdefault(way, max(ports.values(), default=0) + 1)
        told = [Event(packet.at, f"{where} {_told(message, ids)}, port #{number}") for message in messages]
        if stream is None:
            found.append(told)
        else:
            stream.events += told
    return [event for events in found for event in events]


class _Stream:
    def __init__(self, start: int) -> None:
        self.next = start
        self.events: list[Event] = []
        self._received = b""

    def feed(self, packet: Packet) -> list[bytes]:
        """The messages that are complete with this segment."""
        if packet.sequence == self.next and not packet.syn:
            self.next += len(packet.data)
            self._received += packet.data
        found = []
        while len(self._received) > 2 and len(self._received) >= (end := 2 + int.from_bytes(self._received[:2], "big")):
            found.append(self._received[2:end])
            self._received = self._received[end:]
        return found


def _told(wire: bytes, ids: dict[str, list[int]]) -> str:
    """A query: its question, header flags and EDNS, and which of the ids for this question it bears."""
    try:
        message = dns.message.from_wire(wire)
    except dns.exception.DNSException:
        return f"unreadable {wire[2:].hex()}"
    question = message.question[0]
    asked = f"{question.name}/{dns.rdatatype.to_text(question.rdtype)}"
    known = ids[asked]
    if message.id not in known:
        known.append(message.id)
    edns = f" EDNS {message.payload}{' DO' if message.ednsflags & dns.flags.DO else ''}" if message.edns >= 0 else ""
    return f"{asked} {dns.flags.to_text(message.flags)}{edns}, id #{known.index(message.id) + 1}"
