"""What a probe may ask of each layer: the kind blocks of `probes.yaml`, as frozen values.

These models are read by the layers and filled by `prober.config`; they validate single values and hold no
I/O. Durations are seconds as float (the YAML form `250ms` is converted on the way in).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from prober.options.base import (
    Duration,
    NotADuration,
    Options,
    Secret,
    SecretFile,
    Whole,
    parse_duration,
    refuse_boolean,
    reveal,
)
from prober.options.baseline import NO_WISHES, BaselineSettings, RecordOptions
from prober.options.budget import Budget
from prober.options.dns import PAIR, DnsOptions, Profile, ResolverOptions, Transport
from prober.options.grpc import GrpcOptions
from prober.options.reach import Hex, IcmpOptions, Said, Step, TcpOptions
from prober.options.tls import TlsOptions
from prober.reasons import Layer, Reason

__all__ = [
    "NO_WISHES",
    "PAIR",
    "BaselineSettings",
    "BasicAuth",
    "Budget",
    "DnsOptions",
    "Duration",
    "Expect",
    "GrpcOptions",
    "Hex",
    "HttpOptions",
    "IcmpOptions",
    "KindOptions",
    "KubernetesOptions",
    "NotADuration",
    "Options",
    "Profile",
    "RecordOptions",
    "ResolverOptions",
    "Said",
    "Secret",
    "SecretFile",
    "Step",
    "TcpOptions",
    "TlsOptions",
    "Transport",
    "Whole",
    "parse_duration",
    "refuse_boolean",
    "reveal",
]


class BasicAuth(Options):
    """Credentials of RFC 7617."""

    username: str
    password: Secret


class WebSocketOptions(Options):
    """`websocket:` the handshake of RFC 6455, and how long the connection has to stay open."""

    hold: Duration = 0.0
    """Idle time after the handshake, within the timeout: a close or reset in it is the failure. Pings are answered."""
    subprotocol: Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")] | None = None
    """Offered, and to be chosen by the server."""


class HttpOptions(Options):
    """`http:` the one request of a run."""

    method: Annotated[str, Field(pattern=r"^[A-Z][A-Z-]*$")] = "GET"
    version: Literal["auto", "1.1", "2"] = "auto"
    """`auto` offers h2 and http/1.1 over TLS and speaks HTTP/1.1 in the clear; `2` in the clear is h2c by prior
    knowledge (RFC 9113 section 3.3), and so is `auto` in the clear where `expect.http_version` is 2."""
    headers: dict[str, Secret] = Field(default_factory=dict)
    body: Secret | None = None
    """Text, or `{file: path}`: its bytes as they are, read anew at each run and never shown."""
    bearer: Secret | None = None
    basic: BasicAuth | None = None
    follow: Annotated[Whole, Field(ge=0, le=20)] = 0
    """Redirects that are followed, each a climb of its own under the same deadline; `expect` is held against the last
    answer. 0: a redirect is the answer."""
    websocket: WebSocketOptions | None = None
    """Ask for a WebSocket over HTTP/1.1; 101 is then what is good."""
    max_body: Annotated[Whole, Field(ge=0, le=64 * 1024 * 1024)] = 1024 * 1024
    """Bytes of response body that are read; what is longer fails with `body`."""


class KubernetesOptions(Options):
    """`kubernetes:` the API server smoke. 200, 401 and 403 prove the path without a token, 200 alone with one."""

    resource: str = "/readyz?verbose"
    """What is asked for where the URL has no path of its own; `verbose` names every check, failing or not."""
    token_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
    ca_file: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")


StatusPattern = Annotated[Whole | str, Field(union_mode="left_to_right")]


class JsonExpectation(Options):
    """What a JSONPath has to select. A value alone stands for `equals`."""

    equals: Any = None
    """Every value that is selected is this one, and at least one is."""
    matches: str | None = None
    """Regular expression that is found in every value selected, and at least one is; what is no text as JSON has it."""
    exists: bool | None = None
    """Whether anything is selected at all."""


def _json_expectation(value: object) -> object:
    """A mapping as it is; any other value as the one to be equal to."""
    return value if isinstance(value, dict | JsonExpectation) else {"equals": value}


class Expect(Options):
    """`expect:` what makes a run good. `failed` turns it round: being let through is then the failure."""

    failed: Layer | None = None
    """The layer that has to fail."""
    reason: tuple[Reason, ...] = ()
    """With `failed`: the reasons that count as expected; empty: any."""
    status: tuple[StatusPattern, ...] = ()
    """Statuses or classes (`2xx`). Default: 200 to 399 for http; kubernetes has rules of its own."""
    http_version: Literal["1.0", "1.1", "2"] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    """Header name → regular expression that one of its values has to match."""
    body_contains: str | None = None
    """This and the next: of http the body, of a `grpc.call` the message as JSON."""
    body_matches: str | None = None
    """Regular expression searched in the body."""
    body_not_contains: str | None = None
    body_json: dict[str, Annotated[JsonExpectation, BeforeValidator(_json_expectation)]] = Field(default_factory=dict)
    """JSONPath (RFC 9535) → the value that everything it selects is equal to, or `{equals: …}`, `{matches: regular
    expression}`, `{exists: true}`."""
    grpc_status: tuple[str, ...] = ()
    """grpc: the statuses that a call may end with (`OK`, `NOT_FOUND`). Default: OK."""
    answers: tuple[str, ...] = ()
    """dns: the answer's data has to be exactly this set (presentation format)."""
    answers_within: tuple[str, ...] = ()
    """dns: every address of the answer has to lie in one of these networks (`10.0.0.0/8`, `fd00::/8`)."""
    rcode: str | None = None
    """dns: the response code that counts as success (`NXDOMAIN` for a name that must not exist)."""
    ttl_min: Annotated[Whole, Field(ge=0)] | None = None
    """dns: seconds that the answer's TTL has to have at least."""
    ttl_max: Annotated[Whole, Field(ge=0)] | None = None
    """dns: seconds that it may have at most."""
    authenticated: bool = False
    """dns: the server has to have validated the answer (the AD flag). Needs `dns.dnssec`."""


class KindOptions(Options):
    """All blocks of one probe, with defaults filled in."""

    icmp: IcmpOptions = IcmpOptions()
    tcp: TcpOptions = TcpOptions()
    tls: TlsOptions = TlsOptions()
    http: HttpOptions = HttpOptions()
    grpc: GrpcOptions = GrpcOptions()
    dns: DnsOptions = DnsOptions()
    resolver: ResolverOptions = ResolverOptions()
    kubernetes: KubernetesOptions = KubernetesOptions()
