"""Front ends as they are deployed, the real programs: nginx, Envoy and HAProxy as ingress, squid as explicit proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from prober.lab.certificates import CertificateFiles
from prober.reasons import Family
from tests.network.lab import plan
from tests.network.lab.fronts.envoy import Envoy
from tests.network.lab.fronts.haproxy import HAProxy
from tests.network.lab.fronts.ingress import GRPC_HOST, WEB_HOST, Routing, Side
from tests.network.lab.fronts.nginx import Nginx
from tests.network.lab.fronts.process import Front, Place
from tests.network.lab.fronts.squid import Rules, Squid
from tests.network.lab.isolation import inside

#: The name of the binary → what starts it.
PROGRAMS: Mapping[str, type[Front]] = MappingProxyType({each.program: each for each in (Nginx, Envoy, HAProxy, Squid)})
_PROXY_PORT = 3128


class Fronts:
    """Those of the lab, each in its Pod, in both families."""

    def __init__(self, directory: Path, certificates: CertificateFiles) -> None:
        certificate, key = certificates.leaf([WEB_HOST, GRPC_HOST])

        def routing(pod: plan.Pod) -> Routing:
            return Routing([_side(pod, family) for family in Family], certificate, key)

        self.missing: dict[str, str] = {}
        """Program → why there is none here."""
        listens = [(plan.SQUID.address(family), _PROXY_PORT) for family in Family]
        self.nginx = Nginx(directory / "nginx", routing(plan.NGINX), _place(plan.NGINX))
        self.envoy = Envoy(directory / "envoy", routing(plan.ENVOY), _place(plan.ENVOY))
        self.haproxy = HAProxy(directory / "haproxy", routing(plan.HAPROXY), _place(plan.HAPROXY))
        self.squid = Squid(directory / "squid", Rules(listens), _place(plan.SQUID))

    @property
    def all(self) -> tuple[Front, ...]:
        """Each of them."""
        return (self.nginx, self.envoy, self.haproxy, self.squid)

    @property
    def started_in(self) -> dict[str, float]:
        """Program → seconds until it listened, of those that are there."""
        return {front.program: front.started_in for front in self.all if front.program not in self.missing}

    async def start(self) -> None:
        """Start them, all at once. Those that are not installed are `missing`."""
        for front in self.all:
            try:
                front.binary()
            except FileNotFoundError as error:
                self.missing[front.program] = str(error)
        await asyncio.gather(*(front.start() for front in self.all if front.program not in self.missing))

    async def stop(self) -> None:
        """Stop them."""
        await asyncio.gather(*(front.stop() for front in self.all))


def _place(pod: plan.Pod) -> Place:
    return Place(("ip", "netns", "exec", pod.name), partial(inside, pod.name))


def _side(pod: plan.Pod, family: Family) -> Side:
    web, payments = plan.SERVICES["web"].address(family), plan.SERVICES["payments"].address(family)
    return Side((pod.address(family), plan.HTTPS), (web, 80), (payments, plan.GRPC))
