"""`prober watch`: follow a rolling upgrade, changed nodes against those that are not changed yet."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Coroutine
from contextlib import suppress

from prober.cli.configured import UsageError
from prober.cli.exits import FAILED, OK, UNFIT, USAGE
from prober.cli.watch.following import CannotFollow, Following, Plan
from prober.cli.watch.options import configure, plan_of, time_of
from prober.cli.watch.picture import Picture
from prober.cli.watch.showing import Showing, asking, shown, write_markdown

__all__ = ["configure", "run"]


def run(args: argparse.Namespace) -> int:
    """1 if a regression is confirmed, else 0; 2 for a wrong command line, 3 if nothing could be compared."""
    try:
        return asyncio.run(_watch(args, plan_of(args), time_of(args)))
    except UsageError as error:
        print(error, file=sys.stderr)
        return USAGE
    except CannotFollow as error:
        print(f"prober: {error}", file=sys.stderr)
        return UNFIT


async def _watch(args: argparse.Namespace, plan: Plan, until: float | None) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    ends = None if until is None else time.monotonic() + until
    following = Following(plan)
    with asking():
        picture = await _unless(stop, following.begin())
    if picture is None:
        return OK
    with shown(args.output) as showing:
        showing.show(picture)
        if not args.once:
            picture = await _follow(following, picture, showing, stop, args.every, ends)
        code = _code(picture, waited=args.once or (ends is not None and not stop.is_set()))
        showing.end(picture, code)
    if args.markdown is not None:
        write_markdown(args.markdown, picture)
    return code


async def _follow(
    following: Following, picture: Picture, showing: Showing, stop: asyncio.Event, every: float, ends: float | None
) -> Picture:
    """Until somebody stops it, it is over, or a regression is confirmed and that was waited for."""
    while not (ends is not None and (picture.regressed or time.monotonic() >= ends)):
        left = every if ends is None else min(every, ends - time.monotonic())
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(left, 0.0))
        looked = await _unless(stop, following.poll())
        if looked is None:
            break
        picture = looked
        showing.show(picture)
    return picture


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, Picture]) -> Picture | None:
    """What `work` gives; None where it is stopped before."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if stop.is_set():
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return None
    return await working


def _code(picture: Picture, *, waited: bool) -> int:
    """`waited`: an answer is wanted, and not only a look at it."""
    if picture.regressed:
        return FAILED
    return UNFIT if waited and not picture.compared else OK
