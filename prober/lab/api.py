"""The API server look-alike over TLS: health, version, discovery, EndpointSlices, and Status bodies for the rest."""

from __future__ import annotations

import re
import ssl
from typing import Any
from urllib.parse import parse_qs

from prober.lab.connection import Connection, TlsConnection
from prober.lab.endpoints import EndpointSlices, Selection
from prober.lab.http import Misbehaviour, Reply, Request, Response, as_json, text
from prober.lab.http1 import serve_http1
from prober.lab.http2 import serve_http2
from prober.lab.switches import Switches

_GROUP = {"groupVersion": "discovery.k8s.io/v1", "version": "v1"}
_RESOURCE = {"name": "endpointslices", "singularName": "endpointslice", "namespaced": True, "kind": "EndpointSlice",
             "verbs": ["get", "list", "watch"]}  # fmt: skip
#: What clients ask before they ask for anything: which groups, versions and resources there are.
_DISCOVERY: dict[str, dict[str, Any]] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
        {"name": "discovery.k8s.io", "versions": [_GROUP], "preferredVersion": _GROUP}]},
    "/apis/discovery.k8s.io/v1": {"kind": "APIResourceList", "apiVersion": "v1",
                                  "groupVersion": "discovery.k8s.io/v1", "resources": [_RESOURCE]},
}  # fmt: skip
_SLICES = re.compile(r"/apis/discovery\.k8s\.io/v1(?:/namespaces/([^/]+))?/endpointslices(?:/([^/]+))?")
_HEALTH = {"/livez", "/readyz", "/healthz"}
_CHECKS = ("ping", "log", "etcd", "informer-sync", "poststarthook/start-apiextensions-controllers")
_VERSION = {"major": "1", "minor": "35", "gitVersion": "v1.35.0", "platform": "linux/amd64"}
_WATCH_SECONDS = 1800.0
_USER = "system:serviceaccount:monitoring:prober"
_REASONS = {
    429: "TooManyRequests",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    400: "BadRequest",
    500: "InternalError",
}


def status_body(code: int, message: str) -> Response:
    """A `metav1.Status` of a failure, as the API server writes it."""
    body: dict[str, Any] = {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": _REASONS[code], "code": code,
    }  # fmt: skip
    return as_json(code, body)


class ApiServer:
    """Answers 403 without a token, 401 to a wrong one, 200 to the lab's own: so far as the `api-…` faults let it."""

    def __init__(self, switches: Switches, context: ssl.SSLContext, token: str, slices: EndpointSlices) -> None:
        self._switches = switches
        self._context = context
        self._token = token
        self._slices = slices

    async def serve(self, connection: Connection) -> None:
        """Serve one connection after its TLS handshake."""
        tls = TlsConnection(connection, self._context)
        await tls.handshake()
        await self.speak(tls)

    async def speak(self, tls: TlsConnection) -> None:
        """Serve what comes on an open stream."""
        await (serve_http2 if tls.alpn == "h2" else serve_http1)(tls, self.answer)

    async def answer(self, request: Request) -> Reply:
        """One reply, spoilt by the `api-…` faults."""
        if self._switches.on("api-hang"):
            return Misbehaviour.HANG
        authorization = request.headers.get("authorization")
        if authorization is None:
            who = f'User "system:anonymous" cannot {request.method.lower()} path "{request.path}"'
            return status_body(403, f"forbidden: {who}")
        if authorization != f"Bearer {self._token}" or self._switches.on("api-401"):
            return status_body(401, "Unauthorized")
        if self._switches.on("api-403"):
            who = f'User "{_USER}" cannot {request.method.lower()} path "{request.path}"'
            return status_body(403, f"forbidden: {who}")
        if self._switches.on("api-429"):
            return status_body(429, "too many requests, please try again later")
        return self._authorized(request)

    def _authorized(self, request: Request) -> Response:
        broken = self._switches.on("api-500")
        if request.path in _HEALTH:
            return _health(request, broken or self._switches.on("api-not-ready"))
        if broken:
            return status_body(500, "etcdserver: request timed out")
        if request.path == "/version":
            return as_json(200, _VERSION)
        if request.path in _DISCOVERY:
            return as_json(200, _DISCOVERY[request.path])
        if (match := _SLICES.fullmatch(request.path)) is not None and match[2] is None:
            return self._endpoint_slices(match[1] or "", request)
        if match is not None and (slice_ := self._slices.get(match[1] or "", match[2])) is not None:
            return as_json(200, slice_)
        return status_body(404, "the server could not find the requested resource")

    def _endpoint_slices(self, namespace: str, request: Request) -> Response:
        query = {key: values[-1] for key, values in parse_qs(request.target.partition("?")[2]).items()}
        try:
            selection = Selection.of(namespace, query.get("labelSelector", ""))
            since = int(query.get("resourceVersion", "0"))
            seconds = float(query.get("timeoutSeconds", _WATCH_SECONDS))
        except ValueError as error:
            return status_body(400, str(error))
        if query.get("watch") in ("1", "true"):
            events = self._slices.watch(selection, since, seconds)
            return Response(200, events, {"content-type": "application/json"})
        return as_json(200, self._slices.listing(selection))


def _health(request: Request, broken: bool) -> Response:
    """`ok`, or with `?verbose` and on failure the checks one by one, as the API server's health endpoints do."""
    failed = broken and request.path != "/livez"
    if not failed and "verbose" not in parse_qs(request.target.partition("?")[2], keep_blank_values=True):
        return text(200, "ok")
    lines = [
        f"[-]{check} failed: reason withheld" if failed and check == "etcd" else f"[+]{check} ok" for check in _CHECKS
    ]
    lines.append(f"{request.path.strip('/')} check {'failed' if failed else 'passed'}")
    return text(500 if failed else 200, "\n".join(lines) + "\n")
