"""Name servers that fail in each way."""

from __future__ import annotations

from functools import partial
from typing import Any

import dns.message
import dns.rcode

from prober.reasons import Kind, Layer, Reason
from tests.support.nameserver import Answers, Script, always, dns_server, reply_to, silent
from tests.support.scenarios import ENOUGH, SHORT, Place, Shown, add, shows


def _garbage(query: dns.message.Message, transport: str) -> Answers:
    return [query.to_wire()[:2] + b"\x80\x00" + b"\xff" * 40]


def _truncated(query: dns.message.Message, transport: str) -> Answers:
    """Cut off over UDP, and hung up on over TCP."""
    return [] if transport == "tcp" else [reply_to(query, flags="RA TC")]


def _answers(query: dns.message.Message, transport: str) -> Answers:
    return [reply_to(query, "web.c. 30 IN A 192.0.2.66")]


SCRIPTS: dict[Reason, tuple[Script, dict[str, Any]]] = {
    Reason.NAME_NOT_FOUND: (always(dns.rcode.NXDOMAIN), {}),
    Reason.NO_DATA: (always(dns.rcode.NOERROR), {}),
    Reason.SERVER_FAILURE: (always(dns.rcode.SERVFAIL), {}),
    Reason.REFUSED: (always(dns.rcode.REFUSED), {}),
    Reason.TIMEOUT: (silent, {}),
    Reason.MALFORMED: (_garbage, {}),
    Reason.TRUNCATED: (_truncated, {}),
    Reason.WRONG_ANSWER: (_answers, {"answers": ("192.0.2.1",)}),
}


async def _asked(place: Place, script: Script, expect: dict[str, Any]) -> Shown:
    async with dns_server(place.family, script) as server:
        timeout = SHORT if script is silent else ENOUGH
        return await _ask(place, server.port, expect=expect, timeout=timeout)


async def _ask(place: Place, port: int, **how: Any) -> Shown:
    options = {"resolver": {"attempts": 1}}
    cell = place.cell(Kind.DNS, "dns", port, host=place.address, options=options, resource="web.c.", **how)
    return await place.climb(cell, found=False)


for _reason, (_script, _expect) in SCRIPTS.items():
    add(Layer.DNS, _reason, partial(_asked, script=_script, expect=_expect))


@shows(Layer.DNS, Reason.UNREACHABLE)
async def nobody_listens(place: Place) -> Shown:
    """The kernel says so: an ICMP port unreachable."""
    async with dns_server(place.family, silent) as server:
        pass
    return await _ask(place, server.port)
