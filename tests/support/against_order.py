"""In which order the libc of this machine and a real musl hand out addresses, beside `prober.wire.dns.destinations`.

Run as a program inside a network namespace of its own (see `netns.py`), with the path of a program linked with musl, or
`-`: for each set of own addresses and each name it prints what was handed out and what we say, as JSON lines.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from prober.options import Profile
from prober.wire.dns.destinations import order, sources
from tests.network.dns_truth.libc import returned, started

#: Addresses of the one interface, which has the default routes of their families.
PLACES = {
    "ULA and IPv4": ("fd00:1::5/64", "10.9.0.5/24"),
    "GUA and IPv4": ("2001:db8:1::5/64", "10.9.0.5/24"),
    "both and IPv4": ("fd00:1::5/64", "2001:db8:1::5/64", "10.9.0.5/24"),
    "IPv4 alone": ("10.9.0.5/24",),
    "IPv6 alone": ("2001:db8:1::5/64",),
}
#: Name → its A and its AAAA records.
NAMES = {
    "global.example.": (("192.0.2.1",), ("2001:db8:9::1",)),
    "service.ula.": (("10.96.0.1",), ("fd00:1::9",)),
    "mixed.example.": (("192.0.2.1",), ("2001:db8:9::1", "fd00:1::9", "2001:db8:1::9")),
    "sixtofour.example.": (("192.0.2.1",), ("2002:c000:201::1", "2001:db8:9::1")),
    "four.example.": (("192.0.2.2", "192.0.2.1"), ()),
}


def serve() -> None:
    """Answer on port 53 from `NAMES`, over UDP."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def answer() -> None:
        while True:
            wire, client = server.recvfrom(4096)
            query = dns.message.from_wire(wire)
            question = query.question[0]
            reply = dns.message.make_response(query)
            reply.flags |= dns.flags.RA
            data = NAMES[question.name.to_text()][question.rdtype == dns.rdatatype.AAAA]
            for one in data:  # a set of its own for each: dnspython shuffles the records of a set
                reply.answer.append(dns.rrset.from_text(question.name, 5, "IN", question.rdtype, one))
            server.sendto(reply.to_wire(), client)

    threading.Thread(target=answer, daemon=True).start()


def as_libc(program: str | None) -> list[list[str]]:
    """What getaddrinfo hands out, name by name."""
    jobs = [
        {"number": number, "name": name, "types": (), "hostname": "host", "resolv_conf": "nameserver 127.0.0.1\n"}
        for number, name in enumerate(NAMES)
    ]
    found = returned(started(jobs, program))
    return [found[number]["addresses"] for number in range(len(NAMES))]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def settle(addresses: tuple[str, ...]) -> None:
    """A fresh interface with these addresses and the default routes of their families."""
    subprocess.run(["ip", "link", "del", "d0"], check=False, capture_output=True)
    ip("link", "add", "d0", "up", "type", "veth", "peer", "name", "d1")
    ip("link", "set", "d1", "up")
    for address in addresses:
        ip("addr", "add", address, "dev", "d0", *(["nodad"] if ":" in address else []))
    for family in {"-6" if ":" in address else "-4" for address in addresses}:
        ip(family, "route", "add", "default", "dev", "d0")


def main(musl: str) -> None:
    ip("link", "set", "lo", "up")
    serve()
    for place, addresses in PLACES.items():
        settle(addresses)
        handed = {"glibc": as_libc(None)} | ({"musl": as_libc(musl)} if musl != "-" else {})
        for number, (name, (four, six)) in enumerate(NAMES.items()):
            source = sources([*four, *six])
            own = {
                "glibc": order(Profile.GLIBC, [*four, *six], source),
                "musl": order(Profile.MUSL, [*six, *four], source),
            }
            for libc, theirs in handed.items():
                case = f"{place}: {name} as {libc}"
                print(json.dumps({"case": case, "libc": theirs[number], "prober": own[libc]}))


if __name__ == "__main__":
    main(sys.argv[1])
