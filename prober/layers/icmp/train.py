"""What a train of echo requests shows: loss, order, spread. Pure: nothing is sent or awaited here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

from prober.model import Evidence
from prober.wire.echo import Echo, EchoReply
from prober.wire.errqueue import IcmpError


class Train(NamedTuple):
    """The requests that left, and what has answered them so far, in the order of the requests."""

    echoes: Sequence[Echo]
    replies: list[EchoReply]
    errors: list[IcmpError]

    @property
    def loss(self) -> float:
        """The share of the requests that no reply has come for: 0 to 1, and 1 where none left."""
        return 1 - len(self.replies) / len(self.echoes) if self.echoes else 1.0

    @property
    def mean(self) -> float:
        """The mean round trip in seconds, of those that were answered."""
        return sum(reply.took.seconds for reply in self.replies) / len(self.replies)

    @property
    def kernel(self) -> bool:
        """Every round trip ends with the kernel's stamp."""
        return all(reply.took.kernel for reply in self.replies)


def train(echoes: Sequence[Echo]) -> Train:
    """What has come for `echoes` until now."""
    replies, errors = [], []
    for echo in echoes:
        if echo.answer.done() and not echo.answer.cancelled():
            came = echo.answer.result()
            if isinstance(came, EchoReply):
                replies.append(came)
            else:
                errors.append(came)
    return Train(echoes, replies, errors)


def figures(seen: Train) -> Evidence:
    """The round trips in seconds. Of more than one: loss, duplicates and late ones, mean deviation and jitter."""
    times = [reply.took.seconds for reply in seen.replies]
    evidence: Evidence = {"sent": len(seen.echoes), "received": len(times)}
    if len(times) == 1:
        evidence["rtt_min"] = evidence["rtt_avg"] = evidence["rtt_max"] = round(times[0], 6)
    elif times:
        spread = {"rtt_min": min(times), "rtt_avg": seen.mean, "rtt_max": max(times)}
        spread |= {"rtt_mdev": deviation(times), "jitter": jitter(times)}
        evidence |= {key: round(seconds, 6) for key, seconds in spread.items()}
    if len(seen.echoes) > 1:
        evidence |= {"loss": round(seen.loss, 4), "reordered": reordered(seen.replies)}
    if duplicates := sum(echo.duplicates for echo in seen.echoes):
        evidence["duplicates"] = duplicates
    return evidence


def deviation(times: Sequence[float]) -> float:
    """The standard deviation, which ping(8) calls mdev: the root of the mean square less the square of the mean."""
    mean = sum(times) / len(times)
    return sqrt(sum((time - mean) ** 2 for time in times) / len(times))


def jitter(times: Sequence[float]) -> float:
    """The mean difference between one round trip and the next, whichever is longer (IPDV of RFC 3393, both ways)."""
    return sum(abs(later - earlier) for earlier, later in pairwise(times)) / max(1, len(times) - 1)


def reordered(replies: Sequence[EchoReply]) -> int:
    """Replies that came after the reply to a later request (RFC 4737 section 3.3, of the way there and back)."""
    count, earliest = 0, float("inf")
    for reply in reversed(replies):
        count += reply.turn > earliest
        earliest = min(earliest, reply.turn)
    return count
