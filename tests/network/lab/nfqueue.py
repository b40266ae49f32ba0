"""The kernel's queue for packets that wait for a verdict, over a netlink socket: nfnetlink_queue without a library.

Messages and attributes as in linux/netfilter/nfnetlink_queue.h; what a netlink message looks like, in netlink(7). What
is done with a packet is not decided here.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_NETLINK_NETFILTER: Final = 12
_PACKET, _VERDICT, _CONFIG = 3 << 8 | 0, 3 << 8 | 1, 3 << 8 | 2  # NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_…
_REQUEST, _ACK, _ERROR = 1, 4, 2  # NLM_F_REQUEST, NLM_F_ACK, NLMSG_ERROR
_CFG_CMD, _CFG_PARAMS, _CFG_QUEUE_MAXLEN, _CFG_MASK, _CFG_FLAGS = 1, 2, 3, 4, 5
_CMD_BIND, _COPY_PACKET = 1, 2
_PACKET_HDR, _VERDICT_HDR, _TIMESTAMP, _INDEV, _PAYLOAD = 1, 2, 4, 5, 10
_GSO: Final = 1 << 2  # NFQA_CFG_F_GSO: hand over what segmentation offload has merged as one packet
_TYPE: Final = 0x3FFF  # without NLA_F_NESTED, NLA_F_NET_BYTEORDER
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE, _SOL_NETLINK, _NO_ENOBUFS = 35, 33, 270, 5

_HEAD = struct.Struct("=IHHII")  # struct nlmsghdr
_ATTRIBUTE = struct.Struct("=HH")
_SENDING = struct.Struct("=IHHIIBBHHHII")  # nlmsghdr, nfgenmsg, one attribute with two words: a verdict
_BUFFER: Final = 8 << 20
#: Bytes of each packet that are handed over: the headers.
HEADERS: Final = 128


class Packet(NamedTuple):
    """One packet that waits."""

    number: int
    interface: int
    """The index of the interface that it came in by; 0 for none."""
    stamp_ns: int | None
    """When it came in, by the kernel's wall clock, in µs as ns; None if it was not stamped."""
    head: bytes
    """Its first HEADERS bytes, from the IP header on."""


class Queue:
    """Queue `number` of this network namespace, which holds at most `length` packets: the kernel drops what is more."""

    def __init__(self, number: int, length: int) -> None:
        self.number = number
        self._stamping = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._stamping.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)  # as long as it is open, packets are stamped
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        with contextlib.suppress(PermissionError):  # only the machine's own root may have more than is usual
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.setsockopt(_SOL_NETLINK, _NO_ENOBUFS, 1)
        self._configure(_attribute(_CFG_CMD, struct.pack("!BxH", _CMD_BIND, 0)))
        self._configure(
            _attribute(_CFG_PARAMS, struct.pack("!IB", HEADERS, _COPY_PACKET))
            + _attribute(_CFG_QUEUE_MAXLEN, struct.pack("!I", length))
            + _attribute(_CFG_FLAGS, struct.pack("!I", _GSO))
            + _attribute(_CFG_MASK, struct.pack("!I", _GSO))
        )
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """For select(2): readable when packets wait."""
        return self._socket.fileno()

    def packets(self) -> Iterator[Packet]:
        """Those that have come since the last call."""
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return
            for kind, message in _messages(data):
                if kind == _PACKET:
                    yield _packet(message)

    def decide(self, packet: Packet, *, accept: bool) -> None:
        """Let `packet` go its way, which it goes within this call, or drop it."""
        head = (_SENDING.size, _VERDICT, _REQUEST, 0, 0, 0, 0, socket.htons(self.number))
        verdict = (12, _VERDICT_HDR, socket.htonl(int(accept)), socket.htonl(packet.number))
        self._socket.send(_SENDING.pack(*head, *verdict))

    def lost(self) -> int:
        """Packets that the kernel dropped because the queue, or the way to this process, was full."""
        for line in Path("/proc/net/netfilter/nfnetlink_queue").read_text(encoding="ascii").splitlines():
            number, _, _, _, _, full, undelivered, *_ = map(int, line.split())
            if number == self.number:
                return full + undelivered
        return 0

    def close(self) -> None:
        """Give the queue up; what still waits is dropped by the kernel."""
        self._socket.close()
        self._stamping.close()

    def _configure(self, attributes: bytes) -> None:
        """Send a NFQNL_MSG_CONFIG; OSError with the kernel's word where it refuses."""
        head = _HEAD.pack(_HEAD.size + 4 + len(attributes), _CONFIG, _REQUEST | _ACK, 0, 0)
        self._socket.send(head + struct.pack("=BBH", 0, 0, socket.htons(self.number)) + attributes)
        for kind, message in _messages(self._socket.recv(65536)):
            if kind == _ERROR and (number := -struct.unpack_from("=i", message)[0]):
                raise OSError(number, f"queue {self.number} can't be had")


def _attribute(kind: int, value: bytes) -> bytes:
    """A netlink attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The (type, content) of the netlink messages in `data`."""
    while len(data) >= _HEAD.size:
        length, kind, _, _, _ = _HEAD.unpack_from(data)
        yield kind, data[_HEAD.size : length]
        data = data[(length + 3) & ~3 :]


def _packet(message: bytes) -> Packet:
    """The packet of a NFQNL_MSG_PACKET, whose attributes follow 4 bytes of struct nfgenmsg."""
    number, interface, stamp, payload, at = 0, 0, None, b"", 4
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        value, kind = message[at + _ATTRIBUTE.size : at + length], kind & _TYPE
        if kind == _PACKET_HDR:
            (number,) = struct.unpack_from("!I", value)
        elif kind == _INDEV:
            (interface,) = struct.unpack("!I", value)
        elif kind == _TIMESTAMP:
            seconds, microseconds = struct.unpack("!QQ", value)
            stamp = seconds * 1_000_000_000 + microseconds * 1000
        elif kind == _PAYLOAD:
            payload = value
        at += (length + 3) & ~3
    return Packet(number, interface, stamp, payload)
