"""Which baseline each series is judged against: the active ones of the store, fitted.

A fit is made once and kept beside its baseline. Few are made in a thread; many in a process of their own, for each
takes some ms of the interpreter, and runs would wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from prober.baseline.fitted import VERSION, fit_packed, read_frames, unpack_fit, write_frames
from prober.baseline.labels import versioned
from prober.baseline.packed import blobs_of
from prober.baseline.store import Active, Store, StoreFailed, UnknownBaseline
from prober.baseline.values import SeriesKey
from prober.engine.baselines.banks import Known
from prober.engine.baselines.sampling import Live
from prober.export.pace import Pace

log = logging.getLogger(__name__)

#: Fits from which a process is worth its start.
FEW: Final = 40
#: Fits that are made before they are put to use.
_CHUNK: Final = 64
_WORKER: Final = "prober.baseline.fitted"


class Learning:
    """Keeps `ready`: what each series is judged against. Of the loop's thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._active: dict[SeriesKey, Active] = {}
        self.ready: dict[SeriesKey, Known] = {}
        self.version = 0
        """Another number where it may be something else."""
        self.unfit: dict[SeriesKey, str] = {}
        """Series whose baseline is of no use → why."""
        self.other_ways: set[str] = set()
        """Cells that are probed in another way than their baseline was: another path."""

    async def judged(self, live: Live) -> dict[SeriesKey, Known]:
        """What each of these series is to be judged against, as far as it is ready."""
        ready = self.ready
        return {key: ready[key] for key in await self._wanted(live) if key in ready}

    async def learn(self, live: Live, *, refresh: bool) -> None:
        """Make `ready` what it is to be for these series; `refresh`: the store has other baselines, or others are
        active. StoreFailed."""
        cached: dict[SeriesKey, Active] = {}
        if refresh:
            cached = await asyncio.wrap_future(self._store.active())
            self._active = await asyncio.to_thread(_without_fits, cached)
            self.unfit.clear()
        wanted = await self._wanted(live)
        missing: dict[tuple[str, int], list[SeriesKey]] = {}
        pace = Pace()
        for key, one in wanted.items():
            before = self.ready.get(key)
            if before is not None and before.baseline == _name(one):
                continue
            if key not in self.unfit and not self._from_cache(key, cached.get(key)):
                missing.setdefault((one.label, one.version), []).append(key)
            if pace.due:
                await pace.rest()
        for (label, version), keys in missing.items():
            await self._make(label, version, keys)
        for key in list(self.ready):
            if key not in wanted or self.ready[key].baseline != _name(wanted[key]):
                del self.ready[key]
            if pace.due:
                await pace.rest()
        self.version += 1

    async def _wanted(self, live: Live) -> dict[SeriesKey, Active]:
        """The active baseline of each series that is probed as it was then."""
        found: dict[SeriesKey, Active] = {}
        others: set[str] = set()
        pace, active = Pace(), self._active
        for key in live.rows if active else ():
            one = active.get(key)
            if one is None:
                continue
            if one.settings is not None and one.settings != live.settings.get(key.cell):
                others.add(key.cell)
            else:
                found[key] = one
            if pace.due:
                await pace.rest()
        for cell in sorted(others - self.other_ways):
            log.warning("%s is probed in another way than when its baseline was recorded: it has none now", cell)
        self.other_ways = others
        return found

    def _from_cache(self, key: SeriesKey, one: Active | None) -> bool:
        if one is None or one.fit is None or one.fit_version != VERSION:
            return False
        try:
            self.ready[key] = Known(_name(one), unpack_fit(one.fit))
        except ValueError as error:
            log.warning("%s: the fit that was kept is made anew: %s", key, error)
            return False
        return True

    async def _make(self, label: str, version: int, keys: Sequence[SeriesKey]) -> None:
        try:
            recording = await asyncio.wrap_future(self._store.get(label, version, keys))
        except UnknownBaseline:
            return  # deleted meanwhile
        hours = list(blobs_of(recording.series))
        async with aclosing(_fitted([blob for _, blob in hours])) as parts:
            async for begin, done in parts:
                await self._made(label, version, hours[begin : begin + len(done)], done)

    async def _made(
        self, label: str, version: int, hours: Sequence[tuple[SeriesKey, bytes]], done: Sequence[tuple[bytes, str]]
    ) -> None:
        """Put some fits to use."""
        made: dict[SeriesKey, bytes] = {}
        for (key, _), (fit, why) in zip(hours, done, strict=True):
            if fit:
                made[key] = fit
                self.ready[key] = Known(versioned(label, version), unpack_fit(fit))
            else:
                self.unfit[key] = why
                log.warning("%s has no baseline in %s v%d: %s", key, label, version, why)
        self.version += 1
        await self._keep(label, version, made)

    async def _keep(self, label: str, version: int, fits: Mapping[SeriesKey, bytes]) -> None:
        try:
            await asyncio.wrap_future(self._store.keep_fits(label, version, fits, VERSION))
        except (StoreFailed, UnknownBaseline) as error:
            log.warning("fits of %s v%d are not kept: %s", label, version, error)


async def _fitted(hours: Sequence[bytes]) -> AsyncGenerator[tuple[int, list[tuple[bytes, str]]], None]:
    """The fits of packed hours, or why there is none, in parts: where each begins, and what is in it."""
    worker = await asyncio.to_thread(_start) if len(hours) > FEW else None
    try:
        for at in range(0, len(hours), _CHUNK):
            part = hours[at : at + _CHUNK]
            done = None if worker is None else await asyncio.to_thread(_ask, worker, part)
            if done is None:
                _end(worker)
                worker = None
                done = [await asyncio.to_thread(fit_packed, blob) for blob in part]
            yield at, done
    finally:
        _end(worker)


def _start() -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    except OSError as error:
        log.warning("no process to fit baselines in (%s): they are fitted beside the schedule", error)
        return None


def _ask(worker: subprocess.Popen[bytes], part: Sequence[bytes]) -> list[tuple[bytes, str]] | None:
    """What the process makes of these hours, one after the other; None where it has ended."""
    done = []
    if worker.stdin is None or worker.stdout is None:
        raise AssertionError("it was started with pipes")
    answers = read_frames(worker.stdout)
    try:
        for hours in part:
            write_frames(worker.stdin, (hours,))
            worker.stdin.flush()
            done.append((next(answers), next(answers).decode()))
    except (OSError, ValueError, StopIteration) as error:
        log.warning("the process that fits baselines has ended (%r): they are fitted beside the schedule", error)
        return None
    return done


def _end(worker: subprocess.Popen[bytes] | None) -> None:
    if worker is not None:
        worker.kill()
        worker.communicate()


def _without_fits(active: Mapping[SeriesKey, Active]) -> dict[SeriesKey, Active]:
    return {key: replace(one, fit=None) for key, one in active.items()}


def _name(one: Active) -> str:
    return versioned(one.label, one.version)
