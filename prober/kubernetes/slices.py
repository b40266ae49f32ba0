"""EndpointSlices (discovery.k8s.io/v1) as values: what a slice offers, and what several of them come to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

from prober.reasons import Family

_FAMILIES: Final = {"IPv4": Family.IPV4, "IPv6": Family.IPV6}


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of a Service: its ready addresses, and its ports by name (the unnamed one is "")."""

    family: Family
    ready: frozenset[IPv4Address | IPv6Address]
    ports: Mapping[str, int]
    nodes: Mapping[str, str] = field(default_factory=dict)
    """Ready address, as text → the node that its Pod is on, where the slice says so."""


class NoSuchPort(ValueError):
    """There are slices, and none of them has a port of that name."""


def parse_slice(item: Mapping[str, Any]) -> Slice | None:
    """The values of an EndpointSlice; None for one that holds names (`addressType: FQDN`).

    An endpoint without a `ready` condition counts as ready, and of several addresses the first is used, as
    kube-proxy does (the API's documentation of EndpointConditions and Endpoint). ValueError for what is no slice.
    """
    try:
        return _parsed(item)
    except (AttributeError, TypeError, LookupError) as error:
        raise ValueError(f"no EndpointSlice: {error}") from error


def _parsed(item: Mapping[str, Any]) -> Slice | None:
    family = _FAMILIES.get(item.get("addressType", ""))
    if family is None:
        return None
    ready = set()
    nodes: dict[str, str] = {}
    for endpoint in item.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        if conditions.get("ready") is not False and endpoint.get("addresses"):
            address = ip_address(str(endpoint["addresses"][0]))
            ready.add(address)
            if node := endpoint.get("nodeName"):
                nodes[str(address)] = str(node)
    ports = {
        port.get("name") or "": port["port"]
        for port in item.get("ports") or ()
        if port.get("port") is not None and port.get("protocol", "TCP") == "TCP"
    }
    if not all(type(number) is int for number in ports.values()):
        raise ValueError(f"no EndpointSlice: a port is no number: {ports}"[:200])
    return Slice(family, frozenset(ready), ports, nodes)


def addresses(slices: Iterable[Slice], port: int | str, family: Family) -> tuple[tuple[str, int], ...]:
    """The ready (address, port) pairs of `family` over all slices, each once, in numerical order.

    A number is the Pods' own port; a name is looked up in each slice by itself, for Pods of one Service may give it
    different numbers. Raises NoSuchPort where slices with ready addresses have ports, but none of that name.
    """
    pairs: set[tuple[IPv4Address | IPv6Address, int]] = set()
    names: set[str] = set()
    of_family = [one for one in slices if one.family is family and one.ready]
    for one in of_family:
        number = port if isinstance(port, int) else one.ports.get(port)
        names.update(one.ports)
        if number is not None:
            pairs.update((address, number) for address in one.ready)
    if of_family and not pairs:
        raise NoSuchPort(f"no port named {port!r}, only: {', '.join(sorted(name or '(unnamed)' for name in names))}")
    return tuple((str(address), number) for address, number in sorted(pairs, key=lambda pair: (int(pair[0]), pair[1])))
