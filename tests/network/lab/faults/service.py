"""Faults of Services, of kube-proxy, and of the vantage itself."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from prober.reasons import Family, Layer, Reason
from tests.network.lab import kubeproxy, plan
from tests.network.lab.faults.fault import MANY, Fault
from tests.network.lab.faults.inject import commands, deleted, ip_of, services
from tests.network.lab.isolation import inside, sysctl
from tests.network.lab.topology import veth

if TYPE_CHECKING:
    from tests.network.lab.lab import Lab

L, R = Layer, Reason
TIMEOUT = (R.TIMEOUT,)
WEB = plan.SERVICES["web"]
_RANGE = "net/ipv4/ip_local_port_range"
#: Below the ports that sockets get by themselves: none of theirs can be in the way.
_ONLY_PORT = 20000


@asynccontextmanager
async def _no_local_port(_: Lab, __: Sequence[Family]) -> AsyncIterator[None]:
    """One local port is left to the vantage, and that is taken."""
    with inside(plan.CLIENT.name):
        held = [socket.socket(socket.AF_INET6, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
        for sock in held:
            sock.bind(("::", _ONLY_PORT))
        held[0].listen()
        sysctl(_RANGE, f"{_ONLY_PORT} {_ONLY_PORT}")
    try:
        yield
    finally:
        with inside(plan.CLIENT.name):
            sysctl(_RANGE, "32768 60999")
        for sock in held:
            sock.close()


FAULTS = (
    Fault("svc-no-endpoints", "The Service has no endpoints.", "Service", "+Rbb+++", {L.TCP: (R.REJECTED,)},
          services(replace(WEB, pods=())), path="service"),
    Fault("svc-wrong-targetport", "The Service leads to a port on which nobody listens.", "Service port", "+Rbb+++",
          {L.TCP: (R.REFUSED,)}, services(replace(WEB, ports=tuple(replace(port, target=9999) for port in WEB.ports))),
          path="service"),
    Fault("svc-wrong-app", "The Service leads to a port of another application.", "Service port", "++Xb+++",
          {L.TLS: (R.UNRECOGNIZED_NAME,)},
          services(replace(WEB, ports=tuple(replace(port, target=plan.GRPCS) for port in WEB.ports))), path="service"),
    Fault("svc-1of2-dead", "One of the two endpoints of the Service is an address that no Pod has any more.",
          "stale endpoint", "+PPP+++", {L.TCP: (R.TIMEOUT, R.UNREACHABLE)}, services(replace(WEB, gone=1)),
          path="service", runs=MANY),
    Fault("svc-hairpin-nomasq", "kube-proxy does not masquerade a Pod that reaches itself through a Service.",
          "kube-proxy", "+Tbb+++", {L.TCP: TIMEOUT}, services(plan.SERVICES["self"], hairpin=False), path="self"),
    Fault("svc-hairpin-mode-off", "The bridge sends nothing back through the port that it came by.", "CNI", "+Tbb+++",
          {L.TCP: TIMEOUT}, commands("node1", [f"ip link set {veth(plan.CLIENT)} type bridge_slave hairpin off"],
                                     [f"ip link set {veth(plan.CLIENT)} type bridge_slave hairpin on"], once=True),
          path="self", per_family=False),
    Fault("svc-kubeproxy-absent", "The node of the vantage has lost kube-proxy's tables.", "kube-proxy", "+TbbbTT",
          {L.TCP: TIMEOUT, L.DNS: TIMEOUT},
          deleted("node1", lambda family: f"{ip_of(family)} {kubeproxy.TABLE}",
                  lambda lab, families: lab.set_services(families)), path="service"),
    Fault("svc-dns-1of2-dead", "One of the two endpoints of the cluster's DNS is an address that no Pod has any more.",
          "stale endpoint", "+++++P+", {L.DNS: (R.TIMEOUT, R.UNREACHABLE)},
          services(replace(plan.SERVICES["kube-dns"], gone=1)), runs=4),
    Fault("svc-dns-no-endpoints", "The Service of the cluster's DNS has no endpoints.", "Service of CoreDNS", "+++++U+",
          {L.DNS: (R.UNREACHABLE,)}, services(replace(plan.SERVICES["kube-dns"], pods=()))),
    Fault("svc-api-no-endpoints", "The Service of the API server has no endpoints.", "Service of the API server",
          "++++++R", {L.TCP: (R.REJECTED,)}, services(replace(plan.SERVICES["kubernetes"], pods=()))),
    Fault("pod-port-exhausted", "The vantage has no local port left.", "the vantage itself", "+UbbbUU",
          {L.TCP: (R.NO_LOCAL_PORT,), L.DNS: (R.UNREACHABLE,)}, _no_local_port, per_family=False,
          note="The name server is `unreachable` at once, since no port is left to ask it from; getaddrinfo ends with "
               "EAI_AGAIN."),
)  # fmt: skip
