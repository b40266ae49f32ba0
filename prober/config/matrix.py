"""From a configuration to cells: the combinations of a matrix, and what of them runs at one vantage. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

from prober.addresses import literal_family
from prober.config.parts import Config, Probe, Source, Square
from prober.config.schema import Vantages
from prober.model import Cell, Endpoint, Vantage
from prober.reasons import Family

Combination = dict[str, object]


def product_of(axes: Mapping[str, Sequence[object]]) -> list[Combination]:
    """Every combination of the axes' values, the last axis turning fastest; none without axes."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())] if axes else []


def combine(
    products: Sequence[Combination],
    exclude: Sequence[Mapping[str, object]] = (),
    include: Sequence[Mapping[str, object]] = (),
) -> tuple[list[Combination], list[Combination]]:
    """The combinations of a matrix, in the manner of GitHub Actions: those of the product, and those beside it.

    Of `products` those go that have all values of an `exclude` entry. Then each `include` entry, in order, adds its
    keys to every combination that is left and whose own values it leaves as they are (what an earlier entry added may
    be replaced); where there is none it becomes a combination of its own, which later entries leave alone.
    """
    kept = [c for c in products if not any(entry.items() <= c.items() for entry in exclude)]
    grown = [dict(combination) for combination in kept]
    alone: list[Combination] = []
    for entry in include:
        fits = [n for n, c in enumerate(kept) if all(c.get(k, v) == v for k, v in entry.items())]
        for position in fits:
            grown[position].update(entry)
        if not fits:
            alone.append(dict(entry))
    return grown, alone


def expand(config: Config, vantage: Vantage) -> tuple[Cell, ...]:
    """Every cell that runs at `vantage`, in the order of the file; no two with the same id."""
    squares = (
        (probe, square)
        for probe in config.probes
        if selects(probe.vantages, vantage)
        for square in probe.squares
        if runs(square, vantage)
    )
    return tuple(_cell(config, probe, square, _endpoint(square, vantage)) for probe, square in squares)


def selects(selector: Vantages, vantage: Vantage) -> bool:
    """Whether a probe with this selector runs at `vantage`: every key that it gives matches."""
    lists = (
        (selector.names, vantage.name),
        (selector.nodes, vantage.node),
        (selector.zones, vantage.zone),
        (selector.regions, vantage.region),
    )
    return all(not wanted or here in wanted for wanted, here in lists) and (
        selector.labels.items() <= dict(vantage.labels).items()
    )


def runs(square: Square, vantage: Vantage) -> bool:
    """Whether a square makes a cell at `vantage`: an address to go to, and a family that is wanted or had there."""
    if square.to_api_server:
        if vantage.api_server is None:
            return False
        if literal_family(vantage.api_server[0]) not in (None, square.family):
            return False
    if square.demand == "strict" or (square.demand == "wish" and square.source == "vantage"):
        return True
    return square.family in _families_of(square.source, vantage)


def _families_of(source: Source, vantage: Vantage) -> tuple[Family, ...]:
    if source == "resolver":
        return vantage.resolver_families
    own = literal_family(vantage.api_server[0]) if source == "api" and vantage.api_server is not None else None
    return vantage.families if own is None else (own,)


def _endpoint(square: Square, vantage: Vantage) -> Endpoint:
    """Where the square leads from here."""
    return replace(square.endpoint, connect=vantage.api_server) if square.to_api_server else square.endpoint


def _cell(config: Config, probe: Probe, square: Square, endpoint: Endpoint) -> Cell:
    return Cell(
        probe.name,
        probe.kind,
        square.target,
        square.path,
        square.family,
        endpoint,
        square.interval,
        square.timeout,
        square.options,
        square.expect,
        square.budget,
        square.quantile_budget,
        probe.baseline,
        config.hidden,
    )
