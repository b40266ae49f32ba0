"""What the C library of this machine asks, beside what `prober.wire.dns.resolver` asks, name by name.

Run as a program inside a network namespace of its own (see `netns.py`): it takes the address of the first name server
of /etc/resolv.conf for itself, answers there, and prints both lists of queries and both errors per case as JSON lines.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from prober.options import Profile
from prober.wire.dns.eai import NUMBERS, error_of
from prober.wire.dns.lookup import look_up
from prober.wire.dns.resolvconf import parse, system
from prober.wire.dns.trail import Trail

SEARCH = "ns.svc.c svc.c c"
#: name, RES_OPTIONS, and what the server says: "name" or "name/TYPE" → response code (default NXDOMAIN), drop, lame, or
#: an address. Every case has names of its own: what is asked is told apart by the first label, the case's number.
CASES: dict[str, tuple[str, str, dict[str, str]]] = {
    "short name": ("web", "ndots:5", {"web.ns.svc.c.": "10.1.1.1"}),
    "public name": ("www.example.com", "ndots:5", {"www.example.com.": "10.1.1.1"}),
    "trailing dot": ("www.example.com.", "ndots:5", {"www.example.com.": "10.1.1.1"}),
    "enough dots": ("a.example.com", "ndots:2", {"a.example.com.svc.c.": "10.1.1.1"}),
    "not at all": ("web", "ndots:5", {}),
    "no data on a suffix": ("web", "ndots:5", {"web.ns.svc.c.": "NOERROR", "web.svc.c.": "10.1.1.1"}),
    "servfail on a suffix": ("web", "ndots:5", {"web.ns.svc.c.": "SERVFAIL", "web.svc.c.": "10.1.1.1"}),
    "refused on a suffix": ("web", "ndots:5", {"web.ns.svc.c.": "REFUSED", "web.svc.c.": "10.1.1.1"}),
    "formerr on a suffix": ("web", "ndots:5", {"web.ns.svc.c.": "FORMERR", "web.svc.c.": "10.1.1.1"}),
    "silence on a suffix": ("web", "ndots:5 timeout:1 attempts:1", {"web.ns.svc.c.": "drop", "web.svc.c.": "10.1.1.1"}),
    "lame on a suffix": ("web", "ndots:5", {"web.ns.svc.c.": "lame", "web.svc.c.": "10.1.1.1"}),
    "only A": ("web", "ndots:5", {"web.ns.svc.c./A": "10.1.1.1", "web.ns.svc.c./AAAA": "NOERROR"}),
    "AAAA dropped": ("web.", "timeout:1", {"web./A": "10.1.1.1", "web./AAAA": "drop"}),
    "AAAA dropped, reopen": ("web.", "timeout:1 single-request-reopen", {"web./A": "10.1.1.1", "web./AAAA": "drop"}),
    "AAAA servfail": ("web.", "timeout:1", {"web./A": "10.1.1.1", "web./AAAA": "SERVFAIL"}),
    "A servfail": ("web", "ndots:5", {"web.ns.svc.c./A": "SERVFAIL", "web.ns.svc.c./AAAA": "10.1.1.1"}),
    "A servfail, AAAA no data": ("web", "ndots:5", {"web.ns.svc.c./A": "SERVFAIL", "web.ns.svc.c./AAAA": "NOERROR"}),
    "A no data, AAAA no name": ("web", "ndots:5", {"web.ns.svc.c./A": "NOERROR", "web.svc.c.": "10.1.1.1"}),
    "A no data, AAAA servfail": (
        "web",
        "ndots:5",
        {"web.ns.svc.c./A": "NOERROR", "web.ns.svc.c./AAAA": "SERVFAIL", "web.svc.c.": "10.1.1.1"},
    ),
    "A no data, AAAA dropped": (
        "web",
        "ndots:5 timeout:1",
        {"web.ns.svc.c./A": "NOERROR", "web.ns.svc.c./AAAA": "drop", "web.svc.c.": "10.1.1.1"},
    ),
    "enough dots, servfail": ("a.example.com", "ndots:1", {"a.example.com.": "SERVFAIL"}),
    "AAAA dropped, in turn": ("web.", "timeout:1 single-request", {"web./A": "10.1.1.1", "web./AAAA": "drop"}),
    "notimp": ("web.", "timeout:1", {"web.": "NOTIMP"}),
    "nothing but A without data": ("web.", "timeout:1", {"web./A": "NOERROR"}),
    "nothing but AAAA without data": ("web.", "timeout:1", {"web./AAAA": "NOERROR"}),
    "A fails, AAAA no name": ("web.", "timeout:1", {"web./A": "SERVFAIL"}),
    "A no name, AAAA fails": ("web.", "timeout:1", {"web./AAAA": "SERVFAIL"}),
    "A no data, AAAA fails": ("web.", "timeout:1", {"web./A": "NOERROR", "web./AAAA": "SERVFAIL"}),
    "A dropped, AAAA no data": ("web.", "timeout:1 attempts:1", {"web./A": "drop", "web./AAAA": "NOERROR"}),
    "refused": ("web.", "timeout:1", {"web.": "REFUSED"}),
    "formerr": ("web.", "timeout:1", {"web.": "FORMERR"}),
    "one after the other": ("web.", "single-request", {"web.": "10.1.1.1"}),
}


class Server:
    """Answers over UDP by the table of the case, and remembers who asked what."""

    def __init__(self, address: str) -> None:
        self.asked: dict[str, list[str]] = {}
        self._socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def take(self) -> dict[str, list[str]]:
        """The queries since the last call, by case."""
        asked, self.asked = self.asked, {}
        return asked

    def _serve(self) -> None:
        while True:
            wire, client = self._socket.recvfrom(4096)
            query = dns.message.from_wire(wire)
            label, _, name = query.question[0].name.to_text().partition("-")
            asked = f"{name}/{dns.rdatatype.to_text(query.question[0].rdtype)}"
            self.asked.setdefault(label, []).append(asked)
            table = list(CASES.values())[int(label)][2]
            word = table.get(asked, table.get(name, "NXDOMAIN"))
            if word != "drop":
                self._socket.sendto(self._reply(query, word).to_wire(), client)

    @staticmethod
    def _reply(query: dns.message.Message, word: str) -> dns.message.Message:
        reply = dns.message.make_response(query)
        if word == "lame":
            return reply
        reply.flags |= dns.flags.RA
        if not word[0].isdigit():
            reply.set_rcode(dns.rcode.from_text(word))
            return reply
        question = query.question[0]
        v6 = question.rdtype == dns.rdatatype.AAAA
        reply.answer.append(
            dns.rrset.from_text(question.name, 5, "IN", question.rdtype, f"fd00::{word}" if v6 else word)
        )
        return reply


def as_libc(name: str, options: str) -> str | None:
    """The error that getaddrinfo returns."""
    environment = {**os.environ, "LOCALDOMAIN": SEARCH, "RES_OPTIONS": options}
    program = (
        "import socket, sys\ntry: socket.getaddrinfo(sys.argv[1], 80, type=1)\nexcept OSError as e: print(e.errno)"
    )
    done = subprocess.run([sys.executable, "-c", program, name], env=environment, check=True, capture_output=True)
    return NUMBERS[int(done.stdout)] if done.stdout else None


async def as_prober(names: list[tuple[str, str]]) -> list[str | None]:
    """The error that each of the lookups comes to."""
    servers = system().servers[:1]
    confs = [replace(parse(f"search {SEARCH}\noptions {options}"), servers=servers) for _, options in names]
    found = await asyncio.gather(
        *(look_up(name, ("A", "AAAA"), conf, Trail()) for (name, _), conf in zip(names, confs, strict=True))
    )
    return [error_of(lookup, Profile.GLIBC) for lookup in found]


def main() -> None:
    first = system().servers[0]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    if not first.address.startswith("127."):
        subprocess.run(["ip", "addr", "add", first.address, "dev", "lo"], check=True)
    server = Server(first.address)
    names = [(f"{number}-{name}", options) for number, (name, options, _) in enumerate(CASES.values())]
    with ThreadPoolExecutor(8) as pool:
        errors = list(pool.map(as_libc, *zip(*names, strict=True)))
    theirs = server.take()
    our_errors = asyncio.run(as_prober(names))
    ours = server.take()
    for number, case in enumerate(CASES):
        libc = {"asked": theirs.get(str(number)), "error": errors[number]}
        prober = {"asked": ours.get(str(number)), "error": our_errors[number]}
        print(json.dumps({"case": case, "libc": libc, "prober": prober}))


if __name__ == "__main__":
    main()
