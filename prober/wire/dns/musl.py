"""The stub resolver of musl as a state machine, beside `prober.wire.dns.glibc`. No I/O, no clock.

All of it is in musl's src/network/lookup_name.c (the names, and what an answer means), res_msend.c (who is asked when)
and resolvconf.c (what counts of the file), as of 1.2.4 to 1.2.6: all servers at once, A and AAAA together, from one
socket. Up to 1.2.3 there was no TCP: what a truncated answer held was all there was.

Differences on purpose: an answer has to repeat its question, and its records to belong to the name (musl looks at the
id alone); `transport` is obeyed, since a probe may ask over TCP, TLS or HTTPS where musl itself has no such option;
`attempts:0`, by which musl divides, counts as 1.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final

from prober.reasons import Reason
from prober.wire.dns.edns import Asking
from prober.wire.dns.message import Query, Step, is_name
from prober.wire.dns.resolvconf import MAX_SERVERS, ResolvConf
from prober.wire.dns.resolver import Candidate, Lookup, Machine, Race, conclude, telling

#: Bytes of a line of resolv.conf: longer ones are ignored (resolvconf.c, `char line[256]` with newline and NUL).
MAX_LINE: Final = 254
#: Bytes of a name as it is given, and of one with its suffix (lookup_name.c, `strnlen(name, 255)` and `canon[256]`).
_MAX_NAME, _CANON = 254, 256
_PLAIN: Final = Asking()
_USABLE: Final = frozenset({"NOERROR", "NXDOMAIN"})


def candidates(name: str, conf: ResolvConf, *, modern: bool = True) -> tuple[Candidate, ...]:
    """The names to ask for, in musl's order (lookup_name.c, name_from_dns_search); none: there is no such name.

    Dots ≥ ndots or a trailing dot: as it is, alone. Else the search list, then as it is. Names that fit into no query
    are passed over; before 1.2.4 (not `modern`) such a suffix ended the search.
    """
    bare = name.removesuffix(".")
    if not bare or bare.endswith(".") or len(name) > _MAX_NAME:
        return ()
    found = []
    if not name.endswith(".") and name.count(".") < conf.ndots:
        for suffix in _search(conf):
            if len(suffix) >= _CANON - len(name) - 1:
                continue
            full = f"{name}.{suffix}"
            full = full if full.endswith(".") and suffix != "." else f"{full}."
            if is_name(full):
                found.append(Candidate(full, suffix))
            elif not modern:
                return tuple(found)
    return (*found, Candidate(f"{bare}.")) if is_name(f"{bare}.") else tuple(found)


def _search(conf: ResolvConf) -> tuple[str, ...]:
    """The search list, if the file has one on a line that is not too long."""
    line = len("search ") + len(" ".join(conf.search))
    return conf.search if conf.search_given and line <= MAX_LINE else ()


def usable(step: Step) -> bool:
    """An answer that musl takes: yes or no. Refusals are passed over, failures asked again (res_msend.c)."""
    return step.rcode in _USABLE or step.reason is Reason.MALFORMED


class Heat:
    """What a `Race` still wants, told of each step as it comes (res_msend.c, __res_msend_rc)."""

    def __init__(self, race: Race) -> None:
        self._race = race
        self._open = {query.type for query in race.queries}
        self._cut: set[str] = set()
        self._again = 0
        self._left = 0
        self.broken = False

    @property
    def over(self) -> bool:
        """Nothing more is waited for: every type has its answer, or TCP broke off."""
        return self.broken or not (self._open or self._cut)

    def wants(self, query: Query) -> bool:
        """Whether an answer to `query` would still count."""
        return query.type in (self._cut if self._is_fallback(query) else self._open)

    def due(self) -> tuple[Query, ...]:
        """The queries of the next round: all of the types that have no answer, to all servers."""
        self._again = 2 * len({query.type for query in self._race.queries})
        return tuple(query for query in self._race.queries if query.type in self._open)

    def hear(self, step: Step) -> Query | None:
        """Take note of a step; the query to send at once because of it, if any.

        SERVFAIL: the same again, twice per type and round. Truncated: the same over TCP.
        """
        query = step.query
        if self._is_fallback(query):
            self._cut.discard(query.type)
            self.broken = not usable(step)
        elif query.type in self._open and usable(step):
            self._open.discard(query.type)
            if step.reason is Reason.TRUNCATED and self._race.tcp_fallback:
                self._cut.add(query.type)
                return query._replace(transport="tcp")
        elif query.type in self._open and step.rcode == "SERVFAIL" and self._again:
            self._again -= 1
            return query
        return None

    def _is_fallback(self, query: Query) -> bool:
        return query not in self._race.queries


def musl(
    name: str, types: tuple[str, ...], conf: ResolvConf, asking: Asking = _PLAIN, *, modern: bool = True
) -> Machine:
    """Look up `name` for every one of `types` (one, or getaddrinfo's A and AAAA) as musl does.

    `modern`: 1.2.4 or newer. Only "no such name" leads to the next name: no data and no answer end the search.
    """
    lookup = Lookup(Reason.NAME_NOT_FOUND)
    if not conf.timeout:
        return Lookup(Reason.TIMEOUT)
    for candidate in candidates(name, conf, modern=modern):
        race = _race(candidate.name, types, conf, asking, modern=modern)
        lookup = yield from _name(race, types, candidate.suffix)
        if lookup.reason is not Reason.NAME_NOT_FOUND:
            break
    return lookup


def _race(name: str, types: tuple[str, ...], conf: ResolvConf, asking: Asking, *, modern: bool) -> Race:
    """All that is asked for one name: each type of all servers, every `timeout / attempts` (whole milliseconds)."""
    servers = conf.servers[:MAX_SERVERS]
    queries = tuple(
        Query(server, name, kind, conf.transport, asking, servers[:place].count(server))
        for kind in types
        for place, server in enumerate(servers)
    )
    milliseconds = int(conf.timeout * 1000)
    return Race(queries, milliseconds // max(conf.attempts, 1) / 1000, milliseconds / 1000, modern)


def _name(race: Race, types: Sequence[str], suffix: str | None) -> Generator[Race, Sequence[Step], Lookup]:
    """Ask for one name; what the answers say together (lookup_name.c, name_from_dns): by type, the first that is
    missing or says "no such name", else all of them.
    """
    steps = yield race
    counted = tuple(_of_type(kind, steps) for kind in types)
    for step in counted:
        if not usable(step) or (step.reason is Reason.TRUNCATED and race.tcp_fallback):
            return Lookup(step.reason, counted, suffix)
        if step.rcode == "NXDOMAIN":
            return Lookup(Reason.NAME_NOT_FOUND, counted, suffix)
    return conclude([_as_held(step) for step in counted], suffix)


def _of_type(kind: str, steps: Sequence[Step]) -> Step:
    """The step that counts for a type: the answer over TCP, else the first usable one, else the most telling."""
    own = [step for step in steps if step.query.type == kind and step.reason is not Reason.CANCELLED]
    taken = [step for step in own if usable(step)]
    cut = next((step for step in taken if step.reason is Reason.TRUNCATED), None)
    over_tcp = [step for step in own if cut and step.query == cut.query._replace(transport="tcp")]
    if cut and over_tcp:
        last = over_tcp[-1]
        why = f"truncated over udp, and over tcp {last.reason}: {last.detail}".removesuffix(": ")
        return last if usable(last) else cut._replace(detail=why)
    return taken[0] if taken else min(own, key=telling)


def _as_held(step: Step) -> Step:
    """A truncated answer that nobody asks for again counts as what it holds."""
    if step.reason is not Reason.TRUNCATED:
        return step
    return step._replace(reason=None if step.answers else Reason.NO_DATA, detail="truncated, and taken as it is")
