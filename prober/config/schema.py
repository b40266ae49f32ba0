"""The form of `probes.yaml`: its keys, their types and what they mean. The docstrings are what `prober schema` shows.

Single values and keys are checked here; what only several values together can get wrong is checked in `targets`,
`blocks` and `probes`. A `Label` becomes a metric label: no address and no variable may be one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from prober.config import words
from prober.config.words import refuse_variable
from prober.options import (
    NO_WISHES,
    BaselineSettings,
    BasicAuth,
    Budget,
    Duration,
    Expect,
    KindOptions,
    Options,
    Transport,
)
from prober.reasons import Family, Kind


def _keep_text(value: object) -> object:
    """Text as it is: what was filled in is still known."""
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "expected text")
    return value


def _families(value: object) -> object:
    """`auto` as None; a list stays for pydantic to check."""
    if value == "auto":
        return None
    if not isinstance(value, list):
        raise ValueError("expected auto, or a list such as [ipv4, ipv6]")
    if not value or len({str(item) for item in value}) < len(value):
        raise ValueError("a family is there twice" if value else "at least one family is needed, or auto")
    return value


def _port(value: object) -> object:
    """A port: a number, a number as text, or the name of a port of the Service."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | str)
        or (isinstance(value, int) and not 0 < value < 65536)
    ):
        raise ValueError("expected a port: a number from 1 to 65535, or the name of a port of the Service")
    return value


def _pattern(pattern: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})


Label = Annotated[str, BeforeValidator(refuse_variable), AfterValidator(words.check_name), _pattern(words.NAME)]
LabelKey = Annotated[str, AfterValidator(words.check_label_key), _pattern(words.LABEL_KEY)]
LabelValue = Annotated[str, BeforeValidator(refuse_variable)]
DnsName = Annotated[
    str, BeforeValidator(refuse_variable), AfterValidator(words.check_host_name), _pattern(rf"(?:\.|{words.HOST_NAME})")
]
RecordType = Annotated[
    str, BeforeValidator(refuse_variable), AfterValidator(words.check_type), _pattern(r"[A-Z][A-Z0-9]*(?:\+AAAA)?")
]
AxisTransport = Annotated[Transport, BeforeValidator(refuse_variable)]
AxisFamily = Annotated[Family, BeforeValidator(refuse_variable)]
#: Text whose template can still be asked for.
Text = Annotated[str, PlainValidator(_keep_text), WithJsonSchema({"type": "string"})]
Port = Annotated[int | str, PlainValidator(_port), WithJsonSchema({"type": ["integer", "string"]})]
Families = Annotated[
    tuple[Family, ...] | None,
    BeforeValidator(_families),
    WithJsonSchema(
        {
            "anyOf": [
                {"const": "auto"},
                {"type": "array", "items": {"enum": [*Family]}, "minItems": 1, "uniqueItems": True},
            ]
        }
    ),
]
Addresses = Literal["one", "all"]


class Defaults(KindOptions):
    """What every probe has that does not say otherwise. Blocks are merged under each probe's own, key by key.

    Defaults are wishes: a block or budget that a probe's ladder cannot use, or a family that an address does not have,
    is left out there; said by the probe itself it is refused.
    """

    interval: Duration = 15.0
    """Time from one run of a cell to its next."""
    timeout: Duration = 3.0
    """Deadline of a whole climb."""
    families: Families = None
    """`auto`: what the vantage has. A list: these, wherever a path can have them."""
    addresses: Addresses = "one"
    """Of a name with several addresses: `one`, rotating from run to run, or `all` in every run."""
    budget: Budget = Budget()


class Endpoints(Options):
    """`endpoints:` the ready addresses of a Service, each probed by itself (EndpointSlices)."""

    service: Annotated[str, AfterValidator(words.check_service), _pattern(words.SERVICE)]
    """`namespace/name`"""
    port: Port
    """Port of the addresses: a number, or the name of the Service's port."""


class ProxyEntry(Options):
    """`proxy:` a tunnel by CONNECT. A URL alone may be written for the mapping."""

    url: Text
    """`http://host:port`"""
    basic: BasicAuth | None = None
    """`{username, password: secret}`, sent to the proxy (Proxy-Authorization)."""


def _proxy(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


class PathEntry(Options):
    """One way to a target: a `url`, or the `endpoints` of a Service. A URL alone may be written for the mapping."""

    url: Text | None = None
    """`icmp://host`, `tcp://host:port`, `tls://host:port`, `http(s)://…`, `grpc(s)://host:port` or
    `dns://server[:port]/name?type=AAAA`; IPv6 in brackets. With `endpoints`: scheme, names and path to speak there."""
    endpoints: Endpoints | None = None
    connect: Text | None = None
    """`host:port` that the connection goes to; names, SNI and Host stay those of the URL."""
    proxy: Annotated[ProxyEntry, BeforeValidator(_proxy)] | None = None
    """The proxy to go through, or its `http://host:port` alone; the environment's proxies are never used."""
    addresses: Addresses | None = None
    """`one` or `all` addresses of a name in every run."""
    families: Families = None
    """The families of this way: a probe's own are narrowed to them."""


class TargetEntry(Options):
    """One application, and the ways to it. A URL alone may be written for the mapping: its path is named `default`."""

    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Labels of `prober_target_info`."""
    paths: Annotated[dict[Label, PathEntry], Field(min_length=1)]
    """Path name → way. Any name will do: `pod`, `service`, `ingress`, …"""


class Vantages(Options):
    """`vantages:` where a probe runs: every key given has to match. Without it a probe runs everywhere."""

    names: Annotated[tuple[str, ...], Field(min_length=1)] = ()
    nodes: Annotated[tuple[str, ...], Field(min_length=1)] = ()
    zones: Annotated[tuple[str, ...], Field(min_length=1)] = ()
    regions: Annotated[tuple[str, ...], Field(min_length=1)] = ()
    labels: Annotated[dict[str, str], Field(min_length=1)] = Field(default_factory=dict)
    """Labels of the Pod that all have to be there with these values."""


class Exclude(Options):
    """A combination to leave out: every one of the axes' product that has all these values goes."""

    target: Label | None = None
    path: Label | None = None
    family: AxisFamily | None = None
    name: DnsName | None = None
    type: RecordType | None = None
    transport: AxisTransport | None = None
    server: Label | None = None


class Include(Exclude):
    """Added to every combination of the axes whose values it leaves as they are; if there is none, a combination of its
    own. Beside axes it may set `interval`, `timeout`, `budget` and `expect` (these two key by key over the probe's).
    """

    interval: Duration | None = None
    timeout: Duration | None = None
    budget: Budget = Budget()
    expect: Expect = Expect()


class Matrix(Options):
    """`matrix:` the product of its axes, less `exclude`, plus `include`, in the manner of CI matrices.

    `name`, `type`, `transport` and `server` are axes of `kind: dns`. Without a `path` axis each path of a target is
    taken; without `family` those of the probe (both, under `auto`): `exclude` and `include` may name them all the same.
    Cells of `kind: dns` have the label target = the name (or target) and path =
    `TYPE/transport[/path][/server][/profile]`, the profile only where `resolver.profile` is not glibc alone.
    """

    target: Annotated[tuple[Label, ...], Field(min_length=1)] = ()
    """Names under `targets`."""
    path: Annotated[tuple[Label, ...], Field(min_length=1)] = ()
    """Path names; each target has to have each, or the combination be excluded."""
    family: Annotated[tuple[AxisFamily, ...], Field(min_length=1)] = ()
    name: Annotated[tuple[DnsName, ...], Field(min_length=1)] = ()
    """Names to ask for, as they are asked: with a trailing dot the search list is not walked."""
    type: Annotated[tuple[RecordType, ...], Field(min_length=1)] = ()
    """Record types."""
    transport: Annotated[tuple[AxisTransport, ...], Field(min_length=1)] = ()
    server: Annotated[tuple[Label, ...], Field(min_length=1)] = ()
    """Names under `resolver.named`; each is asked as the Pod's own resolver would be, search list included."""
    exclude: tuple[Exclude, ...] = ()
    include: tuple[Include, ...] = ()


class ProbeEntry(KindOptions):
    """One probe: what is climbed, towards which targets, how often, and what is good."""

    name: Label
    """Unique; the metric label `probe`."""
    kind: Kind
    """Which ladder is climbed. It may climb less than a path's URL offers, not more."""
    targets: Annotated[tuple[Label, ...], Field(min_length=1)] = ()
    """Names under `targets`, on every path of each. For combinations of choice: `matrix`."""
    matrix: Matrix = Matrix()
    interval: Duration | None = None
    """Time from one run of a cell to its next (default 15s)."""
    timeout: Duration | None = None
    """Deadline of a whole climb, at most `interval` (default 3s)."""
    families: Families = None
    """`auto` (default): what the vantage has; of an address literal its own family, where the vantage has that. A list:
    these, even where the vantage has them not."""
    vantages: Vantages = Vantages()
    expect: Expect = Expect()
    budget: Budget = Budget()
    baseline: bool = True
    """`false` leaves it out of the baselines."""


class ConfigFile(Options):
    """Probes of prober: targets with their paths, and what is climbed towards them."""

    defaults: Defaults = Defaults()
    targets: dict[Label, TargetEntry] = Field(default_factory=dict)
    """Target name → target."""
    baseline: BaselineSettings = NO_WISHES
    probes: Annotated[tuple[ProbeEntry, ...], Field(min_length=1)]


def from_shorthand(name: str, value: Any) -> Any:
    """A target or a path written as a URL alone, as the mapping it stands for; anything else as it is.

    `name` is the key that a URL stands under in the mapping: `url` of a path, `paths` of a target.
    """
    if name == "paths":
        value = {"paths": {"default": value}} if isinstance(value, str) else value
        if isinstance(value, dict) and isinstance(value.get("paths"), dict):
            value = {**value, "paths": {key: from_shorthand("url", way) for key, way in value["paths"].items()}}
        return value
    return {"url": value} if isinstance(value, str) else value
