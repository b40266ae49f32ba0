"""The icmp rung: a train of echo requests. Held: one was answered, or as many as `icmp.max_loss` asks for."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from time import perf_counter
from typing import Final

from prober.layers.base import Ascent, Failed
from prober.layers.icmp.train import Train, figures, train
from prober.layers.tcp.rung import reason_of as unreachable_reason
from prober.layers.tcp.rung import said_by
from prober.model import Evidence
from prober.options import IcmpOptions
from prober.reasons import Reason
from prober.wire.echo import Echo
from prober.wire.errqueue import IcmpError
from prober.wire.icmp import EchoSocket, NotPermittedError, SendFailed
from prober.wire.marks import Marks
from prober.wire.pinger import Pinger

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
    options = ascent.cell.options.icmp
    sender = _sender(ascent, ascent.address)
    try:
        refused = await _send(echoes, sender, ascent.address, options)
        await _gather(echoes, options.gap)
    finally:  # a deadline leaves what was seen until then
        seen = train(echoes)
        ascent.evidence |= figures(seen)
        _add_senders(ascent.evidence, seen, ascent.address)
        for each in echoes:
            sender.forget(each)
    if seen.replies:
        ascent.took(seen.mean, kernel=seen.kernel, waited=_waited(seen))
        if options.max_loss is None or (refused is None and seen.loss <= options.max_loss):
            return
    if seen.errors:
        raise Failed(reason_of(seen.errors[0]))
    if refused is not None:
        raise _failed(ascent, refused) from refused
    if seen.replies:
        lost = len(echoes) - len(seen.replies)
        raise Failed(Reason.TIMEOUT, f"{lost} of {len(echoes)} lost: icmp.max_loss is {options.max_loss:g}")


def _sender(ascent: Ascent, address: str) -> EchoSocket:
    """An echo socket of the cell's family for this run."""
    try:
        sender = ascent.kit.get(Pinger).socket(ascent.cell.family, address)
    except NotPermittedError as error:
        raise Failed(Reason.NOT_PERMITTED, NOT_PERMITTED_DETAIL) from error
    except OSError as error:
        raise _failed(ascent, error) from error
    ascent.evidence["socket"] = "raw" if sender.raw else "datagram"
    return sender


async def _send(echoes: list[Echo], sender: EchoSocket, address: str, options: IcmpOptions) -> OSError | None:
    """Send the train into `echoes`; the error that ended it early, if one did."""
    marks = Marks(options.ttl, options.dscp, options.dont_fragment)
    for number in range(options.count):
        if number:
            await asyncio.sleep(options.gap)
        try:
            echoes.append(sender.send(address, options.size, marks))
        except OSError as error:
            return error
    return None


async def _gather(echoes: Sequence[Echo], gap: float) -> None:
    """Wait for the answers: for the first as long as the climb may take, then for twice the longest round trip so far,
    as ping(8) does, and no less than `gap` seconds.
    """
    if len(echoes) == 1:
        await echoes[0].answer
        return
    waiting = {echo.answer: echo for echo in echoes if not echo.answer.done()}
    longest = max((reply.took.seconds for reply in train(echoes).replies), default=None)
    while waiting:
        patience = None if longest is None else max(2 * longest, gap)
        done, _ = await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            return
        now = perf_counter()
        longest = max(longest or 0.0, *(now - waiting.pop(answer).sent.monotonic for answer in done))


def _waited(seen: Train) -> float:
    """Seconds from the first request to the last answer, pauses included; until now where an answer is missing."""
    if len(seen.echoes) == 1:
        return seen.replies[0].took.seconds
    end = perf_counter()
    if len(seen.replies) == len(seen.echoes):
        end = max(echo.sent.monotonic + reply.took.seconds for echo, reply in zip(*seen[:2], strict=True))
    return end - seen.echoes[0].sent.monotonic


def _add_senders(evidence: Evidence, seen: Train, address: str) -> None:
    """Add the TTL that was left, and who else than the target answered."""
    if seen.replies:
        evidence["ttl"] = seen.replies[0].ttl
        if (source := seen.replies[0].source) != address:
            evidence["from"] = source
    if seen.errors:
        error = seen.errors[0]
        evidence |= said_by(error)
        if reason_of(error) is Reason.TOO_BIG and error.info:
            evidence["mtu"] = error.info


def _failed(ascent: Ascent, error: OSError) -> Failed:
    """What an error of the socket says of the path. Raises it again where it is an error of our own."""
    if isinstance(error, socket.gaierror):
        return Failed(Reason.UNREACHABLE, error.strerror or "no such zone")
    reason = ERRNO_REASONS.get(error.errno or 0)
    if reason is None:
        raise error
    ascent.evidence["errno"] = errno.errorcode.get(error.errno or 0, str(error.errno))
    if isinstance(error, SendFailed) and error.mtu:
        ascent.evidence["mtu"] = error.mtu
    return Failed(reason)
