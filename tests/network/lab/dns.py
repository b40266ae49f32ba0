"""The cluster's DNS: the demo's server with the whole plan as its zone, and more ways to be wrong.

What the faults here spoil is every name, where not said otherwise: the name that a probe asks for may be any.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from prober.lab.dns import DnsServer, Spoilt, packed, truncated
from prober.lab.switches import Switches
from prober.lab.zone import Found, Zone, rrset

#: The name of which the record is gone, empty or stale.
NAME = dns.name.from_text("web.app.svc.cluster.local.")
#: Seconds of a slow server.
SLOW = 0.3
_SPOILT = Spoilt(gone=NAME, large=dns.name.root, upstream=dns.name.root, stale=NAME)
_ADDRESSES = (dns.rdatatype.A, dns.rdatatype.AAAA)

Message = dns.message.Message
RCODES: Mapping[str, dns.rcode.Rcode] = {
    "dns-formerr": dns.rcode.FORMERR, "dns-notimp": dns.rcode.NOTIMP, "dns-notauth": dns.rcode.NOTAUTH,
}  # fmt: skip
AAAA_RCODES: Mapping[str, dns.rcode.Rcode] = {
    "dns-aaaa-nxdomain": dns.rcode.NXDOMAIN, "dns-aaaa-servfail": dns.rcode.SERVFAIL,
    "dns-aaaa-refused": dns.rcode.REFUSED,
}  # fmt: skip


def _wrong_id(reply: Message) -> bytes:
    reply.id ^= 0xFFFF
    return reply.to_wire()


def _wrong_question(reply: Message) -> bytes:
    reply.question[0].name = dns.name.from_text("other.example.com.")
    return reply.to_wire()


def _no_reply(reply: Message) -> bytes:
    """The query comes back: QR is not set (a reflector, a looped rule)."""
    reply.flags &= ~dns.flags.QR
    return reply.to_wire()


def _no_ra(reply: Message) -> bytes:
    reply.flags &= ~dns.flags.RA
    return reply.to_wire()


def _ttl_0(reply: Message) -> bytes:
    for records in reply.answer:
        records.ttl = 0
    return reply.to_wire()


def _no_question(reply: Message) -> bytes:
    reply.question.clear()
    return reply.to_wire()


def _garbage(reply: Message) -> bytes:
    return reply.id.to_bytes(2, "big") + b"\x81\x80" + b"\xc0" * 40


#: Faults of a whole reply → what becomes of it.
REPLIES: Mapping[str, Callable[[Message], bytes]] = {
    "dns-wrong-id": _wrong_id,
    "dns-wrong-question": _wrong_question,
    "dns-no-reply": _no_reply,
    "dns-no-ra": _no_ra,
    "dns-ttl-0": _ttl_0,
    "dns-no-question": _no_question,
    "dns-garbage": _garbage,
}
#: All names that the switches have to know beside the demo's.
MORE = (
    *RCODES, *AAAA_RCODES, *REPLIES, "dns-tc", "dns-aaaa-drop", "dns-nodata", "dns-cname-loop", "dns-cname-dangling",
    "dns-cname-bare", "dns-flapping",
)  # fmt: skip


class ClusterDns(DnsServer):
    """The server of one family."""

    def __init__(self, switches: Switches, zone: Zone) -> None:
        super().__init__(switches, zone, _SPOILT, SLOW)
        self._asked = 0

    async def answer(self, wire: bytes, limit: int | None) -> bytes | None:
        """See DnsServer."""
        on = self._switches.first(*MORE)
        if on is None:
            return await super().answer(wire, limit)
        query = dns.message.from_wire(wire)
        if on == "dns-aaaa-drop" and query.question[0].rdtype == dns.rdatatype.AAAA:
            return None
        reply = self.message(query)
        if on in REPLIES:
            return REPLIES[on](reply)
        return truncated(reply) if on == "dns-tc" and limit is None else packed(reply, query, limit)

    def message(self, query: Message) -> Message:
        """See DnsServer."""
        aaaa = query.question[0].rdtype == dns.rdatatype.AAAA
        self._asked += 1
        if self._switches.on("dns-flapping") and self._asked // 4 % 2:
            return self.response(query, dns.rcode.SERVFAIL)
        if (on := self._switches.first(*RCODES)) is not None:
            return self.response(query, RCODES[on])
        if aaaa and (on := self._switches.first(*AAAA_RCODES)) is not None:
            return self.response(query, AAAA_RCODES[on])
        return super().message(query)

    def _found(self, query: Message) -> Found:
        name, kind = query.question[0].name, query.question[0].rdtype
        if name == NAME and kind in _ADDRESSES:
            soa = self._zone.soa_of(name)
            if self._switches.on("dns-nodata"):
                return Found(exists=True, soa=soa)
            if self._switches.on("dns-cname-loop"):
                other = dns.name.from_text("web-2.app.svc.cluster.local.")
                return Found(True, (rrset(name, "CNAME", str(other)), rrset(other, "CNAME", str(name))), soa)
            if self._switches.on("dns-cname-bare"):  # and what the alias leads to is left out
                return Found(True, (rrset(name, "CNAME", "www.example.net."),), soa)
            if self._switches.on("dns-cname-dangling"):
                return Found(False, (rrset(name, "CNAME", "gone.example.com."),), soa)
        return super()._found(query)
