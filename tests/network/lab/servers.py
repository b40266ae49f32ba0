"""The lab's own servers in their Pods, each with a switchboard of its own for each family.

A socket belongs to the network namespace of the thread that made it, so one event loop serves all Pods. A fault is
switched in one server and one family: the other family goes on as before.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self

from prober.lab.api import ApiServer
from prober.lab.certificates import CertificateFiles
from prober.lab.endpoints import Backend, EndpointSlices, Member
from prober.lab.sockets import Listener, Mode, Serve
from prober.lab.switches import Switches
from prober.lab.tls import make_context
from prober.reasons import Family
from tests.network.lab import dns, payments, plan, tls, web
from tests.network.lab.isolation import inside
from tests.network.lab.names import cluster_zone
from tests.network.lab.plan import GRPC_HOST, WEB_HOST, WWW_HOST

NUMBERS = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}
_ANYWHERE = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}
#: (place, family, kind, port) → a non-blocking socket bound there; port 0 is any.
OpenSocket = Callable[[str, int, int, int], socket.socket]
#: Faults of a port rather than of a server: what becomes of its listeners.
MODES = {"tcp-closed": Mode.CLOSED, "tcp-backlog": Mode.FULL}
#: What the switchboards know beside the demo's faults.
MORE = (*MODES, *tls.MORE, *web.MORE, *payments.MORE, *dns.MORE)
#: The servers with a switchboard: a web application in each of its Pods, and those that there is one of.
WEB_PODS = (plan.WEB2, plan.WEB1, plan.WEB3, plan.CLIENT)
SERVERS = (*(pod.name for pod in WEB_PODS), "payments", "dns", "api", "outside")
_DNS, _API, _HTTP, _HTTPS = 53, 6443, 80, 443


def open_inside(place: str, family: int, kind: int, port: int) -> socket.socket:
    """A socket in the network namespace `place`, bound to all its addresses."""
    with inside(place):
        return bound_to(_ANYWHERE[socket.AddressFamily(family)], family, kind, port)


def bound_to(address: str, family: int, kind: int, port: int) -> socket.socket:
    """A non-blocking socket of this namespace at `address`; OSError where the port is taken."""
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


class Servers:
    """An async context manager: inside it the servers answer, after it no port or task is left.

    `directory` gets the certificates, `account` (where none is given, `directory` too) what a Pod has mounted of its
    service account. Both have to stay as long.
    """

    ca_file: Path
    """The root certificate of every good server."""
    token_file: Path
    """The token that the API server takes."""
    slices: EndpointSlices
    """What the API server says of the endpoints of the plan's Services."""

    def __init__(
        self, directory: Path, open_socket: OpenSocket = open_inside, families: Sequence[Family] = tuple(Family),
        account: Path | None = None,
    ) -> None:  # fmt: skip
        self._directory = directory
        self._account = account or directory
        self._open = open_socket
        self._families = families
        self._stack = AsyncExitStack()
        self._boards = {(server, family): Switches(MORE) for server in SERVERS for family in families}
        self._listeners: dict[tuple[str, Family], list[Listener]] = {}
        self._ports: dict[tuple[str, Family, int], int] = {}
        self._dns: dict[Family, dns.ClusterDns] = {}
        self._zone = cluster_zone()

    async def __aenter__(self) -> Self:
        self.certificates = CertificateFiles(self._directory)
        self.ca_file, self.token_file = self.certificates.ca_file, self._account / "token"
        self._token = secrets.token_urlsafe(24)
        self._mount()
        self.slices = _slices(plan.SERVICES.values(), self._families)
        try:
            for family in self._families:
                await self._start(family)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _mount(self) -> None:
        """What the kubelet mounts of a service account."""
        self._account.mkdir(parents=True, exist_ok=True)
        self.token_file.write_text(self._token, encoding="ascii")
        (self._account / "namespace").write_text(plan.CLIENT.namespace, encoding="ascii")
        (self._account / "ca.crt").write_bytes(self.ca_file.read_bytes())

    def port(self, server: str, family: Family, wanted: int) -> int:
        """The port that `open_socket` gave where `wanted` was asked for."""
        return self._ports[server, family, wanted]

    @asynccontextmanager
    async def fault(self, server: str, name: str, families: Iterable[Family] = tuple(Family)) -> AsyncIterator[None]:
        """The fault `name` in `server` for these families, until the block ends.

        KeyError for an unknown name or server, RuntimeError where the kernel cannot do it.
        """
        boards = [(server, family) for family in families if family in self._families]
        try:
            for key in boards:
                self._boards[key].turn(name, True)
                await self._apply(key)
            yield
        finally:
            for key in boards:
                self._boards[key].turn(name, False)
                await self._apply(key)

    async def _apply(self, key: tuple[str, Family]) -> None:
        """Bring the sockets of a server into the state that its switches ask for."""
        board = self._boards[key]
        mode = next((mode for name, mode in MODES.items() if board.on(name)), Mode.OPEN)
        for listener in self._listeners[key]:
            await listener.become(mode)
        server, family = key
        if server == "dns" and mode is Mode.CLOSED:
            await self._dns[family].close()
        elif server == "dns" and not self._dns[family].is_open:
            self._start_dns(family)

    async def _start(self, family: Family) -> None:
        """All servers of one family."""
        board = {server: self._boards[server, family] for server in SERVERS}
        names = web_names()
        for pod in WEB_PODS:
            app = web.Web(board[pod.name], self.certificates, [*names, pod.address(family)])
            await self._listen(pod.name, pod.name, family, {plan.HTTP: app.serve, plan.HTTPS: app.serve_tls})
        www = web.Web(board["outside"], self.certificates, [WWW_HOST, plan.OUTSIDE_ADDRESSES[family]])
        await self._listen("outside", plan.OUTSIDE, family, {_HTTP: www.serve, _HTTPS: www.serve_tls})
        await self._start_payments(board["payments"], family)
        api = ApiServer(board["api"], make_context(self.certificates, api_names()), self._token, self.slices)
        front = tls.Front(board["api"], self.certificates, api_names(), api.speak, www.serve)
        await self._listen("api", plan.API.name, family, {_API: front.serve})
        self._dns[family] = dns.ClusterDns(board["dns"], self._zone)
        self._stack.push_async_callback(self._dns[family].close)
        await self._listen("dns", plan.DNS.name, family, {_DNS: self._dns[family].serve})
        self._start_dns(family)

    def _start_dns(self, family: Family) -> None:
        self._dns[family].start([self._open(plan.DNS.name, NUMBERS[family], socket.SOCK_DGRAM, _DNS)])

    async def _start_payments(self, board: Switches, family: Family) -> None:
        """The gRPC service on web2. Its certificate has names and faults of its own."""
        names = [*service_names(plan.SERVICES["payments"]), GRPC_HOST, plan.WEB2.address(family)]
        service = payments.FaultyPayments(board, make_context(self.certificates, names, alpn=["h2"]))
        await service.start()
        self._stack.push_async_callback(service.stop)
        front = tls.Front(board, self.certificates, names, service.speak, service.serve)
        serve = {plan.GRPC: service.serve, plan.GRPCS: front.serve}
        await self._listen("payments", plan.WEB2.name, family, serve)

    async def _listen(self, server: str, place: str, family: Family, ports: dict[int, Serve]) -> None:
        listeners = self._listeners.setdefault((server, family), [])
        opener = partial(self._open, place)
        for port, serve in ports.items():
            listener = Listener([opener(NUMBERS[family], socket.SOCK_STREAM, port)], serve, opener)
            self._stack.push_async_callback(listener.close)
            listeners.append(listener)
            self._ports[server, family, port] = listener.port
            await listener.become(Mode.OPEN)


def service_names(service: plan.Service) -> list[str]:
    """The names that a Service's certificate is for: with and without the cluster's domain."""
    full = service.dns_name.rstrip(".")
    return [full, full.removesuffix(f".{plan.DOMAIN}"), f"{service.name}.{service.namespace}", service.name]


def web_names() -> list[str]:
    """Those of every Service that leads to the web application, and its name in the world."""
    leading = [service for service in plan.SERVICES.values() if {*service.pods} & {*WEB_PODS}]
    names = [name for service in leading if service.name != "payments" for name in service_names(service)]
    return [*names, WEB_HOST]


def api_names() -> list[str]:
    """The names and addresses that an API server's certificate has by kubeadm."""
    service = plan.SERVICES["kubernetes"]
    addresses = [each.address(family) for each in (service, plan.API) for family in Family]
    return [*service_names(service), *addresses, "localhost"]


def _slices(services: Iterable[plan.Service], families: Sequence[Family]) -> EndpointSlices:
    """EndpointSlices of the Services. Each node is a zone."""
    types = {Family.IPV4: "IPv4", Family.IPV6: "IPv6"}

    def member(pod: plan.Pod) -> Member:
        addresses = {types[family]: pod.address(family) for family in families}
        return Member(pod.name, addresses, pod.node.name, "lab-a" if pod.node is plan.NODE1 else "lab-b")

    return EndpointSlices({
        service.name: Backend(service.namespace, service.name, {port.name: port.target for port in service.ports},
                              tuple(map(member, service.pods)))
        for service in services
    })  # fmt: skip
