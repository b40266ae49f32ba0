"""The blocks of what finds names: `resolver:` and `dns:`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from prober.options.base import Duration, Options, Whole

#: What carries a DNS message: RFC 1035, RFC 7766, DNS over TLS (RFC 7858), DNS over HTTPS (RFC 8484).
Transport = Literal["udp", "tcp", "tls", "https"]


#: The "type" of a probe that asks for both kinds of address at once.
PAIR: Final = "A+AAAA"


class Profile(StrEnum):
    """Whose resolver to be."""

    GLIBC = "glibc"
    MUSL = "musl"


def _profiles(value: object) -> object:
    """One profile, or a list of different ones, for pydantic to check."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        raise ValueError("expected glibc, musl or a list of both")
    if len({str(item) for item in value}) < max(len(value), 1):
        raise ValueError("a profile is there twice" if value else "at least one profile is needed")
    return value


class ResolverOptions(Options):
    """`resolver:` how names become addresses. What is not given comes from this Pod's `/etc/resolv.conf`."""

    servers: tuple[str, ...] = ()
    """`address` or `address:port` (`[v6]:port`), asked in turn."""
    named: dict[str, str] = Field(default_factory=dict)
    """dns probes: name → server, in the form of `servers`; the words of the matrix axis `server`."""
    search: tuple[str, ...] | None = None
    ndots: Annotated[Whole, Field(ge=0, le=15)] | None = None
    timeout: Duration | None = None
    """Wait for one answer of one server."""
    attempts: Annotated[Whole, Field(ge=1, le=5)] | None = None
    """Rounds over the servers."""
    transport: Literal["udp", "tcp"] = "udp"
    profile: Annotated[
        tuple[Profile, ...],
        BeforeValidator(_profiles),
        WithJsonSchema(
            {
                "anyOf": [
                    {"enum": [*Profile]},
                    {"type": "array", "items": {"enum": [*Profile]}, "minItems": 1, "uniqueItems": True},
                ]
            }
        ),
    ] = (Profile.GLIBC,)
    """Whose resolver to be: `glibc` or `musl` (1.2.4 and newer). A list, for kind dns alone, makes a cell for each."""


class DnsOptions(Options):
    """`dns:` the question of a dns probe."""

    type: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9+-]*$")] = "A"
    """A record type; `A+AAAA` asks for both at once, as getaddrinfo does, and fails if one of them is lost."""
    sockets: Literal["one", "two", "both"] = "one"
    """With `A+AAAA`: both questions leave `one` socket (as glibc and musl send them), or each its own (`two`); `both`
    does both in every run, and compares."""
    transport: Transport = "udp"
    """`tls` and `https` verify the server by the block `tls`; without `tls.server_name` its address has to be on the
    certificate. Their ports, where none is given, are 853 and 443."""
    path: str = "/dns-query"
    """https: the path of the URL (RFC 8484)."""
    method: Literal["POST", "GET"] = "POST"
    """https: how the message is sent."""
    http_version: Literal["auto", "1.1", "2"] = "auto"
    """https: `auto` offers h2 and http/1.1."""
    getaddrinfo: bool = False
    """Ask this Pod's own C library beside it, of the same name, and keep what it returned and how long it took. Only
    of the Pod's own resolver and for addresses."""
    search: bool | None = None
    """Walk the search list. Default: yes for names asked of the Pod's own resolver, no for a `dns://` URL."""
    recursion_desired: bool = True
    edns_size: Annotated[Whole, Field(ge=512, le=65535)] | None = None
    """Bytes of a datagram that EDNS announces (RFC 6891). Default: no EDNS, as the C libraries ask; 1232 where
    `nsid` or `dnssec` need it. Servers say why they fail (RFC 8914) only to those who ask with EDNS."""
    nsid: bool = False
    """Ask the server who it is (RFC 5001): which of several behind one address answered."""
    dnssec: bool = False
    """Ask for signatures, and whether the server has validated them (DO and AD: RFC 4035, RFC 6840)."""
