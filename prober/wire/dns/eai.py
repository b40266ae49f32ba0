"""What getaddrinfo(3) returns for a lookup: the error as its caller sees it. Pure."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from prober.options import Profile
from prober.reasons import Reason
from prober.wire.dns.message import Step
from prober.wire.dns.resolver import Lookup, settles

#: The same numbers in both libraries' netdb.h (musl has EAI_NODATA since 1.2.4).
NUMBERS: Mapping[int, str] = MappingProxyType(
    {-2: "EAI_NONAME", -3: "EAI_AGAIN", -4: "EAI_FAIL", -5: "EAI_NODATA", -11: "EAI_SYSTEM"}
)
#: Codes that glibc understands, or asks another server after; no code: silence.
_TEMPORARY: Final = frozenset({None, "NOERROR", "NXDOMAIN", "SERVFAIL", "NOTIMP", "REFUSED"})
#: In the place of an error: the call does not return.
ENDLESS: Final = "no return"
_SHARED: Final = {Reason.NAME_NOT_FOUND: "EAI_NONAME", Reason.NO_DATA: "EAI_NODATA"}


def error_of(lookup: Lookup, profile: Profile, *, modern: bool = True) -> str | None:
    """The error that the C library of `profile` makes of `lookup`; None where it returns addresses.

    musl: everything that is no answer is EAI_AGAIN (lookup_name.c, name_from_dns); before 1.2.4 (not `modern`) no data
    was EAI_NONAME. glibc: a code that no other server is asked after, FORMERR say, reads as "no such name", and so does
    an answer of nothing but other records; of a pair, no data outweighs SERVFAIL and silence. All as measured of 2.36.
    """
    if lookup.reason is None:
        return None
    if lookup.endless:
        return ENDLESS
    if profile is Profile.MUSL:
        error = {**_SHARED, Reason.MALFORMED: "EAI_NODATA"}.get(lookup.reason, "EAI_AGAIN")
        return error if modern or error != "EAI_NODATA" else "EAI_NONAME"
    return _glibc_error(lookup)


def _glibc_error(lookup: Lookup) -> str:
    alone = lookup.steps[0].query.type if len(lookup.steps) == 1 else None
    if any(step.astray for step in lookup.steps):
        return "EAI_NODATA" if alone == "A" else "EAI_NONAME"
    if lookup.reason is Reason.SERVER_FAILURE and any(step.rcode not in _TEMPORARY for step in lookup.steps):
        return "EAI_NONAME"
    if any(step.reason is Reason.NO_DATA and settles(step) for step in lookup.steps):
        return "EAI_NONAME" if lookup.reason is Reason.NAME_NOT_FOUND else "EAI_NODATA"
    if alone == "A" and _ended_over_tcp(lookup.steps[0]):
        return "EAI_NONAME"
    return "EAI_NONAME" if lookup.reason is Reason.NAME_NOT_FOUND else "EAI_AGAIN"


def _ended_over_tcp(step: Step) -> bool:
    """By neither a refusal nor a timeout of the connection: where IPv4 alone is wanted, glibc then has no such name."""
    over_tcp = step.query.transport == "tcp" or step.reason is Reason.TRUNCATED
    return over_tcp and step.errno not in (errno.ECONNREFUSED, errno.ETIMEDOUT)
