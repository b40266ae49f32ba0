"""Name servers that mean harm: over UDP by what they answer, over TCP by how."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from prober.reasons import Family, Reason
from tests.support.cells import LOOPBACK

R = Reason
_A = b"\0\1\0\1\0\0\0\0\0\4\x0a\0\0\1"
Answer = Callable[[bytes], list[bytes]]


def _reply(query: bytes, records: bytes, count: int) -> bytes:
    return query[:2] + b"\x80\x00\x00\x01" + count.to_bytes(2) + bytes(4) + query[12:] + records


def _filled(record: Callable[[int, int], bytes]) -> Answer:
    """A reply filled to 64 KiB; `record` gets its number and the offset that it will stand at."""

    def answer(query: bytes) -> list[bytes]:
        records, count = b"", 0
        while len(query) + len(more := record(count, len(query) + len(records))) + len(records) < 65000:
            records, count = records + more, count + 1
        return [_reply(query, records, count)]

    return answer


def _pointer(offset: int) -> bytes:
    return (0xC000 | (offset & 0x3FFF)).to_bytes(2)


def _chained(number: int, offset: int) -> bytes:
    """The name of each record is a pointer to that of the one before: as many steps to read it as there are records.

    A pointer reaches 16 KiB far: the records behind that all point to the last one that can be pointed to.
    """
    first = offset - 16 * number
    before = min(offset - 16, first + (0x3FFF - first) // 16 * 16)
    return _pointer(before if number else 12) + _A


def _alias(number: int, offset: int) -> bytes:
    """Each name is an alias, one of 26."""
    return _pointer(offset - 4 if number else 12) + b"\0\5\0\1\0\0\0\0\0\4\2n%c\0" % (97 + number % 26)


def _strays(query: bytes) -> list[bytes]:
    """Answers with every other id."""
    return [number.to_bytes(2) + _reply(query, b"\xc0\x0c" + _A, 1)[2:] for number in range(20_000)]


#: what → (answers to one query, the reasons allowed; none: it may hold).
ANSWERS: dict[str, tuple[Answer, tuple[Reason | None, ...]]] = {
    "a chain of pointers": (_filled(_chained), (R.MALFORMED, None)),
    "4000 records": (_filled(lambda number, offset: b"\xc0\x0c" + _A), (R.MALFORMED, None)),
    "6000 records of other names": (
        _filled(lambda number, offset: b"\1%c\0" % (97 + number % 26) + _A), (R.MALFORMED, R.NO_DATA, None)
    ),
    "a maze of aliases": (_filled(_alias), (R.MALFORMED, R.NO_DATA, None)),
    "strays": (_strays, (R.MALFORMED, R.TIMEOUT, None)),
    "nothing but ff": (lambda query: [query[:2] + b"\x80\0" + b"\xff" * 65000], (R.MALFORMED,)),
    "silence": (lambda query: [], (R.TIMEOUT,)),
}  # fmt: skip


@contextlib.contextmanager
def hostile_server(family: Family, answer: Answer, *, drip: bool = False) -> Iterator[int]:
    """Answers over UDP and TCP on one port until the block ends; over TCP byte by byte with `drip`."""
    number = socket.AF_INET6 if family is Family.IPV6 else socket.AF_INET
    tcp = socket.create_server((LOOPBACK[family], 0), family=number)
    udp = socket.socket(number, socket.SOCK_DGRAM)
    udp.bind(tcp.getsockname()[:2])
    udp.settimeout(0.2)
    done = threading.Event()
    threads = [
        threading.Thread(target=_over_udp, args=(udp, answer, done), daemon=True),
        threading.Thread(target=_over_tcp, args=(tcp, answer, drip), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield tcp.getsockname()[1]
    finally:
        done.set()
        tcp.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        tcp.close()
        udp.close()


def _over_udp(udp: socket.socket, answer: Answer, done: threading.Event) -> None:
    while not done.is_set():
        with contextlib.suppress(OSError):
            query, peer = udp.recvfrom(4096)
            for reply in answer(query):
                if done.is_set():
                    return
                udp.sendto(reply, peer)


def _over_tcp(tcp: socket.socket, answer: Answer, drip: bool) -> None:
    while True:
        try:
            sock, _ = tcp.accept()
        except OSError:
            return
        with contextlib.suppress(OSError), sock:
            sock.settimeout(5)
            query = sock.recv(4096)[2:]
            for reply in answer(query):
                framed = len(reply).to_bytes(2) + reply
                if drip:
                    for position in range(len(framed)):
                        sock.sendall(framed[position : position + 1])
                        threading.Event().wait(0.004)
                sock.sendall(framed)
            sock.recv(1)
