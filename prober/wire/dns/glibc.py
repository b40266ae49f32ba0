"""The stub resolver of glibc as a state machine, beside `prober.wire.dns.musl`. No I/O, no clock.

What getaddrinfo(3) of the GNU C library does, in resolv/res_query.c (the names, and what an answer means) and
resolv/res_send.c (who is asked when); as of 2.36, whose every query tests/network/test_dns_truth.py holds this against.

Differences on purpose: `transport` is obeyed, since a probe may ask over TCP, TLS or HTTPS, and then has its `timeout`:
glibc itself waits for a TCP connection for as long as the kernel does, and for an answer over it without an end.
An error without its question (FORMERR) is taken where glibc waits on; a query is no answer, for glibc it is.
"""

from __future__ import annotations

import errno
import math
import re
from collections.abc import Generator, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Final

from prober.options import Transport
from prober.reasons import Reason
from prober.wire.dns.edns import GLIBC_PAYLOAD, Asking
from prober.wire.dns.message import Query, Step, is_name
from prober.wire.dns.resolvconf import ResolvConf, Server
from prober.wire.dns.resolver import (
    Ask,
    Candidate,
    Fresh,
    Lookup,
    Machine,
    Sending,
    conclude,
    is_cut,
    settles,
    telling,
)  # fmt: skip

_PLAIN: Final = Asking()
#: RES_MAXRETRANS (seconds) and RES_MAXRETRY of resolv.h.
_MAX_TIMEOUT, _MAX_ATTEMPTS = 30.0, 5
_ALSO_NEXT_NAME: Final = frozenset({Reason.NAME_NOT_FOUND, Reason.NO_DATA})
#: resolv/res-name-checking.c, res_hnok: what getaddrinfo asks for at all.
_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_.-]+")
#: Bytes of getaddrinfo's first buffer for an answer (include/scratch_buffer.h).
_ROOM: Final = 1024
_ADDRESSES: Final = frozenset({"A", "AAAA"})


def candidates(name: str, conf: ResolvConf) -> tuple[Candidate, ...]:
    """The names to ask for, in glibc's order (res_query.c, __res_context_search).

    A trailing dot: as it is, alone. Dots ≥ ndots: as it is, then the search list. Else the search list, then as it
    is, unless the root is on the list. A name that fits into no query is left out, and ends the search list.
    """
    as_is = (Candidate(name if name.endswith(".") else f"{name}."),)
    searched: tuple[Candidate, ...] = ()
    dots = name.count(".")
    if not name.endswith("."):
        joined = (Candidate(_join(name, suffix), suffix) for suffix in conf.search)
        searched = tuple(takewhile(_fits, joined))
    if name.endswith(".") or dots >= conf.ndots:
        order = as_is + searched
    elif "." in conf.search or (conf.no_tld_query and not dots and conf.search):
        order = searched
    else:
        order = searched + as_is
    return tuple(filter(_fits, order)) if name else ()


def _fits(candidate: Candidate) -> bool:
    return is_name(candidate.name)


def _join(name: str, suffix: str) -> str:
    return f"{name}.{suffix.removeprefix('.').removesuffix('.')}".removesuffix(".") + "."


def wait_for(conf: ResolvConf, position: int) -> float:
    """Seconds that glibc waits for the server at `position`: later ones share a growing time (res_send.c, send_dg).

    Whole seconds, at least one, as in the C library, unless `timeout` itself is not whole.
    """
    seconds = float(conf.timeout) * (1 << position)
    if position:
        seconds /= len(conf.servers)
    return max(1.0, math.floor(seconds)) if float(conf.timeout).is_integer() else seconds


def next_name(steps: Sequence[Step]) -> bool:
    """After this failure of a suffix, the search goes on with the next one: no such name, no data, or SERVFAIL."""
    settled = [step for step in steps if settles(step)]
    if settled:
        return all(step.reason in _ALSO_NEXT_NAME or step.rcode == "SERVFAIL" for step in settled)
    return any(step.rcode == "SERVFAIL" for step in steps)


def verdict(failures: Sequence[Lookup]) -> Lookup:
    """Which of the failed names speaks for the whole search: as it was given if that came first, else a name without
    data, else a SERVFAIL, else the last.
    """
    if failures[0].suffix is None:
        return failures[0]
    for wanted in (Reason.NO_DATA, Reason.SERVER_FAILURE):
        for failure in failures:
            if failure.reason is wanted and next_name(failure.steps):
                return failure
    return failures[-1]


class _Glibc:
    """One lookup. What it learns about the servers (one of a pair was lost) holds until it ends.

    `turn`: with which server it begins where they take turns, which moves on with each name.
    """

    def __init__(self, types: tuple[str, ...], conf: ResolvConf, asking: Asking, turn: int) -> None:
        self._types = types
        self._conf = conf
        self._asking = asking
        self._turn = turn
        self._places: Sequence[int] = range(len(conf.servers))
        self._modes = [Sending.TOGETHER, Sending.IN_TURN, Sending.REOPEN]
        if len(types) == 1:
            self._modes = [Sending.TOGETHER]
        elif asking.own_sockets:
            self._modes = [Sending.APART]
        elif conf.single_request_reopen:
            self._modes = [Sending.REOPEN]
        elif conf.single_request:
            self._modes = [Sending.IN_TURN, Sending.REOPEN]
        self._stream: Transport = "tcp" if conf.transport == "udp" else conf.transport
        self._tcp = False
        self._fresh = Fresh.ALL
        self._refused = True

    def search(self, names: Sequence[Candidate]) -> Machine:
        """Walk the names until one is answered."""
        failures: list[Lookup] = []
        searching = True
        for candidate in names if self._conf.attempts else ():
            if candidate.suffix is not None and not searching:
                continue
            steps = yield from self._name(candidate.name)
            result = conclude(steps, candidate.suffix)
            if result.reason is None or any(step.astray for step in steps):
                return result
            if candidate.suffix is not None and self._refused:
                return result
            failures.append(result)
            searching = candidate.suffix is None or next_name(steps)
        if not self._conf.attempts:
            return Lookup(Reason.TIMEOUT)
        return verdict(failures) if failures else Lookup(Reason.NAME_NOT_FOUND)

    def _name(self, name: str) -> Generator[Ask, Sequence[Step], Sequence[Step]]:
        """Ask the servers in turn for one name, `attempts` rounds, over TCP one; the most telling steps.

        `_refused` says afterwards whether no server could be reached at all.
        """
        self._tcp = self._conf.transport != "udp" or self._conf.use_vc
        self._fresh = Fresh.ALL
        self._refused = True
        best: Sequence[Step] = ()
        if self._conf.rotate:
            count = len(self._places)
            self._places = [(self._turn + place) % count for place in range(count)]
            self._turn += 1
        for _ in range(self._conf.attempts):
            for place in self._places:
                steps = yield from self._server(name, place)
                if self._is_over(steps):
                    self._refused = False
                    return steps
                best = min(best, steps, key=_tells) if best else steps
            if self._tcp and self._conf.transport == "udp":
                break
        return best

    def _is_over(self, steps: Sequence[Step]) -> bool:
        """One answer of a pair is enough; over TCP the C library throws it away if the other does not come."""
        if steps[0].query.transport == "tcp" and self._conf.transport == "udp":
            return all(settles(step) for step in steps)
        return any(settles(step) for step in steps)

    def _server(self, name: str, place: int) -> Generator[Ask, Sequence[Step], Sequence[Step]]:
        """Ask one server; a truncated answer is asked for again over TCP, and so is every server after it."""
        server, wait = self._conf.servers[place], wait_for(self._conf, place)
        cut: Sequence[Step] = ()
        if not self._tcp:
            cut = yield from self._udp(self._queries(name, server, "udp"), wait, place)
            if all(map(settles, cut)):
                return cut
            self._refused = self._refused and all(step.reason is Reason.UNREACHABLE for step in cut)
            if not any(map(is_cut, cut)):
                return cut
            self._tcp = True
        steps = yield from self._over_tcp(self._queries(name, server, self._stream), wait)
        if cut and not any(step.rcode for step in steps):
            why = f"truncated over udp, and over tcp {steps[0].reason}: {steps[0].detail}".removesuffix(": ")
            return [step._replace(detail=why, errno=steps[0].errno) if is_cut(step) else step for step in cut]
        return steps

    def _over_tcp(self, queries: tuple[Query, ...], wait: float) -> Generator[Ask, Sequence[Step], Sequence[Step]]:
        """Ask on a connection, and once more where the server resets it (send_vc)."""
        if self._conf.transport != "udp":
            steps = yield Ask(queries, wait)
            self._refused = self._refused and all(step.reason is Reason.UNREACHABLE for step in steps)
            return steps
        fresh = Fresh.ALL if self._fresh is Fresh.ALL else Fresh.SOCKETS
        self._fresh = Fresh.SOCKETS
        steps = yield Ask(queries, math.inf, fresh=fresh)
        if any(step.errno == errno.ECONNRESET for step in steps):
            steps = yield Ask(queries, math.inf, fresh=Fresh.SOCKETS)
        self._refused = any(step.errno == errno.ECONNREFUSED for step in steps)
        return steps

    def _udp(
        self, queries: tuple[Query, ...], wait: float, place: int
    ) -> Generator[Ask, Sequence[Step], Sequence[Step]]:
        """Ask over UDP; where one of a pair stays unanswered, again and more carefully (the "5 s race").

        Sockets are used again, with the same ids, until an error or the last mode closes them all.
        """
        while True:
            fresh, self._fresh = self._fresh, Fresh.NOTHING
            steps = yield Ask(queries, wait, self._modes[0], fresh, place, hasty=not self._asking.own_sockets)
            if len(steps) == len(queries) and all(map(settles, steps)):
                return steps
            broken = any(step.rcode is None and step.reason is not Reason.TIMEOUT for step in steps)
            if broken or (len(queries) == 1 and not settles(steps[0]) and steps[0].rcode is not None):
                self._fresh = Fresh.SOCKETS
                return steps
            settled = sum(map(settles, steps))
            if len(self._modes) == 1 or not 0 < settled < len(queries) or all(step.rcode for step in steps):
                return steps
            self._modes.pop(0)
            if self._modes[0] is Sending.REOPEN:
                self._fresh = Fresh.SOCKETS

    def _queries(self, name: str, server: Server, transport: Transport) -> tuple[Query, ...]:
        return tuple(Query(server, name, kind, transport, self._asking) for kind in self._types)


def _tells(steps: Sequence[Step]) -> int:
    return min(map(telling, steps))


def glibc(name: str, types: tuple[str, ...], conf: ResolvConf, asking: Asking = _PLAIN, *, turn: int = 0) -> Machine:
    """Look up `name` for every one of `types` (one, or getaddrinfo's A and AAAA) as the GNU C library does.

    `turn`: the server to begin with, where the file says `rotate`.
    """
    if conf.timeout > _MAX_TIMEOUT or conf.attempts > _MAX_ATTEMPTS:
        conf = replace(conf, timeout=min(conf.timeout, _MAX_TIMEOUT), attempts=min(conf.attempts, _MAX_ATTEMPTS))
    if conf.edns0 and asking.payload is None:
        asking = asking._replace(payload=GLIBC_PAYLOAD)
    if conf.trust_ad:
        asking = asking._replace(authentic_data=True)
    if conf.no_aaaa and len(types) > 1:
        types = tuple(kind for kind in types if kind != "AAAA")
    is_program = _ADDRESSES.issuperset(types) and conf.transport == "udp"
    names = () if is_program and not _HOST_NAME.fullmatch(name) else candidates(name, conf)
    lookups, room = _Glibc(types, conf, asking, turn), _ROOM
    while True:
        lookup = yield from lookups.search(names)
        if lookup.reason is not None or not is_program or _bytes_of(lookup) <= room:
            return lookup
        room *= 2


def _bytes_of(lookup: Lookup) -> int:
    """What the answer takes of getaddrinfo's buffer: where it does not fit, everything is asked once more, for one of
    twice the size (posix/getaddrinfo.c, gethosts; resolv/nss_dns/dns-host.c: tuples for a pair, else pointers).
    """
    found = [len(step.answers) for step in lookup.steps]
    head = len(lookup.name)  # without its dot, with a NUL
    if len(found) > 1:
        return head + 40 * sum(found)
    return head + 16 + (12 if lookup.steps[0].query.type == "A" else 24) * found[0]
