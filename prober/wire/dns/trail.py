"""What a lookup has asked and heard so far: it survives a lookup that a deadline ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

from prober.reasons import Reason
from prober.wire.dns.message import Query, Step
from prober.wire.dns.resolver import Lookup
from prober.wire.stamps import Instant, Span


class Trail:
    """What a lookup has asked and heard so far."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.waiting: dict[Query, Instant] = {}
        self.spent: dict[str, float] = {}
        """Name → seconds that the network took for its queries; those sent together count once."""
        self.kernel = True
        """Every query that has ended was answered, and timed by the kernel alone."""
        self.lost: Counter[str] = Counter()
        """What connections lost meanwhile, as `LossWatch` counts it."""

    @property
    def asked(self) -> int:
        """Queries so far, answered or not."""
        return len(self.steps) + len(self.waiting)

    @property
    def latest(self) -> Query | None:
        """The query asked last."""
        return next(reversed(self.waiting), self.steps[-1].query if self.steps else None)

    @property
    def seconds(self) -> float:
        """What the network took for all queries that have ended."""
        return sum(self.spent.values())

    def wasted(self, lookup: Lookup) -> float:
        """Seconds spent on other names than the one that decided `lookup`."""
        return sum(seconds for name, seconds in self.spent.items() if not lookup.steps or name != lookup.name)

    def ask(self, query: Query, sent: Instant) -> None:
        """`query` is on its way since `sent`."""
        self.waiting[query] = sent

    def hear(self, step: Step, since: Callable[[Instant], Span] | None = None) -> None:
        """`step` came of its query. `since` says how long after the asking; without it, until now."""
        sent = self.waiting.pop(step.query)
        took = Span(Instant.now().monotonic - sent.monotonic, kernel=False) if since is None else since(sent)
        self.kernel = self.kernel and took.kernel
        self.steps.append(step._replace(seconds=took.seconds))

    def give_up(
        self, reason: Reason, detail: str = "", among: Collection[Query] | None = None, took: Span | None = None,
        errno: int = 0,
    ) -> None:  # fmt: skip
        """Every query still waiting, or those of them in `among`, ends with `reason`, after `took` or now."""
        since = None if took is None else lambda _sent: took
        for query in tuple(self.waiting):
            if among is None or query in among:
                self.hear(Step(query, reason, detail=detail, errno=errno), since)
