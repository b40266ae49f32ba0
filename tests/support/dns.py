"""A DNS server on loopback for tests that need a name to lead somewhere."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dns.message
import dns.rcode
import dns.rrset

ANY = "*"


@contextmanager
def name_server(addresses: Mapping[str, str], asked: list[str] | None = None) -> Iterator[int]:
    """Answers A questions from `addresses` (absolute name, or `*`, → IPv4 addresses with spaces between).

    Other questions of those names get no data, all other names do not exist. Gives the port on 127.0.0.1; `asked` gets
    every question as text.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    thread = threading.Thread(target=_serve, args=(sock, addresses, [] if asked is None else asked), daemon=True)
    thread.start()
    try:
        yield sock.getsockname()[1]
    finally:
        sock.sendto(b"", sock.getsockname())  # an empty datagram ends the server
        thread.join(5)
        sock.close()


def _serve(sock: socket.socket, addresses: Mapping[str, str], asked: list[str]) -> None:
    while True:
        data, peer = sock.recvfrom(4096)
        if not data:
            return
        query = dns.message.from_wire(data)
        [question] = query.question
        asked.append(question.to_text())
        reply = dns.message.make_response(query, recursion_available=True)
        address = addresses.get(question.name.to_text(), addresses.get(ANY))
        if address is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif question.to_text().endswith(" IN A"):
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", *address.split()))
        sock.sendto(reply.to_wire(), peer)
