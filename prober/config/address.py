"""The addresses of `probes.yaml`: URLs, `host:port`, DNS servers. Pure.

Messages never repeat what was given: it may hold a secret that came through a variable. Whoever shows them puts the
text as it stands in the file beside them.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple, get_args

from prober.addresses import parse_server
from prober.config.words import HOST_NAME, RECORD_TYPES, check_host_name, suggest
from prober.model import DEFAULT_PORTS, Endpoint, Scheme
from prober.options import Transport

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
TRANSPORTS: tuple[Transport, ...] = get_args(Transport)

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([^#]*)(#.*)?", re.DOTALL)
_RESOURCE = re.compile(r"(?:[!$&-;=?-Z_a-z~\[\]'|{}^`]|%[0-9A-Fa-f]{2})*")


class Question(NamedTuple):
    """What a `dns://` URL says about the question beside the name; None where it leaves it open."""

    type: str | None
    transport: Transport | None


def parse_url(text: str, shown: str | None = None) -> Endpoint:
    """The endpoint of a URL; `shown` is how it may be shown (default: as it is). ValueError with what is wrong.

    A path or query is kept for http(s), and the name asked for of `dns`; IPv6 literals stand in brackets
    (RFC 3986 section 3.2.2).
    """
    scheme, authority, rest = _split(text)
    if scheme == "dns":
        return _dns(authority, rest, text if shown is None else shown)
    if not authority:
        raise ValueError("the URL has no host")
    host, port = split_host_port(authority)
    if scheme == "icmp":
        if port is not None:
            raise ValueError("icmp has no ports: leave the port out")
        port = 0
    elif port is None and scheme not in DEFAULT_PORTS:
        raise ValueError(f"{scheme}:// needs a port: {scheme}://host:port")
    resource = check_resource(rest) if scheme in ("http", "https") else _no_resource(scheme, rest)
    return Endpoint(
        scheme, host, DEFAULT_PORTS[scheme] if port is None else port, resource, shown=text if shown is None else shown
    )


def parse_question(text: str) -> Question:
    """What a `dns://` URL that `parse_url` took says after its `?`: `type=AAAA`, `transport=tcp` (compare RFC 4501)."""
    kind: str | None = None
    transport: Transport | None = None
    _, _, query = text.partition("?")
    for part in filter(None, re.split(r"[&;]", query)):
        key, _, value = part.partition("=")
        if key.lower() == "type":
            if (kind := value.upper()) not in RECORD_TYPES and not re.fullmatch(r"TYPE\d{1,5}", kind):
                raise ValueError("the type after ? is not a record type" + suggest(kind, RECORD_TYPES))
        elif key.lower() == "transport" and (known := next((t for t in TRANSPORTS if t == value), None)):
            transport = known
        else:
            raise ValueError("after ? a dns:// URL takes type=A, AAAA, … and transport=udp, tcp, tls or https")
    return Question(kind, transport)


def parse_connect(text: str) -> tuple[str, int]:
    """Host and port of a `connect:` pin. ValueError where the port is missing, or anything else is wrong."""
    host, port = split_host_port(text)
    if port is None:
        raise ValueError("a port is needed: host:port")
    return host, port


def parse_proxy(text: str, shown: str | None = None) -> Endpoint:
    """The endpoint of an explicit proxy, `http://host:port`. ValueError with what is wrong."""
    if "@" in text:
        raise ValueError(
            "credentials of a proxy stand beside its URL: {url: http://host:port, basic: {username, password}}"
        )
    proxy = parse_url(text, shown)
    if proxy.scheme != "http" or proxy.resource != "/":
        raise ValueError("a proxy is written http://host:port")
    return proxy


def split_host_port(authority: str) -> tuple[str, int | None]:
    """Host (IPv6 without brackets) and port of `host[:port]`. ValueError with what is wrong."""
    if "@" in authority:
        raise ValueError(
            "user names and passwords don't belong in a URL (http.basic takes them, a header does for prober try)"
        )
    if authority.startswith("["):
        inside, closed, after = authority[1:].partition("]")
        if not closed or (after and not after.startswith(":")):
            raise ValueError("the brackets of an IPv6 address are [address] or [address]:port")
        return _ipv6(inside), _port(after[1:]) if after else None
    if authority.count(":") > 1:
        raise ValueError("an IPv6 address is written in brackets: [2001:db8::1]:443")
    host, colon, port = authority.partition(":")
    return _host(host), _port(port) if colon else None


def _split(text: str) -> tuple[Scheme, str, str]:
    """Scheme, authority and the rest of a URL."""
    if re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError("a URL holds no spaces or control characters")
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError("not a URL: write scheme://host, for example https://example.com/health")
    scheme = next((known for known in SCHEMES if known == match[1].lower()), None)
    if scheme is None:
        near = suggest(match[1].lower(), SCHEMES) or f" (there are {', '.join(SCHEMES)})"
        raise ValueError(f"unknown scheme{near}")
    if match[4]:
        raise ValueError("a fragment (#…) is never sent: leave it out")
    return scheme, match[2], match[3]


def _dns(authority: str, rest: str, shown: str) -> Endpoint:
    """`dns://[server[:port]]/name`; without a server the Pod's own resolver is asked."""
    try:
        host, port = parse_server(authority) if authority else ("", DEFAULT_PORTS["dns"])
    except ValueError as error:
        raise ValueError(f"{error}; dns:///name asks this Pod's own resolver") from None
    name, _, query = rest.partition("?")
    if len(name) < 2:
        raise ValueError("dns:// needs the name to ask for: dns://server/name?type=AAAA")
    try:
        check_host_name(name[1:])
    except ValueError as error:
        raise ValueError(str(error).replace("{}", "what follows the server")) from None
    parse_question(f"?{query}")
    return Endpoint("dns", host, port, name[1:], shown=shown)


def check_resource(rest: str) -> str:
    """The request target of RFC 9112 section 3.2.1 in origin form. ValueError with what is wrong."""
    if not rest.isascii():
        raise ValueError("path and query are ASCII: percent-encode the rest (RFC 3986 section 2.1)")
    if not _RESOURCE.fullmatch(rest):
        raise ValueError("path or query hold a character that has to be percent-encoded, or a % that encodes nothing")
    return rest if rest.startswith("/") else f"/{rest}"


def _no_resource(scheme: str, rest: str) -> str:
    if rest not in ("", "/"):
        raise ValueError(f"{scheme}:// takes no path or query")
    return ""


def _ipv6(text: str) -> str:
    """An IPv6 address in its shortest form (RFC 5952)."""
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise ValueError("what stands in brackets is not an IPv6 address") from None
    if address.scope_id is not None:
        raise ValueError("addresses with a zone (%eth0) mean another thing on each node: use a global one")
    if address.ipv4_mapped is not None:
        raise ValueError("an IPv4-mapped address travels over IPv4: write the IPv4 address")
    return str(address)


def _host(text: str) -> str:
    """A host name or IPv4 literal, as written."""
    if not text:
        raise ValueError("the host is missing")
    if re.fullmatch(r"[0-9.]+", text):
        try:
            return str(ipaddress.IPv4Address(text))
        except ValueError:
            raise ValueError("not an IPv4 address: four numbers from 0 to 255") from None
    if not text.isascii():
        raise ValueError("host names are ASCII: write it as Punycode (xn--…)")
    if not re.fullmatch(HOST_NAME, text):
        raise ValueError("not a host name")
    return text


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise ValueError("the port is a number from 1 to 65535")
    return int(text)
