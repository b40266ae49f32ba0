"""A stub resolver as a state machine: which question goes to which server next, and when it is over. No I/O, no clock.

`glibc` does what getaddrinfo(3) of the GNU C library does (resolv/res_query.c and resolv/res_send.c): a generator that
yields an `Ask`, is sent the `Step`s that came of it, and returns the `Lookup`. The one of musl: `prober.wire.dns.musl`.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace
from enum import Enum
from typing import Final, NamedTuple

from prober.options import Transport
from prober.reasons import Reason
from prober.wire.dns.edns import GLIBC_PAYLOAD, Asking
from prober.wire.dns.message import Query, Step, is_name
from prober.wire.dns.resolvconf import ResolvConf, Server


class Sending(Enum):
    """How several questions for one name leave: A and AAAA of getaddrinfo."""

    TOGETHER = "all at once, from one socket"
    APART = "all at once, each from a socket of its own"
    IN_TURN = "one after the other's answer, from one socket (single-request)"
    REOPEN = "one after the other's answer, each from a socket of its own (single-request-reopen)"


class Ask(NamedTuple):
    """Questions for one name to one server over one transport, and the seconds to wait for all of their answers.

    It is answered by one `Step` for each question that was sent, in their order.
    """

    queries: tuple[Query, ...]
    wait: float
    sending: Sending = Sending.TOGETHER


class Candidate(NamedTuple):
    """A name to ask for, absolute, and the search suffix that made it; None: the name as it was given."""

    name: str
    suffix: str | None = None


class Lookup(NamedTuple):
    """How a lookup ended. `reason` is None where at least one type was answered.

    `steps` are those that decided it, all for one name, at most one per type; none where the name cannot be asked for.
    """

    reason: Reason | None
    steps: tuple[Step, ...] = ()
    suffix: str | None = None

    @property
    def decisive(self) -> Step | None:
        """The step to show: the first answered one, else the one that gave the reason."""
        return next((step for step in self.steps if step.reason is self.reason), None)

    @property
    def name(self) -> str:
        """The absolute name that decided it, "" where none could be asked for."""
        return self.steps[0].query.name if self.steps else ""


class Race(NamedTuple):
    """Questions for one name to all servers at once, from one socket: for each type the first usable answer counts.

    They leave in the order of `queries`; what is unanswered is asked again every `interval` seconds until `wait` are
    over. `tcp_fallback`: a truncated answer is asked for again over TCP. It is answered by all the `Step`s that came of
    it, in the order in which they came: one for each time that a query was sent.
    """

    queries: tuple[Query, ...]
    interval: float
    wait: float
    tcp_fallback: bool = True


Machine = Generator[Ask | Race, Sequence[Step], Lookup]


def candidates(name: str, conf: ResolvConf) -> tuple[Candidate, ...]:
    """The names to ask for, in glibc's order (res_query.c, __res_context_search).

    A trailing dot: as it is, alone. Dots ≥ ndots: as it is, then the search list. Else the search list, then as it
    is, unless the root is on the list. Names that fit into no query are left out.
    """
    if name.endswith("."):
        order: tuple[Candidate, ...] = (Candidate(name),)
    else:
        as_is = (Candidate(f"{name}."),)
        searched = tuple(Candidate(_join(name, suffix), suffix) for suffix in conf.search)
        dots = name.count(".")
        if dots >= conf.ndots:
            order = as_is + searched
        elif "." in conf.search or (conf.no_tld_query and not dots and searched):
            order = searched
        else:
            order = searched + as_is
    return tuple(candidate for candidate in order if name and is_name(candidate.name))


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


_PLAIN: Final = Asking()
#: RES_MAXRETRANS (seconds) and RES_MAXRETRY of resolv.h.
_MAX_TIMEOUT, _MAX_ATTEMPTS = 30.0, 5
#: From the best to know to the least: an answer of any kind tells more than an ICMP error, that more than silence.
_TELLING: Final = (
    None, Reason.NAME_NOT_FOUND, Reason.NO_DATA, Reason.TRUNCATED, Reason.REFUSED, Reason.SERVER_FAILURE,
    Reason.MALFORMED, Reason.UNREACHABLE, Reason.TIMEOUT,
)  # fmt: skip
_NEXT_SERVER: Final = frozenset({"SERVFAIL", "NOTIMP", "REFUSED"})
_ALSO_NEXT_NAME: Final = frozenset({Reason.NAME_NOT_FOUND, Reason.NO_DATA})


def settles(step: Step) -> bool:
    """No other server is asked after this step (send_dg; over TCP, send_vc takes whatever it gets)."""
    if step.rcode is None or step.reason is Reason.MALFORMED:
        return False
    if step.query.transport != "udp":
        return True
    return step.rcode not in _NEXT_SERVER and not step.lame and step.reason is not Reason.TRUNCATED


def next_name(steps: Sequence[Step]) -> bool:
    """After this failure of a suffix, the search goes on with the next one: no such name, no data, or SERVFAIL."""
    settled = [step for step in steps if settles(step)]
    if settled:
        return all(step.reason in _ALSO_NEXT_NAME or step.rcode == "SERVFAIL" for step in settled)
    return any(step.rcode == "SERVFAIL" for step in steps)


def conclude(steps: Sequence[Step], suffix: str | None) -> Lookup:
    """What the steps for one name say together: an answer of any type is success, no data the weakest failure."""
    reasons = [step.reason for step in steps]
    if None in reasons:
        return Lookup(None, tuple(steps), suffix)
    first, *_ = sorted(reasons, key=lambda reason: (reason is Reason.NO_DATA, _TELLING.index(reason)))
    return Lookup(first, tuple(steps), suffix)


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
    """One lookup. What it learns about the servers (one of a pair was lost) holds until it ends."""

    def __init__(self, types: tuple[str, ...], conf: ResolvConf, asking: Asking) -> None:
        self._types = types
        self._conf = conf
        self._asking = asking
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
        self._tcp = conf.transport != "udp" or conf.use_vc

    def search(self, names: Sequence[Candidate]) -> Machine:
        """Walk the names until one is answered."""
        failures: list[Lookup] = []
        searching = True
        for candidate in names:
            if candidate.suffix is not None and not searching:
                continue
            steps, heard = yield from self._name(candidate.name)
            result = conclude(steps, candidate.suffix)
            if result.reason is None or (candidate.suffix is not None and not heard):
                return result
            failures.append(result)
            searching = candidate.suffix is None or next_name(steps)
        return verdict(failures) if failures else Lookup(Reason.NAME_NOT_FOUND)

    def _name(self, name: str) -> Generator[Ask, Sequence[Step], tuple[Sequence[Step], bool]]:
        """Ask the servers in turn for one name, `attempts` rounds; the most telling steps, and whether any server
        could be reached at all.
        """
        self._tcp = self._conf.transport != "udp" or self._conf.use_vc
        best: Sequence[Step] = ()
        heard = False
        for _ in range(self._conf.attempts):
            for position, server in enumerate(self._conf.servers):
                steps = yield from self._server(name, server, wait_for(self._conf, position))
                heard = heard or any(step.reason is not Reason.UNREACHABLE for step in steps)
                if any(settles(step) for step in steps):
                    return steps, True
                best = min(best, steps, key=_tells) if best else steps
        return best, heard

    def _server(self, name: str, server: Server, wait: float) -> Generator[Ask, Sequence[Step], Sequence[Step]]:
        """Ask one server; a truncated answer is asked for again over TCP, and so is every server after it."""
        cut: Sequence[Step] = ()
        if not self._tcp:
            cut = yield from self._udp(self._queries(name, server, "udp"), wait)
            if not any(step.reason is Reason.TRUNCATED and not step.lame for step in cut):
                return cut
            self._tcp = True
        steps = yield Ask(self._queries(name, server, self._stream), wait)
        if cut and not any(step.rcode for step in steps):
            why = f"truncated over udp, and over tcp {steps[0].reason}: {steps[0].detail}".removesuffix(": ")
            return [step._replace(detail=why) if step.reason is Reason.TRUNCATED else step for step in cut]
        return steps

    def _udp(self, queries: tuple[Query, ...], wait: float) -> Generator[Ask, Sequence[Step], Sequence[Step]]:
        """Ask over UDP; where one of a pair stays unanswered, again and more carefully (the "5 s race")."""
        while True:
            steps = yield Ask(queries, wait, self._modes[0])
            answered = sum(step.rcode is not None for step in steps)
            if len(self._modes) == 1 or not 0 < answered < len(queries):
                return steps
            self._modes.pop(0)

    def _queries(self, name: str, server: Server, transport: Transport) -> tuple[Query, ...]:
        return tuple(Query(server, name, kind, transport, self._asking) for kind in self._types)


def _tells(steps: Sequence[Step]) -> int:
    return min(map(telling, steps))


def telling(step: Step) -> int:
    """How little a step tells: an answer is 0, silence the most."""
    return _TELLING.index(step.reason)


def glibc(name: str, types: tuple[str, ...], conf: ResolvConf, asking: Asking = _PLAIN) -> Machine:
    """Look up `name` for every one of `types` (one, or getaddrinfo's A and AAAA) as the GNU C library does."""
    if conf.timeout > _MAX_TIMEOUT or conf.attempts > _MAX_ATTEMPTS:
        conf = replace(conf, timeout=min(conf.timeout, _MAX_TIMEOUT), attempts=min(conf.attempts, _MAX_ATTEMPTS))
    if conf.edns0 and asking.payload is None:
        asking = asking._replace(payload=GLIBC_PAYLOAD)
    if conf.trust_ad:
        asking = asking._replace(authentic_data=True)
    return _Glibc(types, conf, asking).search(candidates(name, conf))
