"""Faults of paths, policies, overlays, Services and middleboxes: rules in the tables of nodes and fabric."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from prober.reasons import Family, Layer, Reason
from tests.network.lab import plan
from tests.network.lab.faults.fault import Fault, Inject
from tests.network.lab.isolation import run

if TYPE_CHECKING:
    from tests.network.lab.lab import Lab

L, R = Layer, Reason


def rule(place: str, text: str, hook: str = "forward", table: str = "") -> Inject:
    """A filter rule in `place`, for each family.

    In its text `{ip}` is the family's keyword (`ip`, `ip6`), `{icmp}` that of its ICMP, and the name of a Pod, of a
    Service (`{web_vip}`), `{dns}` … its address.
    """

    @asynccontextmanager
    async def inject(_: Lab, families: Sequence[Family]) -> AsyncIterator[None]:
        name = table or "fault"
        for family in families:
            filled = text.format(**_words(family))
            run(
                place,
                "nft",
                f"table inet {name}-{family} {{ chain f {{ type filter hook {hook} priority -5; {filled}; }}; }}",
            )
        try:
            yield
        finally:
            for family in families:
                run(place, "nft", f"delete table inet {name}-{family}")

    return inject


def _words(family: Family) -> dict[str, str]:
    v4 = family is plan.V4
    pods = {name: pod.address(family) for name, pod in plan.PODS.items()}
    vips = {f"{name.replace('-', '_')}_vip": service.address(family) for name, service in plan.SERVICES.items()}
    return {"ip": "ip" if v4 else "ip6", "icmp": "icmp" if v4 else "icmpv6", "l3": "ipv4" if v4 else "ipv6",
            "echo": "echo-request", **pods, **vips}  # fmt: skip


def both(*injects: Inject) -> Inject:
    """Several at once."""

    @asynccontextmanager
    async def inject(lab: Lab, families: Sequence[Family]) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for each in injects:
                await stack.enter_async_context(each(lab, families))
            yield

    return inject


FAULTS = (
    Fault("l3-drop", "Everything to the Pod is dropped on its node.", "path", "TTbbb++",
          {L.ICMP: (R.TIMEOUT,), L.TCP: (R.TIMEOUT,)}, rule("node2", "{ip} daddr {web2} drop")),
    Fault("l3-icmp-filtered", "Echo requests to the Pod are dropped, all else passes.", "nothing: ICMP is advisory",
          "T++++++", {L.ICMP: (R.TIMEOUT,)}, rule("node2", "{ip} daddr {web2} {icmp} type echo-request drop")),
)  # fmt: skip
