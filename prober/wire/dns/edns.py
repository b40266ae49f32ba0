"""What a query asks beside its question, and what a reply says beside its answer: header flags and EDNS. Pure.

RFC 6891 (EDNS), RFC 5001 (NSID), RFC 6840 section 5.7 (AD in a query), RFC 8914 (extended errors).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import dns.edns
import dns.message
import dns.wirebase

#: Bytes that a datagram may have: what glibc announces (resolv/resolv-internal.h RESOLV_EDNS_BUFFER_SIZE), and what
#: others do, which no path fragments (RFC 9715).
GLIBC_PAYLOAD, USUAL_PAYLOAD = 1200, 1232
#: Extended errors of one reply that are kept, and characters of a text in them.
_MAX_ERRORS, _MAX_TEXT = 4, 200
_NAMES: Final = {
    0: "Other", 1: "Unsupported DNSKEY Algorithm", 2: "Unsupported DS Digest Type", 3: "Stale Answer",
    4: "Forged Answer", 5: "DNSSEC Indeterminate", 6: "DNSSEC Bogus", 7: "Signature Expired",
    8: "Signature Not Yet Valid", 9: "DNSKEY Missing", 10: "RRSIGs Missing", 11: "No Zone Key Bit Set",
    12: "NSEC Missing", 13: "Cached Error", 14: "Not Ready", 15: "Blocked", 16: "Censored", 17: "Filtered",
    18: "Prohibited", 19: "Stale NXDOMAIN Answer", 20: "Not Authoritative", 21: "Not Supported",
    22: "No Reachable Authority", 23: "Network Error", 24: "Invalid Data",
}  # fmt: skip


class Asking(NamedTuple):
    """How a question is put. `payload`: the datagram size that EDNS announces in bytes; None: without EDNS."""

    recursion_desired: bool = True
    authentic_data: bool = False
    payload: int | None = None
    dnssec_ok: bool = False
    nsid: bool = False
    own_sockets: bool = False
    """Each of a pair leaves from a socket of its own (glibc alone: the C libraries send both from one)."""


class ExtendedError(NamedTuple):
    """One extended error (RFC 8914): its code, and the server's own words."""

    code: int
    text: str

    @property
    def name(self) -> str:
        """The purpose that IANA lists for the code; "" for one it did not know in RFC 8914."""
        return _NAMES.get(self.code, "")

    def __str__(self) -> str:
        return f"{self.name or 'extended error'} ({self.code})" + (f": {self.text}" if self.text else "")


class ReplyEdns(NamedTuple):
    """What the OPT record of a reply says: extended errors, and the server's name for itself."""

    errors: tuple[ExtendedError, ...] = ()
    nsid: str | None = None

    def shown(self) -> dict[str, Any]:
        """As plain JSON values; only what there is."""
        shown: dict[str, Any] = {}
        if self.errors:
            shown["ede"] = [{"code": error.code, "name": error.name, "text": error.text} for error in self.errors]
        if self.nsid is not None:
            shown["nsid"] = self.nsid
        return shown


class _LenientEde(dns.edns.EDEOption):
    """dnspython's, but text that is no UTF-8 does not make the whole answer unreadable."""

    @classmethod
    def from_wire_parser(
        cls,
        otype: dns.edns.OptionType | str,  # noqa: ARG003 - dnspython's signature
        parser: dns.wirebase.Parser,
    ) -> dns.edns.Option:
        """See dns.edns.Option."""
        code = dns.edns.EDECode.make(parser.get_uint16())
        return cls(code, parser.get_remaining().rstrip(b"\0").decode("utf-8", "replace") or None)


dns.edns.register_type(_LenientEde, dns.edns.OptionType.EDE)


def request_options(asking: Asking) -> list[dns.edns.Option]:
    """The options of a query."""
    return [dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")] if asking.nsid else []


def reply_edns(message: dns.message.Message) -> ReplyEdns | None:
    """What a reply says beside its answer; None where that is nothing."""
    errors: list[ExtendedError] = []
    nsid: str | None = None
    for option in message.options:
        if isinstance(option, dns.edns.EDEOption) and len(errors) < _MAX_ERRORS:
            errors.append(ExtendedError(int(option.code), (option.text or "")[:_MAX_TEXT]))
        elif isinstance(option, dns.edns.NSIDOption):
            nsid = _readable(option.nsid)
    return ReplyEdns(tuple(errors), nsid) if errors or nsid is not None else None


def _readable(raw: bytes) -> str:
    """Text where it is text, else hexadecimal (RFC 5001 section 2.4 leaves both open)."""
    text = raw[:_MAX_TEXT].decode("ascii", "replace")
    return text if text.isascii() and text.isprintable() else raw[: _MAX_TEXT // 2].hex()
