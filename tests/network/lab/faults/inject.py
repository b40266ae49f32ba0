"""How faults are put in: rules in tables, changed Services, commands that are undone. Each is an `Inject`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from prober.reasons import Family
from tests.network.lab import plan
from tests.network.lab.delayed import DelayTool
from tests.network.lab.faults.fault import Inject
from tests.network.lab.isolation import inside, run, sysctl
from tests.network.lab.topology import tunnel_device

if TYPE_CHECKING:
    from tests.network.lab.lab import Lab


def ip_of(family: Family) -> str:
    """The keyword of its tables: `ip`, `ip6`."""
    return "ip" if family is plan.V4 else "ip6"


def words(family: Family) -> dict[str, str]:
    """What the rules and commands of faults may name: the family's keywords, and Pods and Services by their addresses.

    `ip` (`ip`, `ip6`), `v` (`4`, `6`), `icmp`, `l3`; Pods by name; Services as `web_vip`, and `web_lb` at the balancer.
    """
    v4 = family is plan.V4
    found = {"ip": ip_of(family), "v": "4" if v4 else "6", "icmp": "icmp" if v4 else "icmpv6",
             "l3": "ipv4" if v4 else "ipv6", "outside": plan.OUTSIDE_ADDRESSES[family],
             "gateway1": plan.NODE1.bridge(family), "gateway2": plan.NODE2.bridge(family),
             "length": "32" if v4 else "128", "mask": "24" if v4 else "64", "nodad": "" if v4 else "nodad",
             "tunnel": tunnel_device(family), "tunnel1": plan.NODE1.tunnel(family),
             "nobody1": "10.42.1.99" if v4 else "fd42:0:0:1::99", "mac2": plan.NODE2.mac(family)}  # fmt: skip
    found |= {name: pod.address(family) for name, pod in plan.PODS.items()}
    found |= {node.name: node.address(family) for node in plan.NODES}
    for name, service in plan.SERVICES.items():
        found[f"{name.replace('-', '_')}_vip"] = service.address(family)
        found[f"{name.replace('-', '_')}_lb"] = service.external_address(family) or ""
    return found


def rule(place: str, *texts: str, hook: str = "forward", priority: int = -5) -> Inject:
    """Filter rules in `place`, for each family, in a table of their own: to undo it is to delete the table."""

    @asynccontextmanager
    async def inject(_: Lab, families: Sequence[Family]) -> AsyncIterator[None]:
        with ExitStack() as stack:
            for family in families:
                name = f"fault-{abs(hash((place, texts)))}-{family}"
                filled = "; ".join(text.format(**words(family)) for text in texts)
                chain = f"chain f {{ type filter hook {hook} priority {priority}; {filled}; }}"
                run(place, "nft", f"table inet {name} {{ {chain}; }}")
                stack.callback(run, place, "nft", f"delete table inet {name}")
            yield

    return inject


def commands(place: str, do: Sequence[str], undo: Sequence[str], *, once: bool = False) -> Inject:
    """Commands in `place` for each family (or one time for both), and at the end those that undo them."""

    @asynccontextmanager
    async def inject(_: Lab, families: Sequence[Family]) -> AsyncIterator[None]:
        with ExitStack() as stack:
            for family in families[:1] if once else families:
                for command in reversed(undo):
                    stack.callback(run, place, *command.format(**words(family)).split(), check=False)
                for command in do:
                    run(place, *command.format(**words(family)).split())
            yield

    return inject


def setting(place: str, key: Callable[[Family], str], faulty: int, sound: int) -> Inject:
    """A sysctl of `place` that is wrong for each family."""

    @asynccontextmanager
    async def inject(_: Lab, families: Sequence[Family]) -> AsyncIterator[None]:
        def write(value: int) -> None:
            with inside(place):
                for family in families:
                    sysctl(key(family), value)

        write(faulty)
        try:
            yield
        finally:
            write(sound)

    return inject


def impatient(place: str, device: str) -> Inject:
    """ARP and neighbour discovery of `device` give up after moments instead of three seconds."""
    return setting(place, lambda family: f"net/{words(family)['l3']}/neigh/{device}/retrans_time_ms", 50, 1000)


def services(*changed: plan.Service, hairpin: bool = True) -> Inject:
    """Services that are otherwise, and at the end as they were."""

    @asynccontextmanager
    async def inject(lab: Lab, families: Sequence[Family]) -> AsyncIterator[None]:
        before = [plan.SERVICES[service.name] for service in changed]
        await lab.set_services(families, *changed, hairpin=hairpin)
        try:
            yield
        finally:
            await lab.set_services(families, *before)

    return inject


def deleted(
    place: str, table: Callable[[Family], str], again: Callable[[Lab, Sequence[Family]], Awaitable[None]]
) -> Inject:
    """A table that is not there, and at the end made `again`."""

    @asynccontextmanager
    async def inject(lab: Lab, families: Sequence[Family]) -> AsyncIterator[None]:
        for family in families:
            run(place, "nft", f"delete table {table(family)}")
        try:
            yield
        finally:
            await again(lab, families)

    return inject


def held_up(place: str, seconds: float) -> Inject:
    """What `place` forwards is held for so long, each way."""

    @asynccontextmanager
    async def inject(_: Lab, families: Sequence[Family]) -> AsyncIterator[None]:
        with DelayTool(["ip", "netns", "exec", place], families=families) as tool:
            tool.hold(seconds)
            yield

    return inject


def both(*injects: Inject) -> Inject:
    """Several at once."""

    @asynccontextmanager
    async def inject(lab: Lab, families: Sequence[Family]) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for each in injects:
                await stack.enter_async_context(each(lab, families))
            yield

    return inject
