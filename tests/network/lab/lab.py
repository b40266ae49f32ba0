"""The lab as a whole: network, tables, files, servers, faults. It runs inside namespaces of its own (`isolation`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Self

from prober.reasons import Family
from tests.network.lab import isolation, kubeproxy, plan, probes, topology
from tests.network.lab.faults import known
from tests.network.lab.fronts import Fronts
from tests.network.lab.heartbeat import Heartbeat
from tests.network.lab.servers import Servers

#: Where a Pod has its service account; /var/run is /run.
ACCOUNT = isolation.RUN / "secrets/kubernetes.io/serviceaccount"
_RESOLV_CONF, _HOSTS = Path("/etc/resolv.conf"), Path("/etc/hosts")


class Lab:
    """An async context manager: inside it the network is there, and after it nothing of it."""

    seconds: float
    """How long the network took to build."""
    servers: Servers
    """The lab's own servers, in their Pods."""
    fronts: Fronts
    """nginx, Envoy and squid, in theirs."""

    def __init__(self) -> None:
        self.services = {family: dict(plan.SERVICES) for family in Family}
        self._stack = AsyncExitStack()
        self._on: dict[str, AsyncExitStack] = {}

    async def __aenter__(self) -> Self:
        began = perf_counter()
        isolation.prepare()
        topology.build()
        await in_threads([*self._tables(Family), *(partial(kubeproxy.masquerade, node, family) for node in plan.NODES
                                                   for family in Family)])  # fmt: skip
        self._files()
        self.seconds = perf_counter() - began
        self.servers = await self._stack.enter_async_context(Servers(isolation.FILES, account=ACCOUNT))
        self.fronts = Fronts(isolation.FILES, self.servers.certificates)
        self._stack.push_async_callback(self.fronts.stop)
        await self.fronts.start()
        for file, text in probes.files(self.fronts.missing):
            file.write_text(text, encoding="utf-8")
        self._heartbeat = await self._stack.enter_async_context(Heartbeat())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.obey({"clear": True})
        await self._stack.aclose()

    async def set_services(self, families: Sequence[Family], *changed: plan.Service, hairpin: bool = True) -> None:
        """What kube-proxy makes of Services that have changed, in every node at once."""
        for family in families:
            self.services[family].update({service.name: service for service in changed})
        await in_threads(self._tables(families, hairpin=hairpin))

    def _tables(self, families: Iterable[Family], *, hairpin: bool = True) -> list[Callable[[], None]]:
        return [
            partial(kubeproxy.apply, node, family, self.services[family].values(), hairpin=hairpin)
            for node in plan.NODES
            for family in families
        ]

    async def turn(self, name: str, on: bool, families: Sequence[Family] = tuple(Family)) -> None:
        """Switch a fault for `families`; KeyError for an unknown name, RuntimeError where it is as asked already."""
        fault = known(name)
        if on == (name in self._on):
            raise RuntimeError(f"{name} is {'on' if on else 'off'} already")
        if on:
            stack = AsyncExitStack()
            await stack.enter_async_context(fault.inject(self, families))
            self._on[name] = stack
        else:
            await self._on.pop(name).aclose()

    async def obey(self, command: Mapping[str, Any]) -> dict[str, Any]:
        """A command from outside: `{"fault": NAME, "on": BOOL, "families": [FAMILY, …]}` or `{"clear": true}`.

        The answer says what is `on`, which front ends are `missing`, and by how long the lab was `held_up` at worst
        since the last one.
        """
        if command.get("clear"):
            while self._on:
                await self._on.popitem()[1].aclose()
        elif "fault" in command:
            families = [Family(family) for family in command.get("families", Family)]
            await self.turn(command["fault"], command["on"], families)
        return {"on": list(self._on), "held_up": self._heartbeat.worst(), "missing": list(self.fronts.missing)}

    def _files(self) -> None:
        """/etc/resolv.conf as the kubelet writes it, and /etc/hosts with nothing but the loopback."""
        servers = [plan.SERVICES["kube-dns"].address(family) for family in plan.SERVICE_NETWORKS]
        resolv = [f"search {' '.join(plan.SEARCH)}", *(f"nameserver {server}" for server in servers),
                  f"options ndots:{plan.NDOTS}"]  # fmt: skip
        for over, lines in ((_RESOLV_CONF, resolv), (_HOSTS, ["127.0.0.1 localhost", "::1 localhost"])):
            file = isolation.FILES / over.name
            file.write_text("\n".join([*lines, ""]), encoding="ascii")
            isolation.bind(file, over)


async def in_threads(works: Iterable[Callable[[], Any]]) -> list[Any]:
    """Do them at once, each in a thread."""
    return await asyncio.gather(*(asyncio.to_thread(work) for work in works))
