"""What passed through the delay tool put together again: conversations, and how long the exchanges in them took.

An exchange takes from the moment when the vantage's packet came to the tool until the tool let the answer go: the way
there and back as the tool really made it, and what the server took. Beside it lies only the vantage's own link.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.network.lab.passage import FIN, SYN, Header, Passage

_UDP, _TCP, _ICMP = "udp", "tcp", "icmp"
_HALF = 1 << 31  # of the sequence numbers


class Exchange(NamedTuple):
    """An exchange as the tool made it."""

    held: tuple[Passage, ...]
    """What the vantage sent last, and the answer: one segment or more. What follows an answer at once, as the end of
    the connection does, may be merged with it before it is read, and is among them."""

    @property
    def ends(self) -> list[float]:
        """Seconds that it took, to each segment of the answer."""
        asked, *answer = self.held
        return [passage.left - asked.came for passage in answer if passage.left is not None]

    @property
    def complete(self) -> float:
        """Seconds until all of the answer's data had been let go, in whatever order and however often it was sent."""
        asked, *answer = self.held
        spans = [(_ahead(passage.header, answer[0].header), passage.header.size, passage.left or asked.came)
                 for passage in answer if passage.header.size]  # fmt: skip
        reached, begin, end = 0.0, min(at for at, _, _ in spans), max(at + size for at, size, _ in spans)
        while begin < end:  # what comes next in line, in the copy that came first
            reaching = [(left, at + size) for at, size, left in spans if at <= begin < at + size]
            left, begin = min(reaching)
            reached = max(reached, left)
        return reached - asked.came

    def beside(self, seconds: float, rounding: float) -> float:
        """By how much `seconds` are more than it took: to the last segment that had been let go by then."""
        return seconds - max((end for end in self.ends if end <= seconds + rounding), default=self.ends[0])


@dataclass(slots=True)
class Conversation:
    """One flow between the vantage and a server: TCP, UDP, or one echo."""

    protocol: str
    server: str
    port: int
    """0 for ICMP."""
    there: list[Passage] = field(default_factory=list)
    back: list[Passage] = field(default_factory=list)

    def handshake(self) -> Exchange:
        """From the first SYN to the SYN-ACK, of TCP; from the request to the reply, of the others."""
        return Exchange((self.there[0], self.back[0]))

    def exchange(self, number: int, until: int | None = None) -> Exchange:
        """From the vantage's data segment `number` (from 0) to the answer: data that the server sent once it had that,
        and the end of the connection, which may be merged with it; until the vantage sends segment `until`."""
        spoken = [passage for passage in self.there if passage.header.size]
        asked, end = spoken[number], float("inf") if until is None else spoken[until].came
        assert asked.left is not None
        answer = [passage for passage in self.back if asked.left <= passage.came < end
                  and (passage.header.size or passage.header.flags & FIN)]  # fmt: skip
        return Exchange((asked, *answer))

    @property
    def syns(self) -> int:
        """SYNs that the vantage sent."""
        return sum(bool(passage.header.flags & SYN) for passage in self.there)

    def repeated(self, *, back: bool = False) -> int:
        """Segments with a SYN or data that were sent again by the vantage, or by the server on its way `back`."""
        count, first, reached = 0, None, 0
        for passage in self.back if back else self.there:
            header = passage.header
            if length := header.size + bool(header.flags & SYN):
                first = first or header
                at = _ahead(header, first)
                count += at < reached
                reached = max(reached, at + length)
        return count


def _ahead(header: Header, other: Header) -> int:
    """By how many bytes `header` is ahead of another one of the same direction (RFC 9293 section 3.4)."""
    return (header.sequence - other.sequence + _HALF) % (2 * _HALF) - _HALF


def conversations(passages: Iterable[Passage], vantage: Collection[str]) -> list[Conversation]:
    """Those that one of the addresses `vantage` began meanwhile, in the order of their first packets."""
    all_of_them: list[Conversation] = []
    latest: dict[tuple[str, str, int, str, int], Conversation] = {}
    for passage in sorted(passages, key=lambda each: each.came):
        header = passage.header
        if header.source in vantage and header.protocol in (_TCP, _UDP, _ICMP):
            begun = latest.get(header.flow)
            if _begins(header, begun):
                port = 0 if header.protocol == _ICMP else header.destination_port
                begun = latest[header.flow] = Conversation(header.protocol, header.destination, port)
                all_of_them.append(begun)
            if begun is not None:
                begun.there.append(passage)
        elif (begun := latest.get(header.back)) is not None:
            begun.back.append(passage)
    return all_of_them


def _begins(header: Header, before: Conversation | None) -> bool:
    """Whether the vantage begins a conversation with that, or goes on with the one `before` by the same ports."""
    if header.protocol != _TCP:
        return before is None or bool(before.back)
    again = before is not None and before.there[0].header.sequence == header.sequence
    return bool(header.flags & SYN) and not again
