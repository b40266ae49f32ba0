"""`prober demo`: the service against the embedded lab. Nothing else is needed; faults can be switched on and off."""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from prober.cli.exits import OK, UNFIT, USAGE
from prober.lab.faults import FAULTS, known
from prober.reasons import Family

if TYPE_CHECKING:
    from prober.cli.screen import Screen
    from prober.lab.process import LabProcess

_FAMILIES = {int(socket.AF_INET): Family.IPV4, int(socket.AF_INET6): Family.IPV6}
#: Seconds that runs under way get at the end: nobody measures the lab.
_DRAIN = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `prober demo`."""
    parser.add_argument("--listen", default="127.0.0.1:9790", metavar="HOST:PORT",
                        help="where metrics, API and page are served (default: %(default)s)")  # fmt: skip
    parser.add_argument("--fault", action="append", default=[], metavar="NAME",
                        help="switch this fault on from the start; may be given again")  # fmt: skip
    parser.add_argument("--list-faults", action="store_true", help="list the faults and end")
    parser.add_argument("--once-seconds", type=float, metavar="N", help="end by itself after N seconds")


def run(args: argparse.Namespace) -> int:
    """0 once stopped, the lab gone; 2 for an unknown fault; 3 where the lab or the address cannot be had here."""
    from prober.cli.screen import Screen
    from prober.wire.listen import ListenError, bind

    if args.list_faults:
        _list(Screen())
        return OK
    try:
        for name in args.fault:
            known(name)
    except KeyError as error:
        print(f"prober demo: {error.args[0]}", file=sys.stderr)
        return USAGE
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        sockets = bind(args.listen)
    except ListenError as error:
        print(f"prober demo: {error}", file=sys.stderr)
        return USAGE if error.usage else UNFIT
    try:
        return asyncio.run(_demo(args, Screen(), sockets))
    finally:
        for sock in sockets:
            sock.close()


async def _demo(args: argparse.Namespace, screen: Screen, sockets: Sequence[socket.socket]) -> int:
    from prober.lab.process import LabProcess

    try:
        lab = await LabProcess.start()
    except (RuntimeError, TimeoutError, OSError) as error:
        print(f"prober demo: the lab does not start: {error}", file=sys.stderr)
        return UNFIT
    try:
        for name in args.fault:
            await lab.set_fault(name, True)
        await _serve(args, screen, sockets, lab)
    except RuntimeError as error:
        print(f"prober demo: {error}", file=sys.stderr)
        return UNFIT
    finally:
        await lab.stop()
    return OK


async def _serve(args: argparse.Namespace, screen: Screen, sockets: Sequence[socket.socket], lab: LabProcess) -> None:
    """Run the service until a signal, or until the time is over; the summary runs beside it."""
    from prober.cli.summary import Summary
    from prober.engine.host import serve
    from prober.engine.service import Service
    from prober.kubernetes.api import ApiAccess
    from prober.kubernetes.vantage import find_vantage
    from prober.lab.sockets import loopback_families
    from prober.web.app import build_app

    families = tuple(_FAMILIES[number] for number in loopback_families())
    vantage = replace(find_vantage(), families=families, resolver_families=families)
    service = Service(lab.config_path, vantage, api=ApiAccess.of(lab.kubernetes))
    stop = asyncio.Event()
    shown: list[asyncio.Task[None]] = []

    def faults() -> list[str]:
        return [str(fault["name"]) for fault in lab.faults if fault["on"]]

    def started(urls: Sequence[str]) -> None:
        greeting = _greeting(urls[0])
        for label, text, style in greeting:
            screen.line((f"  {label:<10}", "bold"), (text, style))
        screen.line()
        summary = Summary(screen, service.board, faults, above=len(greeting) + 1)
        shown.append(asyncio.create_task(summary.show(stop)))
        shown[0].add_done_callback(lambda _: stop.set())  # a summary that breaks ends the demo
        if args.once_seconds is not None:
            asyncio.get_running_loop().call_later(args.once_seconds, stop.set)

    try:
        app = build_app(service, lab=lab)
        await serve(service, app, sockets, drain=_DRAIN, started=started, stop=stop, terminal=True)
    finally:
        stop.set()
        await asyncio.gather(*shown)


def _greeting(url: str) -> list[tuple[str, str, str]]:
    """Where everything is, and how to break it: label, text, style."""
    fault = f"{url}/api/v1/lab/faults/tls-expired"
    return [
        ("page", f"{url}/", ""),
        ("metrics", f"{url}/metrics", ""),
        ("cells", f"{url}/api/v1/cells", ""),
        ("faults", f"{url}/api/v1/lab/faults", ""),
        ("break it", f"curl -X PUT {fault}", "cyan"),
        ("mend it", f"curl -X DELETE {fault}", "cyan"),
        ("explain", f"prober explain --url {url}", "cyan"),
    ]


def _list(screen: Screen) -> None:
    """Every fault: what it does, and what the prober has to blame."""
    width = max(map(len, FAULTS))
    for fault in FAULTS.values():
        screen.line(
            (f"{fault.name:<{width}}  ", "bold"), (f"{fault.layer} {fault.reason}".ljust(27), "red"), fault.says
        )
