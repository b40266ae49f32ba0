"""Faults of ingresses and of the egress proxy, and of what is behind them: the real programs with a bad configuration,
stopped, or cut off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prober.reasons import Family, Layer, Reason
from tests.network.lab import plan
from tests.network.lab.faults.fault import Fault, Inject
from tests.network.lab.faults.inject import rule, services
from tests.network.lab.faults.served import served
from tests.network.lab.fronts.envoy import Envoy
from tests.network.lab.fronts.ingress import GRPC_HOST, WEB_HOST, Ingress
from tests.network.lab.fronts.process import Front

if TYPE_CHECKING:
    from tests.network.lab.lab import Lab

L, R = Layer, Reason
_WEB, _PAYMENTS = plan.SERVICES["web"], plan.SERVICES["payments"]
_PROTOCOL_PORT = plan.GRPC
_NOBODYS_PORT = 9999
_INGRESSES = ("nginx", "envoy", "haproxy")
#: Program → what it does in the faults in which they disagree.
_UNKNOWN_SNI: Mapping[str, Reason] = {"envoy": R.RESET}
_UNKNOWN_AUTHORITY: Mapping[str, Reason] = {"envoy": R.UNIMPLEMENTED}
_GRPC_OVER_HTTP1: Mapping[str, Reason] = {"nginx": R.NOT_GRPC}
_DROPPED: Mapping[str, Reason] = {"haproxy": R.STREAM_RESET}
_LATE = "over IPv6 {}: the kernel tells it late"
_SAYS: Mapping[str, Mapping[str, str]] = {
    "nginx": {"no-endpoints": f"502 ({_LATE.format(504)})", "wrong-targetport": "502", "wrong-protocol": ":status 000",
              "backend-drop": "504", "backend-slow": "504"},
    "envoy": {"no-endpoints": "503 UF", "wrong-targetport": "503 UF", "wrong-protocol": "502 UPE",
              "backend-drop": "503 UF", "backend-slow": "504 UT"},
    "haproxy": {"no-endpoints": f"503 ({_LATE.format('REFUSED_STREAM')})", "wrong-targetport": "503",
                "wrong-protocol": "502", "backend-drop": "REFUSED_STREAM", "backend-slow": "504"},
}  # fmt: skip


def _front(lab: Lab, program: str) -> Any:
    """The lab's front end of this program. RuntimeError where it is not installed."""
    if program in lab.fronts.missing:
        raise RuntimeError(lab.fronts.missing[program])
    return getattr(lab.fronts, program)


def routed(program: str, **fields: Any) -> Inject:
    """An ingress whose sides have other values of these fields. It is started again, before and after."""

    @asynccontextmanager
    async def inject(lab: Lab, families: Sequence[Family]) -> AsyncIterator[None]:
        front = _front(lab, program)
        healthy = front.routing
        await front.become(healthy.changed(families, **fields))
        try:
            yield
        finally:
            await front.become(healthy)

    return inject


def ruled(**fields: Any) -> Inject:
    """A squid with other rules. It is started again, before and after."""

    @asynccontextmanager
    async def inject(lab: Lab, _: Sequence[Family]) -> AsyncIterator[None]:
        squid = _front(lab, "squid")
        healthy = squid.rules
        await squid.become(replace(healthy, **fields))
        try:
            yield
        finally:
            await squid.become(healthy)

    return inject


def done(program: str, do: Callable[[Any], Awaitable[None]], undo: str) -> Inject:
    """Something done to the process of a front end, and the method of it that undoes that."""

    @asynccontextmanager
    async def inject(lab: Lab, _: Sequence[Family]) -> AsyncIterator[None]:
        front = _front(lab, program)
        await do(front)
        try:
            yield
        finally:
            if (undoing := getattr(front, undo)()) is not None:
                await undoing

    return inject


def _changed_port(target: int) -> Inject:
    """The clear port of the application's Service leads elsewhere: the ingresses go by it, and nobody else."""
    ports = tuple(replace(port, target=target) if port.name == "http" else port for port in _WEB.ports)
    return services(replace(_WEB, ports=ports))


def _behind(program: str) -> Iterator[Fault]:
    """What is behind an ingress."""
    late = _DROPPED.get(program, R.STATUS)

    def fault(name: str, says: str, to_blame: str, inject: Inject, *http: Reason, tcp: Reason | None = None) -> Fault:
        blame = {L.HTTP: http} | ({L.TCP: (tcp,)} if tcp else {})
        return Fault(f"ing-{program}-{name}", says, to_blame, "+++X+++", blame, inject, path=program,
                     per_family=False, note=f"{program} says {_SAYS[program][name]}.")  # fmt: skip

    yield fault("no-endpoints", "The Service behind the ingress has no endpoints.", "Service",
                services(replace(_WEB, pods=())), *dict.fromkeys((R.STATUS, late)), tcp=R.REJECTED)  # fmt: skip
    yield fault("wrong-targetport", "The Service behind the ingress leads to a port on which nobody listens.",
                "Service port", _changed_port(_NOBODYS_PORT), R.STATUS)  # fmt: skip
    yield fault("wrong-protocol", "The Service behind the ingress leads to a port on which gRPC is spoken.",
                "Service port", _changed_port(_PROTOCOL_PORT), R.STATUS)  # fmt: skip
    yield fault("backend-drop", "What the ingress says to the Pod behind it is dropped.", "policy of the ingress",
                rule("node2", f"{{ip}} saddr {{{program}}} {{ip}} daddr {{web2}} tcp dport {plan.HTTP} drop"),
                late)  # fmt: skip
    yield fault("backend-slow", "The application behind the ingress does not answer in time.", "application",
                served("web2", "http-hang"), R.STATUS, R.TIMEOUT)  # fmt: skip


def _calls(program: str) -> Iterator[Fault]:
    """The gRPC server behind an ingress."""
    late = _DROPPED.get(program, R.UNAVAILABLE)

    def fault(name: str, says: str, to_blame: str, inject: Inject, *grpc: Reason, tcp: Reason | None = None) -> Fault:
        blame = {L.GRPC: grpc} | ({L.TCP: (tcp,)} if tcp else {})
        return Fault(
            f"ing-{program}-grpc-{name}", says, to_blame, "++++X++", blame, inject, path=program, per_family=False
        )

    yield fault("no-endpoints", "The gRPC Service behind the ingress has no endpoints.", "Service",
                services(replace(_PAYMENTS, pods=())), *dict.fromkeys((R.UNAVAILABLE, late)),
                tcp=R.REJECTED)  # fmt: skip
    yield fault("drop", "What the ingress says to the gRPC server behind it is dropped.", "policy of the ingress",
                rule("node2", f"{{ip}} saddr {{{program}}} {{ip}} daddr {{web2}} tcp dport {plan.GRPC} drop"),
                late)  # fmt: skip
    yield fault("slow", "The gRPC server behind the ingress does not answer in time.", "application",
                served("payments", "grpc-hang"), R.UNAVAILABLE, R.TIMEOUT)  # fmt: skip


def _configured(program: str) -> Iterator[Fault]:
    """The configuration of an ingress."""

    def fault(name: str, sentence: str, to_blame: str, signature: str, layer: Layer, reason: Reason,
              **fields: Any) -> Fault:  # fmt: skip
        return Fault(f"ing-{program}-{name}", sentence, to_blame, signature, {layer: (reason,)},
                     routed(program, **fields), path=program, per_family=False)  # fmt: skip

    yield fault("no-route", "The ingress has no route for the name that is asked for as SNI.", "routing", "++Xb+++",
                L.TLS, _UNKNOWN_SNI.get(program, R.UNRECOGNIZED_NAME), hosts=(GRPC_HOST,))  # fmt: skip
    yield fault("no-route-host", "The ingress has a certificate for the name and no route for the Host.", "routing",
                "+++X+++", L.HTTP, R.STATUS, hosts=(GRPC_HOST,), strict_sni=False)  # fmt: skip
    yield fault("no-route-authority", "The ingress has a certificate for the name and no route for the call.",
                "routing", "++++X++", L.GRPC, _UNKNOWN_AUTHORITY.get(program, R.NOT_GRPC), hosts=(WEB_HOST,),
                strict_sni=False)  # fmt: skip
    yield fault("h1-listener", "The listener of the ingress has no h2.", "terminator", "++Xbb++", L.TLS, R.NO_ALPN,
                http2=False)  # fmt: skip
    yield fault("grpc-over-http1", "The ingress speaks HTTP/1.1 to the gRPC server.", "backend protocol",
                "++++X++", L.GRPC, _GRPC_OVER_HTTP1.get(program, R.UNAVAILABLE), grpc_over_http1=True)  # fmt: skip


def _processes(program: str) -> Iterator[Fault]:
    """The processes of an ingress."""
    yield Fault(f"ing-{program}-hangs", "The ingress is stopped: the kernel alone accepts.", "ingress",
                "++Tbb++", {L.TLS: (R.TIMEOUT,)}, done(program, Ingress.freeze, "resume"), path=program,
                per_family=False)  # fmt: skip
    yield Fault(f"ing-{program}-gone", "The ingress has ended, and its Service leads to it still.", "ingress",
                "+Rbbb++", {L.TCP: (R.REFUSED,)}, done(program, Ingress.kill, "start"), path=program,
                per_family=False)  # fmt: skip


@asynccontextmanager
async def _reloaded(lab: Lab, _: Sequence[Family]) -> AsyncIterator[None]:
    nginx = _front(lab, "nginx")
    await nginx.reload(nginx.routing)
    yield


NGINX = (
    Fault("ing-nginx-worker-hangs", "The worker of nginx is stopped; its master does not know.", "ingress", "++Tbb++",
          {L.TLS: (R.TIMEOUT,)}, done("nginx", Ingress.freeze_workers, "resume"), path="nginx",
          per_family=False),
    Fault("ing-nginx-reloaded", "The ingress was reloaded a moment ago.", "nothing", "+++++++", {},
          _reloaded, path="nginx", per_family=False),
)  # fmt: skip


ENVOY = (
    Fault("ing-envoy-drained", "The ingress drains before its end, and its Service leads to it still.", "ingress",
          "+Rbbb++", {L.TCP: (R.REFUSED,)}, done("envoy", Envoy.drain, "restart"), path="envoy", per_family=False),
)  # fmt: skip


def _proxy(name: str, says: str, to_blame: str, reason: Reason, inject: Inject, note: str = "") -> Fault:
    """A fault at the proxy. Names are its business, and so is the family in which it goes on."""
    return Fault(f"proxy-{name}", says, to_blame, "++bb+++", {L.PROXY: (reason,)}, inject, path="proxied",
                 per_family=False, note=note)  # fmt: skip


PROXY = (
    _proxy("refused", "The proxy's rules do not allow the destination.", "rules of the proxy", R.PROXY_REFUSED,
           ruled(allowed=False), "squid says 403."),
    _proxy("auth", "The proxy wants a password.", "identity", R.PROXY_AUTH, ruled(login=True), "squid says 407."),
    _proxy("failed", "The proxy's egress is rejected.", "policy of the proxy", R.PROXY_FAILED,
           rule("node1", "{ip} saddr {squid} {ip} daddr {outside} meta l4proto tcp reject with tcp reset"),
           "squid says 503."),
    _proxy("egress-drop", "The proxy's egress is dropped.", "policy of the proxy", R.TIMEOUT,
           rule("node1", "{ip} saddr {squid} {ip} daddr {outside} drop"), "squid waits longer than the probe does."),
    _proxy("hangs", "The proxy is stopped: the kernel alone accepts.", "proxy", R.TIMEOUT,
           done("squid", Front.freeze, "resume")),
    Fault("proxy-gone", "The proxy has ended, and its Service leads to it still.", "proxy", "+Rbb+++",
          {L.TCP: (R.REFUSED,)}, done("squid", Front.kill, "start"), path="proxied", per_family=False),
)  # fmt: skip

FAULTS = (
    *(fault for program in _INGRESSES for of in (_behind, _calls, _configured, _processes) for fault in of(program)),
    *NGINX,
    *ENVOY,
    *PROXY,
)
