"""Faults of the vantage itself: its routes, addresses, link and files. They are not the target's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from prober.reasons import Family, Layer, Reason
from tests.network.lab import isolation, plan
from tests.network.lab.faults.fault import Fault
from tests.network.lab.faults.inject import both, commands, impatient, setting

if TYPE_CHECKING:
    from tests.network.lab.lab import Lab

L, R = Layer, Reason
_NO_WAY = {L.ICMP: (R.UNREACHABLE,), L.TCP: (R.UNREACHABLE,), L.DNS: (R.UNREACHABLE,)}
_ITSELF = "the vantage itself"
_CLIENT = plan.CLIENT.name
_V6_AGAIN = [f"ip addr add {address}/64 dev eth0 nodad"
             for address in (plan.CLIENT.address(plan.V6), plan.CLIENT.gua_address)]  # fmt: skip
_DEFAULTS = [f"ip route add default via {plan.NODE1.bridge(family)}" for family in Family]


@asynccontextmanager
async def _no_name_server(_: Lab, __: Sequence[Family]) -> AsyncIterator[None]:
    """resolv.conf is there, and empty (`dnsPolicy: None` with no dnsConfig)."""
    file = isolation.FILES / "resolv.conf"
    text = file.read_text(encoding="ascii")
    file.write_text("", encoding="ascii")
    try:
        yield
    finally:
        file.write_text(text, encoding="ascii")


FAULTS = (
    Fault("vantage-no-default-route", "The vantage has no default route.", _ITSELF, "UUbbbUU", _NO_WAY,
          commands(_CLIENT, ["ip -{v} route del default"], ["ip -{v} route add default via {gateway1}"])),
    Fault("vantage-gateway-wrong", "The default route of the vantage leads to a gateway that is not there.", _ITSELF,
          "UUbbbUU", _NO_WAY,
          both(impatient(_CLIENT, "eth0"),
               commands(_CLIENT, ["ip -{v} route replace default via {nobody1}"],
                        ["ip -{v} route replace default via {gateway1}"])),
          note="Before ARP or neighbour discovery gives up, after three seconds, it is `timeout`."),
    Fault("vantage-prohibit-route", "A route of the vantage prohibits the Pod's address.", _ITSELF, "UUbbb++",
          {L.ICMP: (R.PROHIBITED,), L.TCP: (R.PROHIBITED,)},
          commands(_CLIENT, ["ip -{v} route add prohibit {web2}"], ["ip -{v} route del prohibit {web2}"])),
    Fault("vantage-link-down", "The interface of the vantage is down.", _ITSELF, "UUbbbUU", _NO_WAY,
          commands(_CLIENT, ["ip link set eth0 down"], ["ip link set eth0 up", *_V6_AGAIN, *_DEFAULTS], once=True),
          per_family=False),
    Fault("vantage-no-ipv4", "The vantage has no ipv4 address.", "family ipv4 of the vantage", "UUbbbUU", _NO_WAY,
          commands(_CLIENT, ["ip addr del {client}/{mask} dev eth0"],
                   ["ip addr add {client}/{mask} dev eth0", _DEFAULTS[0]]), families=(plan.V4,)),
    Fault("vantage-no-ipv6", "ipv6 is disabled in the vantage (`disable_ipv6`).", "family ipv6 of the vantage",
          "UUbbbUU", _NO_WAY,
          both(commands(_CLIENT, [], [*_V6_AGAIN, _DEFAULTS[1]]),
               setting(_CLIENT, lambda _: "net/ipv6/conf/all/disable_ipv6", 1, 0)), families=(plan.V6,)),
    Fault("vantage-resolv-empty", "The resolv.conf of the vantage names no server.", _ITSELF, "+++++U+",
          {L.DNS: (R.UNREACHABLE,)}, _no_name_server, per_family=False),
)  # fmt: skip
