"""The tcp rung: one connect to one address. Held: the handshake completed (RFC 9293 section 3.5), and the peer answered
what `tcp.send` and `tcp.expect` ask for, if they do."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Final

from prober.layers.base import Ascent, Failed
from prober.model import Evidence
from prober.options import Step
from prober.reasons import Reason
from prober.wire.errqueue import IcmpError
from prober.wire.losses import LossWatch
from prober.wire.marks import PLAIN, Marks
from prober.wire.source import has_source, is_own
from prober.wire.tcp import Attempt, ConnectFailed, SourceFailed, TcpInfo, TcpStream, open_tcp

#: What an errno of connect(2) means where no ICMP error explains it.
ERRNO_REASONS: Final[dict[int, Reason]] = {
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.ECONNRESET: Reason.RESET,
    errno.EPIPE: Reason.RESET,
    errno.ETIMEDOUT: Reason.TIMEOUT,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTDOWN: Reason.UNREACHABLE,
    errno.ENETDOWN: Reason.UNREACHABLE,
    errno.EINVAL: Reason.UNREACHABLE,  # a link-local address without its zone
    errno.EAFNOSUPPORT: Reason.UNREACHABLE,  # this Pod has no such family
    errno.EACCES: Reason.PROHIBITED,  # ICMPv6 administratively prohibited, or a local rule
    errno.EPERM: Reason.NOT_PERMITTED,  # a local netfilter rule or a seccomp profile
    errno.EADDRNOTAVAIL: Reason.NO_LOCAL_PORT,  # but see `connect`
    errno.EMFILE: Reason.NOT_PERMITTED,
    errno.ENFILE: Reason.NOT_PERMITTED,
}

# Codes of Destination Unreachable: RFC 792 and RFC 1812 section 5.2.7.1 for type 3, RFC 4443 section 3.1 for type 1
_V4_PROHIBITED = frozenset({9, 10, 13})
_V6_PROHIBITED = frozenset({1, 5, 6})
_V4_UNREACHABLE, _V6_UNREACHABLE = 3, 1
_V4_PORT, _V6_PORT = 3, 4


def reason_of(number: int, icmp: IcmpError | None) -> Reason:
    """The reason behind a failed connect: the ICMP error decides where there is one, else the errno."""
    if icmp is None or icmp.type != (_V6_UNREACHABLE if icmp.version == 6 else _V4_UNREACHABLE):
        return ERRNO_REASONS.get(number, Reason.UNREACHABLE)
    if icmp.code == (_V6_PORT if icmp.version == 6 else _V4_PORT):
        return Reason.REJECTED
    prohibited = _V6_PROHIBITED if icmp.version == 6 else _V4_PROHIBITED
    return Reason.PROHIBITED if icmp.code in prohibited else Reason.UNREACHABLE


def said_by(icmp: IcmpError) -> Evidence:
    """What was said, by whom, and whether that is this place itself."""
    own: Evidence = {"from_here": True} if is_own(icmp.offender) else {}
    return {"icmp": icmp.label, "from": icmp.offender, **own}


async def connect(ascent: Ascent) -> None:
    """Open the connection that every rung above will use. The time is the kernel's SYN round trip where it has one."""
    if ascent.address is None:
        raise Failed(Reason.UNREACHABLE, "no address to connect to")
    attempt = Attempt()
    try:
        stream = await _open(ascent, ascent.address, attempt)
    except SourceFailed as failure:
        ascent.evidence["errno"] = errno.errorcode.get(failure.errno or 0, str(failure.errno))
        raise Failed(Reason.NOT_PERMITTED, f"no connection may come from {ascent.evidence['source']}") from failure
    except ConnectFailed as failure:
        ascent.evidence["errno"] = errno.errorcode.get(failure.errno or 0, str(failure.errno))
        if failure.icmp is not None:
            ascent.evidence |= said_by(failure.icmp)
        if failure.errno == errno.EADDRNOTAVAIL and not has_source(ascent.address):
            raise Failed(Reason.UNREACHABLE) from failure
        raise Failed(reason_of(failure.errno or 0, failure.icmp)) from failure
    finally:  # a deadline leaves what the kernel had done until then
        if (info := attempt.info) is not None and (info.waiting or info.retransmits):
            ascent.evidence["retransmits"] = info.retransmits
    ascent.stream = stream
    if (info := stream.connected) is not None:
        _note(ascent, info)
        if (handshake := info.handshake) is not None:
            ascent.took(handshake, kernel=True)
    if steps := ascent.cell.options.tcp.steps:
        await _converse(ascent, stream, steps)
    ascent.lost = LossWatch(stream.socket, 0 if info is None else info.retransmits)


def _note(ascent: Ascent, info: TcpInfo) -> None:
    ascent.evidence |= {
        "rtt": round(info.rtt, 6), "rttvar": round(info.rttvar, 6), "retransmits": info.retransmits, "mss": info.mss,
        "advmss": info.advmss, "path_mtu": info.path_mtu, "options": info.options,
    }  # fmt: skip


async def _converse(ascent: Ascent, stream: TcpStream, steps: Sequence[Step]) -> None:
    """Speak on the open connection; the evidence of TCP_INFO is then that of all its segments."""
    from prober.layers.tcp.dialogue import converse

    try:
        await converse(ascent, stream, steps)
    except OSError as error:
        ascent.evidence["errno"] = errno.errorcode.get(error.errno or 0, str(error.errno))
        raise Failed(reason_of(error.errno or 0, None)) from error
    finally:
        if (info := TcpInfo.of(stream.socket)) is not None:
            _note(ascent, info)


async def _open(ascent: Ascent, address: str, attempt: Attempt) -> TcpStream:
    """Connect from the address and with the class that `tcp:` asks for."""
    options = ascent.cell.options.tcp
    source = options.source_for(ascent.cell.family) if options.source else ""
    if source:
        ascent.evidence["source"] = source
    marks = Marks(dscp=options.dscp) if options.dscp else PLAIN
    return await open_tcp(address, ascent.port, source=source, marks=marks, attempt=attempt)
