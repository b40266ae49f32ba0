"""curl and grpcurl: the lines that prove proxy, http and grpc by hand. Pure."""

from __future__ import annotations

import json
from dataclasses import replace

from prober.export.shell import quote
from prober.export.tools.line import Line
from prober.export.tools.tls import ca_file
from prober.model import Endpoint
from prober.options import Secret, SecretFile
from prober.reasons import Kind, Layer
from prober.units import host_port


def curl(line: Line) -> list[str]:
    """One request over one connection to the address that the run used, as our http layer makes it."""
    url = _url(line)
    command = ["curl", "-sv", "--max-time", f"{line.cell.timeout:g}", *_version(line), *_where(line)]
    command += _follow(line) + _trust(line) + _method_and_body(line) + _fields(line) + _credentials(line)
    return [*command, *(["-g"] if any(sign in url for sign in "[]{}") else []), line.word(url)]


def through_proxy(line: Line) -> list[str]:
    """CONNECT by hand; what is not http goes as `telnet://`, which curl tunnels as bytes."""
    if line.cell.kind is Kind.HTTP:
        return curl(line)
    command = ["curl", "-sv", "--max-time", f"{line.cell.timeout:g}", *_proxy(line)]
    return [*command, line.word(f"telnet://{host_port(*line.goal)}"), "</dev/null"]


def grpcurl(line: Line) -> list[str]:
    """The same health check (grpc.health.v1) or call; a watch ends with the time that is given."""
    options, endpoint = line.options, line.endpoint
    command = [] if endpoint.proxy is None else [f"https_proxy={_proxy_variable(line, endpoint.proxy)}"]
    command += ["grpcurl", "-max-time", line.seconds()]
    command += _grpc_trust(line) if line.tls else ["-plaintext"]
    command += line.words("-authority", options.grpc.authority or endpoint.authority)
    for name, value in options.grpc.metadata.items():
        command += ["-H", line.field(name, value)]
    grpc = options.grpc
    request = grpc.request if grpc.call is not None else {"service": grpc.service} if grpc.service else {}
    if request or grpc.watch is not None:
        command += ["-d", line.word(json.dumps(request))]
    method = grpc.call or f"grpc.health.v1.Health/{'Check' if grpc.watch is None else 'Watch'}"
    return [*command, line.word(host_port(*line.goal)), line.word(method)]


def _grpc_trust(line: Line) -> list[str]:
    options = line.options.tls
    files = (("-cacert", options.ca_file), ("-cert", options.certificate_file), ("-key", options.key_file))
    words = [word for flag, value in files if value is not None for word in line.words(flag, str(value))]
    return words if options.verify else ["-insecure", *words]


def _authority(line: Line) -> tuple[str, bool]:
    """The URL's authority, and whether Host has to be set apart: curl takes SNI from the URL."""
    name = line.options.tls.server_name
    if not line.tls or name is None or name == line.endpoint.host:
        return line.endpoint.authority, False
    return replace(line.endpoint, host=name).authority, True


def _url(line: Line) -> str:
    return f"{'https' if line.tls else 'http'}://{_authority(line)[0]}{line.cell.resource}"


def _version(line: Line) -> list[str]:
    version = line.options.http.version
    if not line.tls and line.cell.prior_knowledge:
        return ["--http2-prior-knowledge"]
    if version == "2":
        return ["--http2"]
    only = version == "1.1" or line.options.http.websocket is not None
    return ["--http1.1"] if only and line.tls else []


def _where(line: Line) -> list[str]:
    """Proxy and pinned address; nothing where the URL's own host and port are that address."""
    proxy = _proxy(line) if line.proxied else []
    host, port = line.goal
    if (host, port) == (line.endpoint.host, line.endpoint.port) and not _authority(line)[1]:
        return proxy + (line.family(host) if not line.proxied else [])
    return [
        *proxy,
        "--connect-to",
        line.word(f"{_from(line)}:{host_port(host, port)}"),
        *([] if line.proxied else line.family(host)),
    ]


def _from(line: Line) -> str:
    """What `--connect-to` is for: everything, or the first URL alone where there may be others."""
    endpoint = line.endpoint
    return host_port(endpoint.host, endpoint.port) if line.options.http.follow else ":"


def _proxy(line: Line) -> list[str]:
    """A tunnel by CONNECT (RFC 9110 section 9.3.6) in every case, as our proxy layer does it."""
    proxy = line.endpoint.proxy
    words = ["-p", "--proxy", line.word(_proxy_url(proxy, line.hop))]
    return words if proxy is None or proxy.basic is None else [*words, "--proxy-user", line.user(proxy.basic)]


def _proxy_url(proxy: Endpoint | None, hop: tuple[str, int]) -> str:
    return f"{proxy.scheme if proxy is not None else 'http'}://{host_port(*hop)}"


def _proxy_variable(line: Line, proxy: Endpoint) -> str:
    """The proxy as the environment says it, credentials in front (RFC 3986 section 3.2.1)."""
    url = _proxy_url(proxy, line.hop)
    if proxy.basic is None:
        return line.word(url)
    scheme, _, where = url.partition("//")
    return quote([f"{scheme}//", *line.user_parts(proxy.basic), f"@{where}"])


def _follow(line: Line) -> list[str]:
    """Redirects as the run followed them; curl keeps credentials to the first host as well."""
    follow = line.options.http.follow if line.cell.kind is Kind.HTTP else 0
    return ["-L", "--max-redirs", str(follow)] if follow else []


def _trust(line: Line) -> list[str]:
    options = line.options.tls
    if not line.tls:
        return []
    files = (("--cacert", ca_file(line)), ("--cert", options.certificate_file), ("--key", options.key_file))
    words = [word for flag, value in files if value is not None for word in line.words(flag, str(value))]
    if options.min_version != "1.2":
        words.append(f"--tlsv{options.min_version}")
    if options.max_version != "1.3":
        words += ["--tls-max", options.max_version]
    return words if options.verify else ["-k", *words]


def _method_and_body(line: Line) -> list[str]:
    options = line.options.http
    if options.method == "HEAD":
        return ["-I"]
    words = ["-X", options.method] if options.method != ("GET" if options.body is None else "POST") else []
    if options.body is None:
        return words
    if not any(name.lower() == "content-type" for name in options.headers):
        words += ["-H", "Content-Type:"]  # curl would call it a form
    body = f"@{options.body.file}" if isinstance(options.body, SecretFile) else options.body
    return [*words, "--data-binary", line.word(body)]


#: A handshake by hand (RFC 6455 section 4.1). The key is any 16 bytes: these are the RFC's own.
_HANDSHAKE: tuple[tuple[str, Secret], ...] = (
    ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)  # fmt: skip


def _fields(line: Line) -> list[str]:
    fields: list[tuple[str, Secret]] = [("Host", line.endpoint.authority)] if _authority(line)[1] else []
    websocket = line.options.http.websocket
    if websocket is not None:
        fields += _HANDSHAKE
        fields += [("Sec-WebSocket-Protocol", websocket.subprotocol)] if websocket.subprotocol else []
    fields += line.options.http.headers.items()
    return [word for name, value in fields for word in ("-H", line.field(name, value))]


def _credentials(line: Line) -> list[str]:
    options = line.options.http
    if line.cell.kind is Kind.KUBERNETES:
        return _pod_token(line)
    if options.bearer is not None:
        return ["-H", line.field("Authorization", options.bearer, scheme="Bearer ")]
    if options.basic is not None:
        return ["-u", line.user(options.basic)]
    return []


def _pod_token(line: Line) -> list[str]:
    """The mounted token, where the run had one to send."""
    request = line.run.outcome(Layer.HTTP)
    if request is None or not request.evidence.get("token"):
        return []
    return ["-H", line.field("Authorization", SecretFile(file=line.options.kubernetes.token_file), scheme="Bearer ")]
