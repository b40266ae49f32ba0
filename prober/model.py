"""The values that flow through the prober: frozen, seconds everywhere, no I/O.

One direction: Config × Vantage → Cells → Runs (of Outcomes) → Verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from prober.options import BasicAuth, Expect, KindOptions
from prober.reasons import OURS, Family, Kind, Layer, Reason, Result, ladder

#: What a layer saw, for people: plain JSON values only, never a secret, never a metric label.
Evidence = dict[str, Any]

Scheme = Literal["icmp", "tcp", "tls", "http", "https", "grpc", "grpcs", "dns"]
DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443, "grpc": 80, "grpcs": 443, "tls": 443, "dns": 53}
TLS_SCHEMES = frozenset({"https", "grpcs", "tls"})


@dataclass(frozen=True, slots=True)
class Vantage:
    """Where the probes run. `families` and `resolver_families` are what this place has, preferred first."""

    name: str
    node: str = ""
    zone: str = ""
    region: str = ""
    pod: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    families: tuple[Family, ...] = (Family.IPV4, Family.IPV6)
    resolver_families: tuple[Family, ...] = (Family.IPV4,)
    api_server: tuple[str, int] | None = None
    """Address and port of `KUBERNETES_SERVICE_HOST` / `_PORT`, outside a cluster None."""


@dataclass(frozen=True, slots=True)
class ServiceRef:
    """A Service whose ready EndpointSlice addresses are probed one by one. `port` is a number or a port's name."""

    namespace: str
    name: str
    port: int | str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a path leads: the parts of its URL, and what the path says about getting there."""

    scheme: Scheme
    host: str
    """Name or address literal (IPv6 without brackets). For `dns://` the server; "" is the Pod's own resolver."""
    port: int
    resource: str = ""
    """`/path?query` of http(s); for `dns` the name that is asked for."""
    connect: tuple[str, int] | None = None
    """Where the connection really goes: host or address, and port. Names, SNI and Host stay those of the URL."""
    proxy: Endpoint | None = None
    basic: BasicAuth | None = None
    """Of a proxy: what it is to be shown (RFC 7617)."""
    service: ServiceRef | None = None
    addresses: Literal["one", "all"] = "one"
    shown: str = ""
    """The URL as people may see it: variables unexpanded, credentials left out."""

    @property
    def tls(self) -> bool:
        """Whether the scheme itself asks for TLS."""
        return self.scheme in TLS_SCHEMES

    @property
    def first_hop(self) -> tuple[str, int]:
        """Host and port that the connection is opened to: the proxy, else the `connect` pin, else the URL's own."""
        if self.proxy is not None:
            return self.proxy.host, self.proxy.port
        return self.connect or (self.host, self.port)

    @property
    def authority(self) -> str:
        """`host[:port]` for `Host` and `:authority` (RFC 9110 section 7.2): the scheme's default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if DEFAULT_PORTS.get(self.scheme) == self.port else f"{host}:{self.port}"


def climbs(kind: Kind, endpoint: Endpoint) -> tuple[Layer, ...]:
    """The layers that a probe of `kind` climbs to `endpoint`, in order."""
    return ladder(kind, tls=endpoint.tls or kind is Kind.KUBERNETES, proxy=endpoint.proxy is not None)


@dataclass(frozen=True, slots=True)
class Cell:
    """One square of the matrix: probe × target × path × family, at this vantage.

    Two cells that are equal probe the same thing in the same way: a reload keeps the schedule and counters of cells
    that stayed equal.
    """

    probe: str
    kind: Kind
    target: str
    path: str
    family: Family
    endpoint: Endpoint
    interval: float
    timeout: float
    options: KindOptions = field(default_factory=KindOptions)
    expect: Expect = field(default_factory=Expect)
    budget: Mapping[str, float] = field(default_factory=dict)
    """Layer, or `total` → seconds that each run is held against."""
    quantile_budget: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Layer, or `total` → quantile (a word of `options.budget.QUANTILES`) → seconds, in rising order."""
    baseline: bool = True
    """Whether its latencies are held against what was usual."""
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """Values that must never be shown → what is shown instead (`${VAR}`)."""
    id: str = field(init=False, repr=False, compare=False)
    """Stable name, unique within a configuration: `probe/target/path/family`."""
    ladder: tuple[Layer, ...] = field(init=False, repr=False, compare=False)
    """The layers this cell climbs, in order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", f"{self.probe}/{self.target}/{self.path}/{self.family}")
        object.__setattr__(self, "ladder", climbs(self.kind, self.endpoint))

    @property
    def alpn(self) -> tuple[str, ...]:
        """The protocols that its handshake offers (RFC 7301), in order; none: the extension is left out."""
        if self.options.tls.alpn or self.kind is Kind.TLS:
            return self.options.tls.alpn
        if self.kind is Kind.GRPC:
            return ("h2",)
        if self.options.http.websocket is not None:
            return ("http/1.1",)
        return {"auto": ("h2", "http/1.1"), "2": ("h2",), "1.1": ("http/1.1",)}[self.options.http.version]

    @property
    def resource(self) -> str:
        """`/path?query` of its request: the URL's own, else what its kind asks for."""
        if self.kind is Kind.KUBERNETES and self.endpoint.resource in ("", "/"):
            return self.options.kubernetes.resource
        return self.endpoint.resource or "/"

    @property
    def prior_knowledge(self) -> bool:
        """Without TLS it speaks HTTP/2 from the first byte (RFC 9113 section 3.3): asked for, or else expected."""
        version = self.options.http.version
        return version == "2" or (version == "auto" and self.expect.http_version == "2")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one layer did in one run. `seconds` is None only where the layer was skipped."""

    layer: Layer
    result: Result
    seconds: float | None = None
    reason: Reason | None = None
    evidence: Evidence = field(default_factory=dict)

    @property
    def held(self) -> bool:
        """The layer worked, though perhaps slower than its budget: its time belongs to the latencies."""
        return self.result is Result.OK or self.reason is Reason.OVER_BUDGET


@dataclass(frozen=True, slots=True)
class Blame:
    """The layer that made a run fail, and why."""

    layer: Layer
    reason: Reason


@dataclass(frozen=True, slots=True)
class Run:
    """One climb of one cell: its outcomes in the ladder's order.

    `started_at` is the wall clock (UTC); `seconds` is measured on a monotonic clock and holds every layer's
    seconds and the gaps between them. `phases` are the http layer's parts in seconds, where it got that far.
    """

    cell: Cell
    started_at: datetime
    seconds: float
    outcomes: tuple[Outcome, ...]
    ok: bool
    blame: Blame | None = None
    address: str | None = None
    port: int | None = None
    phases: Mapping[str, float] = field(default_factory=dict)
    hops: tuple[Run, ...] = ()
    """The climbs that its redirects led to, in order. Outcomes, address and phases are the first one's, `seconds` the
    time of all."""

    @property
    def ours(self) -> bool:
        """The run failed through the prober itself: it counts against nobody."""
        return self.blame is not None and self.blame.reason in OURS

    def outcome(self, layer: Layer) -> Outcome | None:
        """The outcome of `layer`, or None where this cell's ladder has no such rung."""
        return next((o for o in self.outcomes if o.layer is layer), None)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What runs say together: a code of a closed list, what was ruled out, and what to look at next."""

    code: str
    layer: Layer
    reason: Reason
    says: str
    ruled_out: tuple[str, ...] = ()
    next_check: str = ""
    advisory: bool = False
    """Nobody is served worse for it: no alarm, advice."""
