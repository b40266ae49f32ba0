"""What getaddrinfo(3) returns for a lookup: the error as its caller sees it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from prober.options import Profile
from prober.reasons import Reason
from prober.wire.resolver import Lookup

#: The same numbers in both libraries' netdb.h (musl has EAI_NODATA since 1.2.4).
NUMBERS: Mapping[int, str] = MappingProxyType(
    {-2: "EAI_NONAME", -3: "EAI_AGAIN", -4: "EAI_FAIL", -5: "EAI_NODATA", -11: "EAI_SYSTEM"}
)
_SHARED: Final = {Reason.NAME_NOT_FOUND: "EAI_NONAME", Reason.NO_DATA: "EAI_NODATA"}


def error_of(lookup: Lookup, profile: Profile, *, modern: bool = True) -> str | None:
    """The error that the C library of `profile` makes of `lookup`; None where it returns addresses.

    musl: everything that is no answer is EAI_AGAIN (lookup_name.c, name_from_dns); before 1.2.4 (not `modern`) no data
    was EAI_NONAME. glibc: a server that answers with any other code than these is EAI_FAIL (res_query.c, NO_RECOVERY).
    """
    if lookup.reason is None:
        return None
    if profile is Profile.MUSL:
        error = {**_SHARED, Reason.MALFORMED: "EAI_NODATA"}.get(lookup.reason, "EAI_AGAIN")
        return error if modern or error != "EAI_NODATA" else "EAI_NONAME"
    return _SHARED.get(lookup.reason, "EAI_AGAIN")
