"""What a real musl asks and returns, beside what `prober.wire.dns.musl` does, name by name.

Run as a program inside a network namespace of its own (see `netns.py`), with the path of a statically linked program
that calls musl's getaddrinfo (`musl_getaddrinfo.c`) and `old` or `modern`: every case runs it in a root directory with
a resolv.conf of its own. One server answers on every address; both lists are printed per case as JSON lines.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from prober.options import Profile
from prober.wire.dns.eai import NUMBERS, error_of
from prober.wire.dns.lookup import run
from prober.wire.dns.musl import musl
from prober.wire.dns.resolvconf import parse
from prober.wire.dns.trail import Trail

_IPV6_RECVPKTINFO, _IPV6_PKTINFO = 49, 50  # linux/in6.h
_QUICK = "timeout:1 attempts:2"
_FOUND = "10.1.1.1"


@dataclass(frozen=True)
class Case:
    """A name, resolv.conf without its servers, what is said: by `server name/TYPE`, `name/TYPE`, `name` or `server`.

    A word is a response code (default NXDOMAIN), `drop`, `late` (an answer after 0.7 s), an address, `cut` (TC; the
    rest over TCP), `half` (TC with one address of two), `cut off` (TC; TCP closes); `A then B`: B from the second time.
    """

    name: str
    options: str = "ndots:5"
    says: dict[str, str] = field(default_factory=dict)
    servers: tuple[str, ...] = ("127.0.0.1",)
    search: str = "ns.svc.c svc.c c"

    @property
    def conf(self) -> str:
        lines = [f"nameserver {server}" for server in self.servers]
        return "\n".join([*lines, *([f"search {self.search}"] if self.search else []), f"options {self.options}", ""])


_PAIR = {"A": "web.ns.svc.c./A", "AAAA": "web.ns.svc.c./AAAA"}
_TWO = ("127.0.0.1", "127.0.0.2")


def _pair(a: str, aaaa: str, **more: str) -> dict[str, str]:
    return {_PAIR["A"]: a, _PAIR["AAAA"]: aaaa, "web.svc.c.": _FOUND, **more}


CASES: dict[str, Case] = {
    "short name": Case("web", says={"web.ns.svc.c.": _FOUND}),
    "second suffix": Case("web", says={"web.svc.c.": _FOUND}),
    "as it is at last": Case("web", says={"web.": _FOUND}),
    "not at all": Case("web"),
    "public name": Case("www.example.com", says={"www.example.com.": _FOUND}),
    "trailing dot": Case("www.example.com.", says={"www.example.com.": _FOUND}),
    "two trailing dots": Case("web.."),
    "the root": Case("."),
    "enough dots never search": Case("a.example.com", "ndots:2", {"a.example.com.svc.c.": _FOUND}),
    "enough dots, no data": Case("a.example.com", "ndots:2", {"a.example.com.": "NOERROR"}),
    "ndots 0": Case("web", "ndots:0", {"web.ns.svc.c.": _FOUND}),
    "ndots is 15 at most": Case("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p", "ndots:20", {"web.": _FOUND}),
    "ndots below 15": Case("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o", "ndots:20"),
    "no search list": Case("web", search=""),
    "search line too long": Case("web", search=" ".join(["a" * 60] * 4 + ["bbb", "c"])),
    "search line just fits": Case("web", search=" ".join(["a" * 60] * 4 + ["bb"])),
    "suffix with a dot behind": Case("web", search="a. b", says={"web.b.": _FOUND}),
    "suffix of the root": Case("web", search=". b", says={"web.b.": _FOUND}),
    "suffix with a dot before": Case("web", search=".a b", says={"web.b.": _FOUND}),
    "label too long": Case("x" * 62, search="a", says={}),
    "no data on a suffix": Case("web", says={"web.ns.svc.c.": "NOERROR", "web.svc.c.": _FOUND}),
    "servfail on a suffix": Case("web", f"ndots:5 {_QUICK}", {"web.ns.svc.c.": "SERVFAIL", "web.svc.c.": _FOUND}),
    "servfail once": Case("web", f"ndots:5 {_QUICK}", {"web.ns.svc.c.": f"SERVFAIL then {_FOUND}"}),
    "refused on a suffix": Case("web", f"ndots:5 {_QUICK}", {"web.ns.svc.c.": "REFUSED", "web.svc.c.": _FOUND}),
    "formerr on a suffix": Case("web", f"ndots:5 {_QUICK}", {"web.ns.svc.c.": "FORMERR", "web.svc.c.": _FOUND}),
    "silence on a suffix": Case("web", f"ndots:5 {_QUICK}", {"web.ns.svc.c.": "drop", "web.svc.c.": _FOUND}),
    "one attempt": Case("web", "ndots:5 timeout:1 attempts:1", {"web.ns.svc.c.": "drop"}),
    "four attempts": Case("web", "ndots:5 timeout:1 attempts:4", {"web.ns.svc.c.": "drop"}),
    "late answer": Case("web", f"ndots:5 {_QUICK}", {"web.ns.svc.c.": "late"}),
    "only A": Case("web", says=_pair(_FOUND, "NOERROR")),
    "only AAAA": Case("web", says=_pair("NOERROR", _FOUND)),
    "AAAA dropped": Case("web", f"ndots:5 {_QUICK}", _pair(_FOUND, "drop")),
    "A dropped": Case("web", f"ndots:5 {_QUICK}", _pair("drop", _FOUND)),
    "AAAA servfail": Case("web", f"ndots:5 {_QUICK}", _pair(_FOUND, "SERVFAIL")),
    "AAAA no name": Case("web", says=_pair(_FOUND, "NXDOMAIN")),
    "AAAA no name, as it is": Case("web.", says={"web./A": _FOUND}),
    "A no name": Case("web", says=_pair("NXDOMAIN", _FOUND)),
    "A no name, AAAA dropped": Case("web", f"ndots:5 {_QUICK}", _pair("NXDOMAIN", "drop")),
    "A no data, AAAA no name": Case("web", says=_pair("NOERROR", "NXDOMAIN")),
    "two servers": Case("web", says={"web.ns.svc.c.": _FOUND}, servers=_TWO),
    "three of four servers": Case("web", says={"web.c.": _FOUND}, servers=(*_TWO, "127.0.0.3", "127.0.0.4")),
    "IPv6 server": Case("web", says={"web.c.": _FOUND}, servers=("::1",)),
    "servers of both families": Case("web", says={"web.c.": _FOUND}, servers=("127.0.0.1", "::1")),
    "one of two servers dead": Case("web", says={"127.0.0.1": "drop", "web.c.": _FOUND}, servers=_TWO),
    "one of two servers refuses": Case("web", says={"127.0.0.1": "REFUSED", "web.c.": _FOUND}, servers=_TWO),
    "one of two fails": Case("web.", _QUICK, {"127.0.0.1": "SERVFAIL then drop", "127.0.0.2": "late"}, _TWO),
    "no name here, late there": Case("web.", _QUICK, {"127.0.0.1": "NXDOMAIN", "127.0.0.2": "late"}, _TWO),
    "both refuse": Case("web.", _QUICK, {"web.": "REFUSED"}, _TWO),
    "truncated": Case("web.", _QUICK, {"web.": "cut"}),
    "truncated, one type": Case("web.", _QUICK, {"web./A": "cut", "web./AAAA": "NOERROR"}),
    "truncated, half of it there": Case("web.", _QUICK, {"web.": "half"}),
    "truncated, tcp closes": Case("web.", _QUICK, {"web./A": "cut off", "web./AAAA": "NOERROR"}),
    "nobody listens": Case("web", f"ndots:5 {_QUICK}", servers=("192.0.2.1",)),
}
#: What 1.2.3 does wrong in a way that nobody should copy: for the suffix `.` it sends a query with a broken name.
MODERN_ONLY = ("suffix of the root",)


class Server:
    """Answers over UDP and TCP on all addresses by the table of the case, remembers who was asked what, in order."""

    def __init__(self) -> None:
        self._asked: dict[str, list[str]] = {}
        self._times: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self._udp.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        self._udp.bind(("::", 53))
        self._tcp = socket.create_server(("::", 53), family=socket.AF_INET6, dualstack_ipv6=True)
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def take(self) -> dict[str, list[str]]:
        """The queries since the last call, by case."""
        with self._lock:
            asked, self._asked = self._asked, {}
            self._times.clear()
        return asked

    def _serve_udp(self) -> None:
        while True:
            wire, ancillary, _, client = self._udp.recvmsg(4096, 256)
            info = next(data for level, kind, data in ancillary if kind == _IPV6_PKTINFO)
            here = socket.inet_ntop(socket.AF_INET6, info[:16])
            query, word = self._hear(wire, here, "udp")
            source = [(socket.IPPROTO_IPV6, _IPV6_PKTINFO, info[:16] + bytes(4))]
            if word != "drop":
                reply = _reply(query, word, "udp").to_wire()
                after = 0.7 if word == "late" else 0.0
                threading.Timer(after, self._udp.sendmsg, ([reply], source, 0, client)).start()

    def _serve_tcp(self) -> None:
        while True:
            connection, _ = self._tcp.accept()
            with connection:
                wire = connection.recv(4096)
                query, word = self._hear(wire[2:], connection.getsockname()[0], "tcp")
                if word != "cut off":
                    reply = _reply(query, word, "tcp").to_wire()
                    connection.sendall(len(reply).to_bytes(2, "big") + reply)

    def _hear(self, wire: bytes, here: str, transport: str) -> tuple[dns.message.Message, str]:
        """Write the query down; it and what is said to it."""
        query = dns.message.from_wire(wire)
        here = here.removeprefix("::ffff:")
        label, _, name = query.question[0].name.to_text().partition("-")
        asked = f"{name}/{dns.rdatatype.to_text(query.question[0].rdtype)}"
        says = list(CASES.values())[int(label)].says
        word = next((says[key] for key in (f"{here} {asked}", here, asked, name) if key in says), "NXDOMAIN")
        with self._lock:
            self._asked.setdefault(label, []).append(f"{here} {asked} {transport}")
            self._times[f"{label} {here} {asked}"] += 1
            words = word.split(" then ")
            return query, words[0 if self._times[f"{label} {here} {asked}"] == 1 else -1]


def _reply(query: dns.message.Message, word: str, transport: str) -> dns.message.Message:
    reply = dns.message.make_response(query)
    reply.flags |= dns.flags.RA
    cut = word in ("cut", "half", "cut off") and transport == "udp"
    reply.flags |= dns.flags.TC if cut else 0
    answers = [word] if word[0].isdigit() else [_FOUND] if word == "late" or (word == "half" and cut) else []
    if not cut and word in ("cut", "half"):
        answers = [_FOUND, "10.2.2.2"]
    if word.isupper():
        reply.set_rcode(dns.rcode.from_text(word))
    question = query.question[0]
    prefix = "fd00::" if question.rdtype == dns.rdatatype.AAAA else ""
    if answers:
        data = [f"{prefix}{answer}" for answer in answers]
        reply.answer.append(dns.rrset.from_text(question.name, 5, "IN", question.rdtype, *data))
    return reply


def as_musl(program: Path, number: int, case: Case) -> dict[str, object]:
    """The error and the addresses that musl returns."""
    with tempfile.TemporaryDirectory(dir=program.parent) as root:
        etc = Path(root, "etc")
        etc.mkdir()
        (etc / "resolv.conf").write_text(case.conf)
        Path(root, "lookup").hardlink_to(program)  # a copy would be "text file busy" in another thread's child
        done = subprocess.run(["chroot", root, "/lookup", f"{number}-{case.name}"], capture_output=True, check=True)
    code, *addresses = done.stdout.decode().split()
    return {"error": NUMBERS.get(int(code), code) if int(code) else None, "addresses": sorted(addresses)}


async def as_prober(number: int, case: Case, *, modern: bool) -> dict[str, object]:
    """The same of ours."""
    conf = parse(case.conf)
    lookup = await run(musl(f"{number}-{case.name}", ("A", "AAAA"), conf, modern=modern), Trail())
    found = [answer for step in lookup.steps for answer in step.answers] if lookup.reason is None else []
    addresses = sorted(str(ipaddress.ip_address(answer)) for answer in found)
    return {"error": error_of(lookup, Profile.MUSL, modern=modern), "addresses": addresses}


async def all_as_prober(*, modern: bool) -> list[dict[str, object]]:
    return await asyncio.gather(*(as_prober(n, case, modern=modern) for n, case in enumerate(CASES.values())))


def main(program: Path, version: str) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    server = Server()
    if version == "old":
        for case in MODERN_ONLY:
            del CASES[case]
    with ThreadPoolExecutor(len(CASES)) as pool:
        returned = list(pool.map(lambda numbered: as_musl(program, *numbered), enumerate(CASES.values())))
    asked = server.take()
    ours = asyncio.run(all_as_prober(modern=version == "modern"))
    asked_by_us = server.take()
    for number, case in enumerate(CASES):
        theirs = {**returned[number], "asked": asked.get(str(number), [])}
        mine = {**ours[number], "asked": asked_by_us.get(str(number), [])}
        print(json.dumps({"case": case, "musl": theirs, "prober": mine}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
