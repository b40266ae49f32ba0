"""The catalogue of faults."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from tests.network.lab.faults import filters, fronts, network, routes, servers, service, vantage
from tests.network.lab.faults.fault import Fault

_FAMILIES = (
    routes.FAULTS,
    network.FAULTS,
    filters.FAULTS,
    service.FAULTS,
    vantage.FAULTS,
    servers.FAULTS,
    fronts.FAULTS,
)
FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for family in _FAMILIES for fault in family})


def known(name: str) -> Fault:
    """The fault called `name`. KeyError with a sentence that says which one may have been meant."""
    if name not in FAULTS:
        raise KeyError(unknown(name))
    return FAULTS[name]


def unknown(name: str) -> str:
    """That there is no such fault, and which one may have been meant."""
    close = get_close_matches(name, FAULTS, 1)
    return f"unknown fault {name!r}" + (f" (did you mean {close[0]}?)" if close else "")
