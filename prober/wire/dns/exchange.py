"""What every exchange under the stub resolver has: questions under way to one server, and the answers to them.

Over UDP: `prober.wire.dns.datagrams`; over TCP, TLS and HTTPS: `prober.wire.dns.streams`; which of them: `perform`.
Questions to several servers at once: `prober.wire.dns.race`.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from prober.reasons import Reason
from prober.wire.dns.kept import Kept
from prober.wire.dns.message import Query, Sent, Step, judge
from prober.wire.dns.resolvconf import Server
from prober.wire.dns.resolver import Ask, is_cut
from prober.wire.dns.trail import Trail
from prober.wire.errqueue import IcmpError
from prober.wire.stamps import Instant, Span
from prober.wire.stream import Stream

#: Answers to other questions that are passed over in one exchange: a flood of them must not hold the event loop.
MAX_STRAYS: Final = 100
#: Errors of this process, which say nothing about a server: they are raised.
OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Channel(Protocol):
    """Encrypted ways to a server, as the layer above opens and judges them. `open` and `ask` raise ChannelFailed."""

    async def open(self, server: Server) -> tuple[Stream, Span]:
        """A stream that takes DNS messages, and how long the network took until it was open."""
        ...

    async def ask(self, server: Server, message: bytes) -> tuple[bytes, Span]:
        """The reply to one message, and how long the network took, a connection of its own included."""
        ...

    def broken(self, error: OSError) -> ChannelFailed | None:
        """What an error of an open stream means; None: what it means on any stream."""
        ...


class ChannelFailed(Exception):
    """No question could be asked, or no answer taken: what a dns layer calls it, and how long it took."""

    def __init__(self, reason: Reason, detail: str, took: Span | None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.took = took


def explain(error: OSError) -> str:
    """What the kernel says, and the ICMP error behind it. EAGAIN, of a connect, is the lack of a local port."""
    if error.errno == errno.EAGAIN:
        return "no local port is left (ip_local_port_range)"
    icmp: IcmpError | None = getattr(error, "icmp", None)
    text = error.strerror or str(error)
    return f"{text} (ICMP {icmp.label} from {icmp.offender})" if icmp else text


class Exchange(ABC):
    """Questions under way to one server, and the answers that belong to them."""

    number: int | None = None
    """The id of its messages; None: a random one each."""

    def __init__(self, ask: Ask, trail: Trail, kept: Kept) -> None:
        self.ask = ask
        self.trail = trail
        self.kept = kept
        self.messages: dict[Query, Sent] = {}
        self.strays = 0

    @abstractmethod
    async def go(self, until: float) -> None:
        """Ask, and receive until everything is answered. OSError where the server cannot be reached.

        TimeoutError once the loop's time is `until`.
        """

    @property
    def passed_over(self) -> str:
        """What to say of answers that belonged to no question."""
        return f"{self.strays} answers to other questions passed over" if self.strays else ""

    def prepare(self, queries: Sequence[Query]) -> None:
        """Build the messages of `queries` and put them on the trail."""
        for query in queries:
            self.messages[query] = self.kept.message(query, self.number)
            self.trail.ask(query, Instant.now())

    def take(self, data: bytes, since: Callable[[Instant], Span]) -> Step | None:
        """Judge one reply; `since` says how long after its query it came. A flood of strays is `malformed`.

        The step that came of it; None: it answers nothing.
        """
        step = judge(self.messages, data)
        if step is not None:
            del self.messages[step.query]
            self.trail.hear(step, since)
            if self.ask.hasty and self.messages and (is_cut(step) or step.rcode is None):
                self._end(Reason.CANCELLED, "the other answer was enough")
            return step
        self.strays += 1
        if self.strays > MAX_STRAYS:
            self._end(Reason.MALFORMED, self.passed_over)
        return None

    def _end(self, reason: Reason, detail: str) -> None:
        asked = tuple(self.messages)
        self.messages.clear()
        self.trail.give_up(reason, detail, asked)
