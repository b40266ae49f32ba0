"""The icmp rung: a train of echo requests. Held: at least one was answered."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from time import perf_counter
from typing import Final, TypeVar

from prober.layers.base import Ascent, Failed
from prober.layers.tcp import reason_of as unreachable_reason
from prober.model import Evidence
from prober.options import IcmpOptions
from prober.reasons import Reason
from prober.wire.errqueue import IcmpError
from prober.wire.icmp import Echo, EchoReply, EchoSocket, NotPermittedError, Pinger

T = TypeVar("T", EchoReply, IcmpError)

NOT_PERMITTED_DETAIL: Final = (
    "no ICMP socket may be opened: let the sysctl net.ipv4.ping_group_range (both families) cover this process's gid, "
    "or give it the capability NET_RAW"
)

#: What an errno of sendto(2) says of the path. Every other one is an error of our own.
ERRNO_REASONS: Final[dict[int, Reason]] = {
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENETDOWN: Reason.UNREACHABLE,
    errno.EHOSTDOWN: Reason.UNREACHABLE,
    errno.EADDRNOTAVAIL: Reason.UNREACHABLE,
    errno.EAFNOSUPPORT: Reason.UNREACHABLE,  # this Pod has no such family
    errno.EINVAL: Reason.UNREACHABLE,  # a link-local address without its zone
    errno.ECONNREFUSED: Reason.UNREACHABLE,
    errno.EACCES: Reason.PROHIBITED,  # a prohibit route
    errno.EPERM: Reason.PROHIBITED,  # a packet filter on the way out
    errno.EMSGSIZE: Reason.TOO_BIG,
}

# RFC 1191 section 4: type 3, code 4; RFC 4443 section 3.2: type 2
_V4_TOO_BIG, _V6_TOO_BIG = (3, 4), 2


def reason_of(error: IcmpError) -> Reason:
    """The reason behind an ICMP error that answered an echo request."""
    if (error.type == _V6_TOO_BIG) if error.version == 6 else ((error.type, error.code) == _V4_TOO_BIG):
        return Reason.TOO_BIG
    reason = unreachable_reason(0, error)
    return Reason.PROHIBITED if reason is Reason.PROHIBITED else Reason.UNREACHABLE


async def echo(ascent: Ascent) -> None:
    """Send `icmp.count` requests `icmp.gap` seconds apart. The layer's time is the mean round trip of the answered."""
    if ascent.address is None:
        raise Failed(Reason.UNREACHABLE, "no address to send to")
    echoes: list[Echo] = []
    sender = _sender(ascent)
    try:
        refused = await _send(echoes, sender, ascent.address, ascent.cell.options.icmp)
        await _gather(echoes, ascent.cell.options.icmp.gap)
    finally:  # a deadline leaves what was seen until then
        ascent.evidence |= _evidence(echoes, ascent.address)
        for each in echoes:
            sender.forget(each)
    replies, errors = _answers(echoes, EchoReply), _answers(echoes, IcmpError)
    if replies:
        mean = sum(reply.seconds for reply in replies) / len(replies)
        ascent.took(mean, kernel=all(reply.took.kernel for reply in replies), waited=_waited(echoes))
    elif errors:
        raise Failed(reason_of(errors[0]))
    elif refused is not None:
        raise _failed(ascent, refused) from refused


def _sender(ascent: Ascent) -> EchoSocket:
    """The process's echo socket for the cell's family."""
    try:
        sender = ascent.kit.get(Pinger).socket(ascent.cell.family)
    except NotPermittedError as error:
        raise Failed(Reason.NOT_PERMITTED, NOT_PERMITTED_DETAIL) from error
    except OSError as error:
        raise _failed(ascent, error) from error
    ascent.evidence["socket"] = "raw" if sender.raw else "datagram"
    return sender


async def _send(echoes: list[Echo], sender: EchoSocket, address: str, options: IcmpOptions) -> OSError | None:
    """Send the train into `echoes`; the error that ended it early, if one did."""
    for number in range(options.count):
        if number:
            await asyncio.sleep(options.gap)
        try:
            echoes.append(sender.send(address, options.size))
        except OSError as error:
            return error
    return None


async def _gather(echoes: Sequence[Echo], gap: float) -> None:
    """Wait for the answers: for the first as long as the climb may take, then for twice the longest round trip so far,
    as ping(8) does, and no less than `gap` seconds.
    """
    waiting = {echo.answer: echo for echo in echoes if not echo.answer.done()}
    longest = max((reply.seconds for reply in _answers(echoes, EchoReply)), default=None)
    while waiting:
        patience = None if longest is None else max(2 * longest, gap)
        done, _ = await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return
        now = perf_counter()
        longest = max(longest or 0.0, *(now - waiting.pop(answer).sent.monotonic for answer in done))


def _answers(echoes: Sequence[Echo], kind: type[T]) -> list[T]:
    """The answers of one kind that have come so far, in the order of the requests."""
    came = [echo.answer.result() for echo in echoes if echo.answer.done() and not echo.answer.cancelled()]
    return [answer for answer in came if isinstance(answer, kind)]


def _waited(echoes: Sequence[Echo]) -> float:
    """Seconds from the first request to the last answer, pauses included; until now where an answer is missing."""
    first = echoes[0].sent.monotonic
    ends = [echo.sent.monotonic + reply.seconds for echo in echoes for reply in _answers((echo,), EchoReply)]
    return (max(ends) if len(ends) == len(echoes) else perf_counter()) - first


def _evidence(echoes: Sequence[Echo], address: str) -> Evidence:
    """Counts, round trips in seconds, and who else than the target answered."""
    replies, errors = _answers(echoes, EchoReply), _answers(echoes, IcmpError)
    evidence: Evidence = {"sent": len(echoes), "received": len(replies)}
    if replies:
        times = [reply.seconds for reply in replies]
        figures = {"rtt_min": min(times), "rtt_avg": sum(times) / len(times), "rtt_max": max(times)}
        evidence |= {key: round(seconds, 6) for key, seconds in figures.items()}
        evidence["ttl"] = replies[0].ttl
        if (source := replies[0].source) != address:
            evidence["from"] = source
    if errors:
        evidence |= {"icmp": errors[0].label, "from": errors[0].offender}
        if reason_of(errors[0]) is Reason.TOO_BIG and errors[0].info:
            evidence["mtu"] = errors[0].info
    return evidence


def _failed(ascent: Ascent, error: OSError) -> Failed:
    """What an error of the socket says of the path. Raises it again where it is an error of our own."""
    if isinstance(error, socket.gaierror):
        return Failed(Reason.UNREACHABLE, error.strerror or "no such zone")
    reason = ERRNO_REASONS.get(error.errno or 0)
    if reason is None:
        raise error
    ascent.evidence["errno"] = errno.errorcode.get(error.errno or 0, str(error.errno))
    return Failed(reason)
