"""A stub resolver as a state machine: which question goes to which server next, and when it is over. No I/O, no clock.

Here is what the machines have in common: a machine is a generator that yields an `Ask` or a `Race`, is sent the `Step`s
that came of it, and returns the `Lookup`. One for each C library: `prober.wire.dns.glibc` and `prober.wire.dns.musl`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from enum import Enum
from typing import Final, NamedTuple

from prober.reasons import Reason
from prober.wire.dns.message import Query, Step


class Sending(Enum):
    """How several questions for one name leave: A and AAAA of getaddrinfo."""

    TOGETHER = "all at once, from one socket"
    APART = "all at once, each from a socket of its own"
    IN_TURN = "one after the other's answer, from one socket (single-request)"
    REOPEN = "one after the other's answer, each from a socket of its own (single-request-reopen)"


class Fresh(Enum):
    """What an `Ask` does not take over from those before it. A late answer counts where id and socket are the same."""

    ALL = "new ids and new sockets"
    SOCKETS = "the ids of before, from new sockets"
    NOTHING = "the ids of before, from the same sockets"


class Ask(NamedTuple):
    """Questions for one name to one server over one transport, and the seconds to wait for all of their answers.

    `place`: which of the servers it is; each has a socket of its own. `hasty`: a truncated answer ends it at once, and
    where one question is sent after the other's answer, a failure keeps the next from being sent.
    It is answered by one `Step` for each question that was sent, in their order.
    """

    queries: tuple[Query, ...]
    wait: float
    sending: Sending = Sending.TOGETHER
    fresh: Fresh = Fresh.ALL
    place: int = 0
    hasty: bool = False


class Candidate(NamedTuple):
    """A name to ask for, absolute, and the search suffix that made it; None: the name as it was given."""

    name: str
    suffix: str | None = None


class Lookup(NamedTuple):
    """How a lookup ended. `reason` is None where at least one type was answered.

    `steps` are those that decided it, all for one name, at most one per type; none where the name cannot be asked for.
    `endless`: the C library would wait on, for an answer over TCP, and never return.
    """

    reason: Reason | None
    steps: tuple[Step, ...] = ()
    suffix: str | None = None
    endless: bool = False

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


#: From the best to know to the least: an answer of any kind tells more than an ICMP error, that more than silence.
_TELLING: Final = (
    None, Reason.NAME_NOT_FOUND, Reason.NO_DATA, Reason.TRUNCATED, Reason.REFUSED, Reason.SERVER_FAILURE,
    Reason.MALFORMED, Reason.UNREACHABLE, Reason.TIMEOUT, Reason.CANCELLED,
)  # fmt: skip
_NEXT_SERVER: Final = frozenset({"SERVFAIL", "NOTIMP", "REFUSED"})


def is_cut(step: Step) -> bool:
    """A truncated answer, for the rest of which TCP is asked."""
    return step.reason is Reason.TRUNCATED and not step.lame


def settles(step: Step) -> bool:
    """No other server is asked after this step (send_dg of glibc; over TCP, send_vc takes whatever it gets)."""
    if step.rcode is None:
        return False
    if step.query.transport != "udp":
        return True
    return step.rcode not in _NEXT_SERVER and not step.lame and step.reason is not Reason.TRUNCATED


def conclude(steps: Sequence[Step], suffix: str | None) -> Lookup:
    """What the steps for one name say together: an answer of any type is success, no data the weakest failure."""
    reasons = [step.reason for step in steps]
    if None in reasons:
        return Lookup(None, tuple(steps), suffix)
    first, *_ = sorted(reasons, key=lambda reason: (reason is Reason.NO_DATA, _TELLING.index(reason)))
    return Lookup(first, tuple(steps), suffix)


def telling(step: Step) -> int:
    """How little a step tells: an answer is 0, silence the most."""
    return _TELLING.index(step.reason)
