"""`prober run`: the service. Scheduler, metrics, API and event log, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prober import __version__
from prober.cli.arguments import duration

if TYPE_CHECKING:
    from prober.baseline.values import Recording

_LEVELS = ("debug", "info", "warning", "error")
_EVENTS = ("none", "changes", "failures", "all")
#: Libraries whose INFO is about each request.
_CHATTY = ("uvicorn", "httpx", "httpcore", "asyncio")


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober run`."""
    option = parser.add_argument
    option("-c", "--config", type=Path, default=Path("probes.yaml"), metavar="FILE", help="default: %(default)s")
    option("--listen", default=":9790", metavar="HOST:PORT", help="no HOST is every address; default: %(default)s")
    option("--events", choices=_EVENTS, default="changes", help="what the event log tells; default: %(default)s")
    option("--data", type=Path, default=os.environ.get("PROBER_DATA") or None, metavar="DIR",
           help="where baselines are kept; default: $PROBER_DATA, without it in memory alone")  # fmt: skip
    option("--baseline", type=Path, metavar="FILE", help="an exported baseline: the active one from the start")
    option("--drain", type=duration, default=10.0, metavar="DURATION", help="what runs under way get at the end: 10s")
    option("--log-level", choices=_LEVELS, default="info", help="default: %(default)s")


def run(args: argparse.Namespace) -> int:
    """0 once stopped by a signal, 2 for a bad configuration, 3 if the address cannot be listened on."""
    from prober.config.errors import ConfigError
    from prober.wire.listen import ListenError

    baseline, wrong = _baseline(args.baseline)
    if wrong:
        print(f"prober: {args.baseline}: {wrong}", file=sys.stderr)
        return 2
    logging.basicConfig(level=args.log_level.upper(), stream=sys.stderr,
                        format="%(asctime)s %(levelname)s %(name)s: %(message)s")  # fmt: skip
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        asyncio.run(_run(args, baseline))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except ListenError as error:
        print(f"prober: {error}", file=sys.stderr)
        return 2 if error.usage else 3
    return 0


def _baseline(file: Path | None) -> tuple[Recording | None, str]:
    """The baseline of a file; or what is wrong with it."""
    if file is None:
        return None, ""
    from prober.baseline.file import read_all
    from prober.engine.baselines.choice import chosen
    from prober.kubernetes.vantage import find_vantage

    try:
        return chosen(read_all(file.read_bytes()), find_vantage().name), ""
    except OSError as error:
        return None, error.strerror or str(error)
    except ValueError as error:
        return None, str(error)


async def _run(args: argparse.Namespace, baseline: Recording | None) -> None:
    from prober.engine.host import serve
    from prober.engine.service import Service
    from prober.export.events import Choice, EventLog
    from prober.export.lines import LineWriter
    from prober.kubernetes.vantage import find_vantage
    from prober.web.app import build_app
    from prober.wire.listen import bind

    sockets = bind(args.listen)
    vantage = find_vantage()
    events = EventLog(LineWriter(sys.stdout.fileno()), vantage, Choice(args.events))
    service = Service(args.config, vantage, events=events, data=args.data, baseline=baseline)

    def started(urls: Sequence[str]) -> None:
        print(
            f"prober {__version__} at vantage {vantage.name}: {service.cells} cells of {args.config}", file=sys.stderr
        )
        if service.tracker is not None and service.tracker.baselines is not None:
            print(f"  {service.tracker.baselines.says}", file=sys.stderr)
            if baseline is not None and baseline.origin.vantage != vantage.name:
                print(
                    f"  --baseline {args.baseline} was recorded at vantage {baseline.origin.vantage}", file=sys.stderr
                )
        elif baseline is not None:
            print(f"  --baseline {args.baseline} is not used: {args.config} has no baselines", file=sys.stderr)
        for url in urls:
            print(f"  {url}/metrics  {url}/api/v1/cells", file=sys.stderr, flush=True)

    try:
        await serve(service, build_app(service), sockets, drain=args.drain, started=started)
    finally:
        for sock in sockets:
            sock.close()
