"""`prober plan`: what a configuration makes at one vantage, before it is deployed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from prober.cli.arguments import pair
from prober.cli.columns import aligned
from prober.config.errors import ConfigError
from prober.config.load import load
from prober.config.matrix import expand
from prober.config.plan import ASSUMPTIONS, Plan, Rate, floor_of, plan
from prober.kubernetes.vantage import find_vantage
from prober.model import Cell, Vantage
from prober.options import BaselineSettings
from prober.reasons import Family, Layer
from prober.units import human_span

#: `baseline.metrics` → what has series.
_SHOWN = {"alarming": "what is not as it was", "all": "every layer"}
#: Paths that are named on one line.
_PATHS = 6
VALID, INVALID = 0, 2
_HEAD = ("probe", "cells", "probes/s", "packets/s", "connections/s", "series")


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of `prober plan`."""
    parser.add_argument("file", nargs="?", type=Path, help="the configuration, as -c")
    parser.add_argument("-c", "--config", type=Path, default=Path("probes.yaml"), help="(default: probes.yaml)")
    parser.add_argument("-o", "--output", choices=("text", "json"), default="text")
    vantage = parser.add_argument_group("vantage", "where it would run; what is not given is as it is here")
    vantage.add_argument("--vantage", metavar="NAME")
    vantage.add_argument("--node", metavar="NAME")
    vantage.add_argument("--zone", metavar="ZONE")
    vantage.add_argument("--region", metavar="REGION")
    vantage.add_argument("--label", metavar="K=V", action="append", type=pair, help="of the Pod; may be repeated")
    vantage.add_argument("--family", action="append", choices=[*Family], help="that it has; may be repeated")


def run(args: argparse.Namespace) -> int:
    """Print the plan; 0, or 2 where the configuration is invalid."""
    vantage = _vantage(args)
    try:
        config = load(args.file or args.config)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return INVALID
    cells = expand(config, vantage)
    watched = [cell for cell in cells if cell.baseline and cell.expect.failed is None and config.baseline.enabled]
    made, series, most = plan(cells), _series(cells, config.baseline, watched), _most(watched)
    if args.output == "json":
        baseline = {**config.baseline.model_dump(), "cells": len(watched), "most_series": most}
        whole = {**_as_json(vantage, made, series), "round_trips": _trips_as_json(cells), "baseline": baseline}
        print(json.dumps(whole, indent=2))
    else:
        print(_as_text(vantage, made, series))
        print("\n".join(_trips_as_text(cells)))
        print(f"\n{_baselines(config.baseline, len(watched), len(cells), most)}")
    return VALID


def _baselines(settings: BaselineSettings, watched: int, cells: int, most: int) -> str:
    """What is remembered, as a sentence or two. `most`: series that it may have while all has changed."""
    if not settings.enabled:
        return "No baselines: baseline.enabled is false."
    kept, some = human_span(settings.retention), f"{watched} of {cells} cells" if watched < cells else "all cells"
    said = (
        f"Baselines: of {some}, hours kept for {kept}, metrics of {_SHOWN[settings.metrics]} (at most {most} series)."
    )
    if settings.record is None:
        return said
    after = human_span(settings.record.after)
    return f'{said} The first one, "{settings.record.label}", is recorded by itself after {after} in health.'


@dataclass(frozen=True, slots=True)
class _Floor:
    """What a run on one path waits for: round trips by layer, and how many more the whole search list would take."""

    layers: Mapping[str, int]
    more: int

    @classmethod
    def of(cls, cell: Cell) -> _Floor:
        above, (fewest, most) = floor_of(cell)
        name = {Layer.DNS.value: fewest} if most else {}
        return cls({**name, **{trips.layer.value: trips.count for trips in above}}, most - fewest)

    def __str__(self) -> str:
        layers = ", ".join(f"{layer} {count}" for layer, count in self.layers.items())
        more = f", up to {self.more} more for the search list" if self.more else ""
        return f"{sum(self.layers.values())} ({layers}){more}"


def _floors(cells: Sequence[Cell]) -> dict[tuple[str, str, str], _Floor]:
    """By probe, target and path; both families wait alike."""
    return {(cell.probe, cell.target, cell.path): _Floor.of(cell) for cell in cells}


def _trips_as_json(cells: Sequence[Cell]) -> list[dict[str, object]]:
    return [
        {"probe": probe, "target": target, "path": path, "count": sum(floor.layers.values()), **asdict(floor)}
        for (probe, target, path), floor in _floors(cells).items()
    ]


def _trips_as_text(cells: Sequence[Cell]) -> Iterator[str]:
    """What waits alike stands on one line."""
    alike: dict[str, list[str]] = {}
    for place, floor in _floors(cells).items():
        alike.setdefault(str(floor), []).append("/".join(place))
    yield "\nRound trips that a run waits for, at least (full handshakes, TLS 1.3 where it is allowed):"
    for text, paths in alike.items():
        rest = f" and {len(paths) - _PATHS} more" if len(paths) > _PATHS else ""
        yield f"- {text}: {', '.join(paths[:_PATHS])}{rest}"


def _vantage(args: argparse.Namespace) -> Vantage:
    """The vantage of this place, with what the command line says otherwise."""
    here = find_vantage()
    given = {"name": args.vantage, "node": args.node, "zone": args.zone, "region": args.region}
    here = replace(here, **{key: value for key, value in given.items() if value is not None})
    families = tuple(dict.fromkeys(map(Family, args.family or ())))
    if families:
        here = replace(here, families=families, resolver_families=families)
    return replace(here, labels={**here.labels, **dict(args.label or ())})


def _most(watched: Sequence[Cell]) -> int:
    """Series that baselines of these cells have at most, without those of single nodes of endpoints."""
    from prober.export.baseline_families import baseline_samples

    return baseline_samples(watched)[1]


def _series(cells: Sequence[Cell], settings: BaselineSettings, watched: Sequence[Cell]) -> dict[str, int]:
    """Metric series by probe, and under "" of all together (what cells share is counted once). Those of baselines are
    in it where all of them are shown."""
    from prober.export.baseline_families import baseline_samples, budget_samples
    from prober.export.series import series_count

    shown = {cell.id for cell in watched} if settings.metrics == "all" else set()

    by_probe: dict[str, list[Cell]] = {"": list(cells)}
    for cell in cells:
        by_probe.setdefault(cell.probe, []).append(cell)
    return {
        probe: series_count(some)
        + budget_samples(some)
        + baseline_samples([cell for cell in some if cell.id in shown])[0]
        for probe, some in by_probe.items()
    }


def _as_json(vantage: Vantage, made: Plan, series: dict[str, int]) -> dict[str, object]:
    return {
        "vantage": {"name": vantage.name, "node": vantage.node, "zone": vantage.zone, "region": vantage.region},
        "total": {**asdict(made.total), "series": series[""]},
        "probes": {name: {**asdict(rate), "series": series[name]} for name, rate in made.by_probe.items()},
        "open_ended_cells": made.open_ended,
        "assumptions": list(ASSUMPTIONS),
    }


def _as_text(vantage: Vantage, made: Plan, series: dict[str, int]) -> str:
    place = ", ".join(filter(None, (vantage.zone and f"zone {vantage.zone}", vantage.region)))
    families = " and ".join(vantage.families)
    rows = [_HEAD, *(_row(name, rate, series[name]) for name, rate in made.by_probe.items())]
    rows.append(_row("total", made.total, series[""]))
    lines = aligned(rows, left=(0,))
    lines.insert(0, f"at vantage {vantage.name}{f' ({place})' if place else ''}, {families}\n")
    if made.open_ended:
        lines.append(f"\n{made.open_ended} of the cells climb to as many addresses as there will be.")
    lines.append("\nPackets are an estimate:")
    lines += [f"- {assumption}" for assumption in ASSUMPTIONS]
    return "\n".join(lines)


def _row(name: str, rate: Rate, series: int) -> tuple[str, ...]:
    per_second = (rate.probes_per_second, rate.packets_per_second, rate.connections_per_second)
    return (
        name,
        str(rate.cells),
        *(f"{number:.3g}" if number < 100 else f"{number:.0f}" for number in per_second),
        str(series),
    )
