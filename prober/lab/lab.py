"""The lab as a whole: binds the ports, makes the certificates, starts the servers, switches the faults."""

from __future__ import annotations

import logging
import secrets
import shutil
import ssl
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from socket import AF_INET6, SOCK_DGRAM, SOCK_STREAM
from typing import Self

from prober.lab.api import ApiServer
from prober.lab.certificates import CertificateFiles
from prober.lab.config import Ports, Setting, demo_config
from prober.lab.dns import DnsServer
from prober.lab.endpoints import Backend, EndpointSlices, Member
from prober.lab.faults import known
from prober.lab.grpc import Payments
from prober.lab.ingress import Ingress
from prober.lab.proxy import Proxy
from prober.lab.sockets import LOOPBACK, Listener, Mode, Serve, backlog_trial, bind_alike, loopback_families
from prober.lab.switches import Switches
from prober.lab.tls import make_context
from prober.lab.web import WebApi
from prober.lab.zone import demo_zone

log = logging.getLogger(__name__)

_API_NAMES = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
              "localhost", "127.0.0.1", "::1"]  # fmt: skip
_PAYMENTS_NAMES = ["payments.pay.svc.cluster.local", "payments.pay.svc", "localhost", "127.0.0.1", "::1"]


class Lab:
    """An async context manager: inside it the servers answer, after it no port, task or file is left."""

    config_text: str
    """A complete `probes.yaml` against the servers of this lab."""
    config_path: Path
    """The same as a file."""
    token_file: Path
    """The token that the API server takes."""
    ca_file: Path
    """The root certificate of every good server here."""
    ports: Ports
    slices: EndpointSlices
    """What the API server says about the endpoints of web-api and payments."""
    unavailable: Mapping[str, str]
    """Fault → why it cannot be switched on here."""

    def __init__(self) -> None:
        self._switches = Switches()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def faults(self) -> dict[str, bool]:
        """Every fault → whether it is on."""
        return dict(self._switches.state())

    async def set_fault(self, name: str, on: bool) -> None:
        """Switch one fault; those that are on already stay. KeyError for an unknown name (with did-you-mean),
        RuntimeError for a fault that this machine cannot have."""
        known(name)
        if on and name in self.unavailable:
            raise RuntimeError(f"{name} is not available here: {self.unavailable[name]}")
        self._switches.turn(name, on)
        await self._apply()

    async def _apply(self) -> None:
        """Bring what is not read at each request into the state that the switches ask for."""
        modes = {None: Mode.OPEN, "tcp-refused": Mode.CLOSED, "tcp-timeout": Mode.FULL}
        await self._web.become(modes[self._switches.first("tcp-refused", "tcp-timeout")])
        await self.slices.set_ready("web-api", not self._switches.on("endpoints-not-ready"))
        await self._forbidden.become(Mode.OPEN if self._switches.on("canary-open") else Mode.CLOSED)

    async def _start(self) -> None:
        families = loopback_families()
        if AF_INET6 not in families:
            log.warning("no IPv6 loopback here: the lab runs over IPv4 alone")
        directory = Path(tempfile.mkdtemp(prefix="prober-lab-"))
        self._stack.callback(shutil.rmtree, directory)
        certificates = CertificateFiles(directory)
        self.ca_file, self.token_file = certificates.ca_file, directory / "token"
        token = secrets.token_urlsafe(24)
        self.token_file.touch(mode=0o600)
        self.token_file.write_text(token + "\n", encoding="utf-8")
        self.unavailable = await _unavailable(families)
        await self._serve(families, certificates, token)
        self.config_text = demo_config(Setting(self.ports, AF_INET6 in families, self.ca_file, self.token_file))
        self.config_path = directory / "probes.yaml"
        self.config_path.write_text(self.config_text, encoding="utf-8")

    async def _serve(self, families: Sequence[int], certificates: CertificateFiles, token: str) -> None:
        """Start the servers, those that others lead to first."""
        listen = partial(self._listen, families)
        switches = self._switches
        self._web = await listen(WebApi(switches).serve)
        ingress = await listen(Ingress(switches, certificates, "api.example.com", self._web.port).serve)
        proxy = await listen(Proxy(switches, {"api.example.com:443": ingress.port}).serve)
        payments = Payments(switches, make_context(certificates, _PAYMENTS_NAMES, alpn=["h2"]))
        await payments.start()
        self._stack.push_async_callback(payments.stop)
        grpc, grpcs = await listen(payments.serve), await listen(payments.serve_tls)
        addresses = {f"IPv{6 if family == AF_INET6 else 4}": LOOPBACK[family] for family in families}
        self.slices = EndpointSlices({
            "web-api": Backend("app", "web-api", {"http": self._web.port}, (Member("web-api-0", addresses),)),
            "payments": Backend("pay", "payments", {"grpc": grpc.port}, (Member("payments-0", addresses),)),
        })  # fmt: skip
        api = await listen(ApiServer(switches, make_context(certificates, _API_NAMES), token, self.slices).serve)
        self._forbidden = await listen(WebApi(switches).serve, Mode.CLOSED)
        zone = demo_zone({("_http._tcp", "web-api.app.svc.cluster.local."): self._web.port,
                          ("_grpc._tcp", "payments.pay.svc.cluster.local."): grpc.port})  # fmt: skip
        dns = await self._serve_dns(families, DnsServer(switches, zone))
        self.ports = Ports(dns, self._web.port, ingress.port, proxy.port, grpc.port, grpcs.port, api.port,
                           self._forbidden.port)  # fmt: skip

    async def _listen(self, families: Sequence[int], serve: Serve, mode: Mode = Mode.OPEN) -> Listener:
        listener = Listener(bind_alike([(family, SOCK_STREAM) for family in families]), serve)
        self._stack.push_async_callback(listener.close)
        await listener.become(mode)
        return listener

    async def _serve_dns(self, families: Sequence[int], server: DnsServer) -> int:
        wanted = [(family, kind) for kind in (SOCK_STREAM, SOCK_DGRAM) for family in families]
        sockets = bind_alike(wanted)
        listener = Listener(sockets[: len(families)], server.serve)
        self._stack.push_async_callback(listener.close)
        self._stack.push_async_callback(server.close)
        server.start(sockets[len(families) :])
        await listener.become(Mode.OPEN)
        return listener.port


async def _unavailable(families: Sequence[int]) -> dict[str, str]:
    """What this machine cannot do, found by trying."""
    missing: dict[str, str] = {}
    if AF_INET6 not in families:
        missing["dns-no-aaaa"] = "no IPv6 loopback address"
    if not ssl.HAS_TLSv1:
        missing["tls-old-version"] = "this OpenSSL has no TLS 1.0"
    if (why_not := await backlog_trial()) is not None:
        missing["tcp-timeout"] = why_not
    return missing
