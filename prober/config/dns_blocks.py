"""What the block `dns` and the expectations of a dns probe get wrong. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Iterator

from prober.config import words
from prober.config.address import check_resource
from prober.config.parts import Square
from prober.config.schema import ProbeEntry
from prober.options import PAIR, DnsOptions, Expect

#: A key of a block with the steps into it, and what is wrong there.
Finding = tuple[tuple[str | int, ...], str]
DNS_EXPECTATIONS = ("answers", "answers_within", "rcode", "ttl_min", "ttl_max", "authenticated")
_ADDRESSES = ("A", "AAAA")
#: Of those, what only an answer with data can meet.
_OF_DATA = ("answers", "answers_within", "ttl_min", "ttl_max")


def complaint(check: Callable[[str], object], text: str) -> str | None:
    """What `check` says against `text`, None where it takes it."""
    try:
        check(text)
    except ValueError as error:
        return str(error)
    return None


def dns_block(dns: DnsOptions) -> Iterator[Finding]:
    """The block `dns` by itself."""
    if (message := complaint(words.check_type, dns.type)) is not None:
        yield ("type",), message
    if not dns.path.startswith("/"):
        yield ("path",), "{} does not begin with /"
    elif "?" in dns.path:
        yield ("path",), "the question comes behind the ?: leave it out"
    elif (message := complaint(check_resource, dns.path)) is not None:
        yield ("path",), message


def unused(entry: ProbeEntry, squares: Iterable[Square]) -> Iterator[Finding]:
    """What the probe itself asks of TLS, HTTPS, sockets or getaddrinfo that no cell has a use for."""
    asked = {(square.options.dns.type, square.options.dns.transport) for square in squares}
    transports = {transport for _, transport in asked}
    if not transports:
        return
    if "tls" in entry.model_fields_set and not transports & {"tls", "https"}:
        yield ("tls",), "nothing of this probe is asked over TLS: its transport is neither tls nor https"
    if "sockets" in entry.dns.model_fields_set and (PAIR, "udp") not in asked:
        yield ("dns", "sockets"), f"one question has one socket: only type {PAIR} over udp has two to send"
    own = (s for s in squares if not s.endpoint.host and not s.options.resolver.servers)
    if "getaddrinfo" in entry.dns.model_fields_set and not any(s.options.dns.type in (*_ADDRESSES, PAIR) for s in own):
        yield (
            ("dns", "getaddrinfo"),
            "getaddrinfo asks the Pod's own resolver for addresses, which this probe never does",
        )
    for key in ("path", "method", "http_version"):
        if key in entry.dns.model_fields_set and "https" not in transports:
            yield ("dns", key), "nothing of this probe is asked over HTTPS: its transport is not https"


def expectations(expect: Expect, dns: DnsOptions) -> Iterator[Finding]:
    """What a dns probe expects of its answer, beside how it asks for it."""
    if expect.rcode is not None and expect.rcode not in words.RCODES:
        yield ("rcode",), f"{{}} is not a response code{words.suggest(expect.rcode, words.RCODES)}"
    elif expect.rcode not in (None, "NOERROR"):
        for key in _OF_DATA:
            if getattr(expect, key) not in (None, ()):
                yield (key,), "answers come with NOERROR alone: not with the rcode that is expected"
    for position, text in enumerate(expect.answers_within):
        if complaint(ipaddress.ip_network, text) is not None:
            yield ("answers_within", position), "{} is not a network: write 10.0.0.0/8 or fd00::/8, host bits zero"
    if expect.ttl_min is not None and expect.ttl_max is not None and expect.ttl_min > expect.ttl_max:
        yield ("ttl_min",), f"ttl_min {expect.ttl_min} is above ttl_max {expect.ttl_max}"
    if expect.authenticated and not dns.dnssec:
        yield ("authenticated",), "a server says so only to those who ask: set dns.dnssec"
