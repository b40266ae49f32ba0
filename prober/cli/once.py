"""`prober once`: each cell of a configuration, once or `--count` times. For CI (junit, exit codes) and incidents."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from prober.cli.arguments import duration, positive
from prober.cli.climbing import JOBS, Done, climb_all
from prober.cli.configured import UsageError, cells_of, only
from prober.cli.exits import OK, USAGE, exit_code
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
    parser.add_argument("--count", type=positive, default=1, metavar="N",
                        help="climb each cell N times, each on a fresh connection (default: %(default)s)")  # fmt: skip
    parser.add_argument("--interval", type=duration, default=0.0, metavar="DURATION",
                        help="pause between the climbs of a cell (default: none)")  # fmt: skip
    parser.add_argument("--lenient", action="store_true",
                        help="exit with 0 if all that failed is advice (ICMP is filtered)")  # fmt: skip
    parser.add_argument("--jobs", type=positive, default=JOBS, metavar="N",
                        help="climbs at once (default: %(default)s)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """0 if all is well, 1 if a probe failed, 2 for a bad configuration, 3 if this place is unfit to measure."""
    vantage = find_vantage()
    try:
        cells = only(cells_of(args.config, vantage), "probe", args.probe)
    except UsageError as error:
        print(error, file=sys.stderr)
        return USAGE
    return asyncio.run(_climb(args, cells, vantage))


async def _climb(args: argparse.Namespace, cells: Sequence[Cell], vantage: Vantage) -> int:
    """Climb and print; the exit code."""
    if args.output == "ndjson":
        return await _lines(args, cells, vantage)
    runs: list[Run] = []
    began = perf_counter()
    if args.output == "text":
        from prober.cli.table import OnceTable

        table = OnceTable(cells, args.count)
        try:
            await _all(args, cells, _also(runs, table.add))
        finally:  # after Ctrl-C as well: what was seen until then, as ping does
            table.close(runs, perf_counter() - began)
    else:
        from prober.export.junit import junit
        from prober.export.repeats import repeats

        await _all(args, cells, lambda _cell, new: runs.extend(new))
        emit(junit(repeats(runs, cells), vantage, lenient=args.lenient))
    return exit_code(_that_count(runs) if args.lenient else runs)


async def _lines(args: argparse.Namespace, cells: Sequence[Cell], vantage: Vantage) -> int:
    """A line for each run as it ends; none is kept, however many there are, unless they are to be held together."""
    code = OK
    kept: list[Run] = []

    def tell(_cell: Cell, new: tuple[Run, ...]) -> None:
        nonlocal code
        if args.lenient:
            kept.extend(new)
        else:
            code = max(code, exit_code(new))
        for run in new:
            emit(json.dumps(run_as_dict(run, vantage), ensure_ascii=False, separators=(",", ":")))

    await _all(args, cells, tell)
    return exit_code(_that_count(kept)) if args.lenient else code


def _that_count(runs: Sequence[Run]) -> list[Run]:
    """All but those that failed without harm to anybody."""
    from prober.diagnosis.beside import Together

    together = Together(runs)
    return [run for run in runs if not together.advisory(run)]


async def _all(args: argparse.Namespace, cells: Sequence[Cell], done: Done) -> None:
    await climb_all(cells, jobs=args.jobs, count=args.count, pause=args.interval, done=done)


def _also(runs: list[Run], then: Done) -> Done:
    """Keep the runs, and do `then`."""

    def done(cell: Cell, new: tuple[Run, ...]) -> None:
        runs.extend(new)
        then(cell, new)

    return done
