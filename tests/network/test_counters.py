"""Counters add up exactly: over 100 flaps and 20 reloads, scraped all the while, until the last run of the drain.

The books are the event log, which has every run. A cell that a reload leaves alone keeps its counts, one that it
changes, removes or adds begins at zero; to tell them apart, each configuration of those has a number in its URL.
"""

from __future__ import annotations

import json
import re
import signal
import threading
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from prober.reasons import Family
from tests.network import peer
from tests.network.lab import plan
from tests.network.lab.process import LabProcess
from tests.network.ledger import CellName, differences, name_of, scraped, total
from tests.network.watched import Helper, PodProber, helper, prober_in_pod
from tests.support.process import samples_of

FLAPS, RELOADS = 100, 20
#: How a flap breaks the server and mends it.
WAYS = (("status 503", "status 200"), ("close", "open"))
#: An event is written this many seconds at most after the run that it tells was counted.
WRITTEN = 0.1
#: Every fast run that had begun before the end is over so long after it, in seconds.
SETTLED = 0.3
Runs = Mapping[tuple[CellName, int], Sequence[Mapping[str, Any]]]


def _hosts() -> Iterator[tuple[str, str]]:
    for family in Family:
        address = plan.WEB2.address(family)
        yield family.value, f"[{address}]" if ":" in address else address


def _config(changing: int, extra: int | None, broken: bool = False) -> str:
    """Cells that stay, that flap, that are slow, that have configuration number `changing`, and perhaps extra ones."""
    urls = {
        "web": f"http://{{}}:{peer.PLAIN[1]}/?v=0", "port": f"tcp://{{}}:{peer.PLAIN[2]}", "echo": "icmp://{}",
        "names": f"dns://{{}}:{peer.NAMES}/{peer.NAME}", "flapping": f"http://{{}}:{peer.MOODY}/?v=0",
        "changing": f"http://{{}}:{peer.PLAIN[3]}/?v={changing}",
    }  # fmt: skip
    if extra is not None:
        urls["extra"] = f"http://{{}}:{peer.PLAIN[4]}/?v={extra}"
    probes: list[dict[str, Any]] = [
        {"name": name, "kind": "htpt" if broken else url.partition(":")[0], "targets": [name]}
        for name, url in urls.items()
    ]
    urls["slow"] = f"http://{{}}:{peer.MUTE}/?v=0"
    probes.append({"name": "slow", "kind": "http", "targets": ["slow"], "interval": "2s", "timeout": "1900ms"})
    targets = {
        name: {"paths": {path: {"url": url.format(host)} for path, host in _hosts()}} for name, url in urls.items()
    }
    return json.dumps({"defaults": {"interval": "50ms", "timeout": "50ms"}, "targets": targets, "probes": probes})


class Configuration:
    """The file, and how it changes from reload to reload."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.changing, self.extra = 0, None
        self._write()

    changing: int
    extra: int | None

    def change(self, number: int) -> str:
        """For a reload: nothing new, a probe more, another URL, a probe less, a mistake, in turn. The event to come."""
        step = number % 5
        if step == 1:
            self.extra = number
        elif step == 2:
            self.changing = number
        elif step == 3:
            self.extra = None
        self._write(broken=step == 4)
        return "reload_failed" if step == 4 else "reloaded"

    def _write(self, *, broken: bool = False) -> None:
        fresh = self._path.with_suffix(".new")
        fresh.write_text(_config(self.changing, self.extra, broken), encoding="utf-8")
        fresh.rename(self._path)

    def names(self) -> set[str]:
        """The probes that run."""
        return {"web", "port", "echo", "names", "flapping", "changing", "slow", *(["extra"] if self.extra else [])}


@dataclass(frozen=True)
class Scrape:
    """What `/metrics` said to a request that began and ended at these times (wall clock)."""

    began: float
    ended: float
    text: str


@contextmanager
def _scraping(lab: LabProcess, url: str) -> Iterator[list[Scrape]]:
    """Scrapes again and again, by somebody else, until nobody answers any more or the block ends."""
    scrapes: list[Scrape] = []
    over = threading.Event()

    def scrape(errands: Helper) -> None:
        while not over.wait(0.05):
            began = time.time()
            status, text = json.loads(errands.ask(f"GET {url}/metrics"))
            if status != 200:
                return
            scrapes.append(Scrape(began, time.time(), text))

    with helper(lab, "client", "tests.network.errands") as errands:
        thread = threading.Thread(target=scrape, args=(errands,))
        thread.start()
        try:
            yield scrapes
        finally:
            over.set()
            thread.join()


@pytest.mark.timeout(120)
def test_nothing_is_lost_and_nothing_counted_twice(lab: LabProcess, tmp_path: Path) -> None:
    configuration = Configuration(tmp_path / "probes.yaml")
    with (
        helper(lab, "web2", "tests.network.peer") as web2,
        prober_in_pod(lab, tmp_path / "probes.yaml", "--events", "all") as prober,
        _scraping(lab, prober.url) as scrapes,
    ):
        _flap(prober, web2, configuration)
        heard = len(web2.said.seen)
        web2.said.wait_for(lambda line: line == "heard", heard)
        stopped_at = time.time()
        prober.signal(signal.SIGTERM)
        assert prober.wait() == 0
    events = prober.events()
    assert events[-1]["event"] == "stopped"
    assert events[-1]["cancelled"] == 0
    runs = _runs(events)
    assert max(run["at"] for run in chain(*runs.values())) > stopped_at + SETTLED, "the drain waits for the slow ones"
    last = _quiet(scrapes, runs, stopped_at + SETTLED)
    assert samples_of("prober_events_dropped_total", last.text).popitem()[1] == 0
    assert _missed(events) == {_cause(labels): value for labels, value in
                               samples_of("prober_runs_missed_total", last.text).items() if value}  # fmt: skip
    assert list(_end(last, runs)) == []
    assert list(chain.from_iterable(_meanwhile(each, runs) for each in scrapes)) == []
    assert len(scrapes) > RELOADS
    assert list(_changes(events, runs)) == []
    print(f"{sum(map(len, runs.values()))} runs, {len(scrapes)} scrapes, {FLAPS} flaps, {RELOADS} reloads")


def _flap(prober: PodProber, web2: Helper, configuration: Configuration) -> None:
    """Break the server and mend it, again and again; every few times the configuration changes meanwhile."""
    _wait(prober, 0, ok=True)
    reloads, event, seen = 0, "", 0
    for number in range(FLAPS):
        start = len(prober.stdout.seen)
        if number % (FLAPS // RELOADS) == 0:
            event, seen = configuration.change(reloads), start
            if reloads % 2:
                prober.get("/-/reload", "POST")
            else:
                prober.signal(signal.SIGHUP)
            reloads += 1
        breaks, mends = WAYS[number % len(WAYS)]
        web2.ask(breaks)
        _wait(prober, start, ok=False)
        start = len(prober.stdout.seen)
        web2.ask(mends)
        _wait(prober, start, ok=True)
        if event:
            prober.event(event, seen)
            cells = {cell[0] for cell in scraped(prober.get("/metrics")[1])}
            assert cells == configuration.names()
            event = ""
    assert reloads == RELOADS


def _wait(prober: PodProber, start: int, *, ok: bool) -> None:
    """Until a run of the flapping cell has held, or failed, in both families, from line `start` on."""
    for family in Family:
        words = '"event":"run"', '"probe":"flapping"', f'"family":"{family}"', f'"ok":{str(ok).lower()}'
        prober.stdout.wait_for(lambda line, words=words: all(word in line for word in words), start)


def _runs(events: Sequence[Mapping[str, Any]]) -> Runs:
    """The runs of each cell by the number of its configuration, each with the time when it was written."""
    found: dict[tuple[CellName, int], list[Mapping[str, Any]]] = defaultdict(list)
    for event in events:
        if event["event"] == "run":
            run = event["run"]
            number = re.search(r"[?]v=(\d+)", run["reproduce"])
            found[name_of(run), int(number[1]) if number else 0].append({**run, "at": _moment(event["at"])})
    return found


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _quiet(scrapes: Sequence[Scrape], runs: Runs, since: float) -> Scrape:
    """The last scrape of the drain during which no run ended: the fast ones have, and a slow one goes on."""
    written = [run["at"] for of_one in runs.values() for run in of_one]
    quiet = [each for each in scrapes if since < each.began < max(written)
             and not any(each.began <= at <= each.ended + WRITTEN for at in written)]  # fmt: skip
    return quiet[-1]


def _end(scrape: Scrape, runs: Runs) -> Iterator[str]:
    """Where a scrape during which no run ended has something else of a cell than what its runs until then make."""
    for cell, samples in scraped(scrape.text).items():
        latest = runs[max(key for key in runs if key[0] == cell)]
        until_then = [run for run in latest if run["at"] <= scrape.began]
        yield from (f"{cell}: {difference}" for difference in differences(samples, until_then))


def _meanwhile(scrape: Scrape, runs: Runs) -> Iterator[str]:
    """No scrape has fewer runs than were written before it began, or more than were written soon after it ended."""
    for cell, samples in scraped(scrape.text).items():
        count = total(samples, "prober_runs_total")
        written = [[run["at"] for run in of_one] for (name, _), of_one in runs.items() if name == cell]
        bounds = [(bisect_right(at, scrape.began), bisect_right(at, scrape.ended + WRITTEN)) for at in written]
        if not any(least <= count <= most for least, most in [*bounds, (0, 0)]):
            yield f"{cell} has {count} runs in the scrape of {scrape.began}, when there were {bounds}"


def _missed(events: Sequence[Mapping[str, Any]]) -> Mapping[str, int]:
    """What the sums in the event log come to, by cause."""
    sums: Counter[str] = Counter()
    for event in events:
        if event["event"] == "runs_missed":
            sums.update(event["missed"])
    return sums


def _cause(labels: str) -> str:
    return re.findall('cause="(.*?)"', labels)[0]


def _changes(events: Sequence[Mapping[str, Any]], runs: Runs) -> Iterator[str]:
    """Every change of the flapping cells' state was told, once."""
    told = [event for event in events if event["event"] in ("cell_failed", "cell_recovered")]
    for (cell, _), of_one in runs.items():
        if cell[0] != "flapping":
            continue
        states = [run["ok"] for run in of_one]
        changed = [after for before, after in zip([True, *states], states, strict=False) if before is not after]
        said = [event["run"]["ok"] for event in told if name_of(event["run"]) == cell]
        if said != changed or len(changed) < 2 * FLAPS:
            yield f"{cell} changed {len(changed)} times, of which {len(said)} were told"
