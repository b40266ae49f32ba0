"""`prober once`: each cell of a configuration once. For CI (junit, exit codes) and for incidents."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from prober.cli.climbing import JOBS, Done, climb_all
from prober.cli.configured import UsageError, cells_of, only
from prober.cli.exits import USAGE, exit_code
from prober.cli.machine import emit
from prober.export.runs import run_as_dict
from prober.kubernetes.vantage import find_vantage
from prober.model import Cell, Run, Vantage

OUTPUTS = ("text", "ndjson", "junit")


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober once`."""
    parser.add_argument("-c", "--config", type=Path, default=Path("probes.yaml"), metavar="FILE",
                        help="the configuration (default: %(default)s)")  # fmt: skip
    parser.add_argument("-o", "--output", choices=OUTPUTS, default="text", help="default: %(default)s")
    parser.add_argument("--probe", action="append", default=[], metavar="NAME",
                        help="this probe only; may be given again")  # fmt: skip
    parser.add_argument("--jobs", type=positive, default=JOBS, metavar="N",
                        help="climbs at once (default: %(default)s)")  # fmt: skip


def positive(text: str) -> int:
    """A whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def run(args: argparse.Namespace) -> int:
    """0 if all is well, 1 if a probe failed, 2 for a bad configuration, 3 if this place is unfit to measure."""
    vantage = find_vantage()
    try:
        cells = only(cells_of(args.config, vantage), "probe", args.probe)
    except UsageError as error:
        print(error, file=sys.stderr)
        return USAGE
    runs = asyncio.run(_climb(args, cells, vantage))
    return exit_code(runs)


async def _climb(args: argparse.Namespace, cells: Sequence[Cell], vantage: Vantage) -> list[Run]:
    runs: list[Run] = []
    began = perf_counter()
    if args.output == "text":
        from prober.cli.table import OnceTable

        table = OnceTable(cells)
        await climb_all(cells, jobs=args.jobs, done=_also(runs, table.add))
        table.close(runs, perf_counter() - began)
        return runs
    if args.output == "ndjson":
        await climb_all(cells, jobs=args.jobs, done=_also(runs, lambda _cell, new: _print_lines(new, vantage)))
        return runs
    from prober.export.junit import junit

    await climb_all(cells, jobs=args.jobs, done=_also(runs, lambda _cell, _new: None))
    order = {cell.id: number for number, cell in enumerate(cells)}
    emit(junit(sorted(runs, key=lambda each: order[each.cell.id]), vantage))
    return runs


def _also(runs: list[Run], then: Done) -> Done:
    """Keep the runs, and do `then`."""

    def done(cell: Cell, new: tuple[Run, ...]) -> None:
        runs.extend(new)
        then(cell, new)

    return done


def _print_lines(runs: Sequence[Run], vantage: Vantage) -> None:
    for each in runs:
        emit(json.dumps(run_as_dict(each, vantage), ensure_ascii=False, separators=(",", ":")))
