"""The blocks of what reaches an address: `icmp:` and `tcp:`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema

from prober.addresses import is_literal, literal_family
from prober.options.base import Duration, Options, SecretFile, Whole
from prober.reasons import Family

_CLASS = re.compile(r"(?:cs([0-7])|af([1-4])([1-3])|(ef))", re.IGNORECASE)
_EXPEDITED = 46
_HEX = r"^(?:[0-9a-fA-F]{2} *)+$"
_SHARE = re.compile(r"(\d+(?:\.\d+)?)(%?)", re.ASCII)


def parse_dscp(value: object) -> object:
    """The number of a DiffServ code point by its name: CS0 to CS7 (RFC 2474), AF11 to AF43 (2597), EF (3246)."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("expected a number from 0 to 63, or a name such as EF, AF41 or CS6")
    if isinstance(value, int):
        return value
    match = _CLASS.fullmatch(value)
    if match is None:
        raise ValueError("{} is no code point: a number from 0 to 63, CS0 to CS7, AF11 to AF43, or EF")
    selector, family, drop, expedited = match.groups()
    if expedited:
        return _EXPEDITED
    return int(selector) << 3 if selector else int(family) << 3 | int(drop) << 1


def parse_share(value: object) -> object:
    """A share below 1, as a number or in per cent: `0.05`, `5%`."""
    match = _SHARE.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        share = float(match[1]) / (100 if match[2] else 1)
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        share = float(value)
    else:
        raise ValueError("expected a share such as 0.05 or 5%")
    if not 0 <= share < 1:
        raise ValueError("{} is no share that may be lost: from 0 to below 1, or below 100%")
    return share


Share = Annotated[
    float,
    BeforeValidator(parse_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
                {"type": "string", "pattern": r"^[0-9]{1,2}(?:\.[0-9]+)?%$"},
            ]
        }
    ),
]
Dscp = Annotated[
    int,
    BeforeValidator(parse_dscp),
    Field(ge=0, le=63),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 63},
                {"type": "string", "pattern": "^(?:[Cc][Ss][0-7]|[Aa][Ff][1-4][1-3]|[Ee][Ff])$"},
            ]
        }
    ),
]


class IcmpOptions(Options):
    """`icmp:` one train of echo requests per run."""

    count: Annotated[Whole, Field(ge=1, le=100)] = 1
    """Echo requests in one run."""
    size: Annotated[Whole, Field(ge=16, le=65507)] = 56
    """Bytes of payload in each echo request."""
    gap: Duration = 0.05
    """Time between two requests of a train."""
    max_loss: Share | None = None
    """Share of the requests that may stay unanswered: `0.05`, `5%`. More of them fail with `timeout`, or with what came
    instead. Default: one answer is enough."""
    dont_fragment: bool = False
    """Send each request whole or not at all, whatever path MTU is known here: what is too big fails with `too_big`."""
    ttl: Annotated[Whole, Field(ge=1, le=255)] | None = None
    """Hops that a request may take; the router that drops it is `unreachable`'s evidence. Default: the system's."""
    dscp: Dscp = 0
    """DiffServ code point: 0 to 63, or `EF`, `AF41`, `CS6` …"""


def _sources(value: object) -> object:
    """One address, or one of each family."""
    values = (value,) if isinstance(value, str) else value
    if not isinstance(values, list | tuple):
        raise ValueError("expected an address, or a list with one of each family")
    if not values or not all(isinstance(text, str) and is_literal(text) for text in values):
        raise ValueError("the list has to have addresses" if value is values else "{} is not an address")
    if len({literal_family(text) for text in values}) < len(values):
        raise ValueError("two addresses of one family: a connection comes from one")
    return tuple(values)


class Hex(Options):
    """Bytes that are no text, as hexadecimal digits."""

    hex: Annotated[str, Field(pattern=_HEX)]
    """Two digits for each byte; spaces between bytes are left out."""


def _form_of(value: object) -> str:
    """Which form of `Said` a value is meant to be."""
    if isinstance(value, Hex) or (isinstance(value, dict) and "file" not in value):
        return "hex"
    return "file" if isinstance(value, dict | SecretFile) else "text"


#: What is sent: text (UTF-8), a secret from a file, bytes.
Said = Annotated[
    Annotated[str, Tag("text")] | Annotated[SecretFile, Tag("file")] | Annotated[Hex, Tag("hex")],
    Discriminator(_form_of),
]


class Step(Options):
    """One step of `tcp.dialogue`: something to send, something to hear, or both in this order."""

    send: Said | None = None
    """Text (UTF-8; YAML's double quotes know \\r and \\n), `{file: path}` or `{hex: 00 ff}`."""
    expect: str | None = None
    """Regular expression searched in what comes; ^ and $ match at lines too."""


class TcpOptions(Options):
    """`tcp:` how the connection is opened that every layer above it uses; for kind tcp, what is said on it."""

    source: Annotated[
        tuple[str, ...],
        BeforeValidator(_sources),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "string"},
                    {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
                ]
            }
        ),
    ] = ()
    """Address of this place that it comes from, or one of each family. Of a family that has none here, and without
    `source`, the kernel chooses."""
    dscp: Dscp = 0
    """DiffServ code point: 0 to 63, or `EF`, `AF41`, `CS6` …"""

    send: Said | None = None
    """Kind tcp: what is sent once connected: text (UTF-8; YAML's double quotes know \\r and \\n), `{file: path}` or
    `{hex: 00 ff}`."""
    expect: str | None = None
    """Kind tcp: regular expression searched in what comes; ^ and $ match at lines too. Without `send`, a greeting."""
    dialogue: Annotated[tuple[Step, ...], Field(max_length=20)] = ()
    """Kind tcp: several steps of `send` and `expect`, in order."""

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is said and heard, in order."""
        if self.send is None and self.expect is None:
            return self.dialogue
        return (Step(send=self.send, expect=self.expect),)

    def source_for(self, family: Family) -> str:
        """The source address of `family`, "" to leave it to the kernel."""
        return next((address for address in self.source if literal_family(address) is family), "")
