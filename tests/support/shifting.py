"""Probers on many nodes that tell their shifts over HTTP: one server, a path for each, on a clock that tests turn."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np

from prober.baseline.sketch import Floats
from prober.baseline.store import Shifts
from prober.baseline.values import BLOCK, Origin, SeriesKey
from prober.web.shifts import shifts_as_json
from tests.baseline.made import KEY, MONDAY, latencies

#: 40 runs in each block.
RUNS = 40
KEYS = tuple(replace(KEY, path=path, layer=layer) for layer in ("dns", "tcp") for path in ("pod", "service"))


@dataclass
class Told:
    """One vantage: the shift of each of its series in each block, in log seconds, and how many runs failed."""

    origin: Origin
    keys: Sequence[SeriesKey]
    shifts: Floats
    """Of shape (blocks, series)."""
    failed: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    baseline: str = "healthy v1"
    silent: bool = False

    def __post_init__(self) -> None:
        self.failed = np.zeros(self.shifts.shape)


@dataclass
class Fleet:
    """All of them. `start` is the first block (Unix seconds), `now` what has passed is told up to."""

    vantages: dict[str, Told]
    start: int = MONDAY
    now: float = 0.0
    base: str = ""
    requests: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, nodes: Sequence[str], blocks: int, *, start: int = MONDAY, keys: Sequence[SeriesKey] = KEYS) -> Fleet:
        """A vantage on each node: each series has its noise, and all have in common a larger one."""
        random = np.random.default_rng(7)
        common, level = np.zeros(blocks), 0.0
        for number in range(blocks):
            level = 0.9 * level + random.normal(0, 0.02)
            common[number] = level
        vantages = {}
        for number, node in enumerate(nodes):
            own = [np.array([np.log(x).mean() for x in latencies(97 * number + at, blocks, runs=RUNS)])
                   for at in range(len(keys))]  # fmt: skip
            shifts = np.stack(own, axis=1)
            kernel = {"kernel": "6.8.0-45", "kubelet": "v1.33.4"}
            vantages[node] = Told(Origin(node, node, "eu-1a", "eu-1", kernel), keys,
                                  shifts - shifts.mean(axis=0) + common[:, None])  # fmt: skip
        return cls(vantages, start, float(start + blocks * BLOCK))

    @property
    def urls(self) -> list[str]:
        return [f"{self.base}/{name}" for name in self.vantages]

    def slow(self, nodes: Sequence[str], since: float, ratio: float, *, layer: str = "tcp", path: str = "") -> None:
        """From then on these nodes' series of a layer take so many times as long."""
        first = int(since - self.start) // BLOCK
        for node in nodes:
            told = self.vantages[node]
            chosen = [at for at, key in enumerate(told.keys) if key.layer == layer and path in ("", key.path)]
            told.shifts[first:, chosen] += np.log(ratio)

    def answer(self, name: str, since: float, until: float) -> str:
        """As the route of the API does it."""
        told = self.vantages[name]
        blocks, keys = [], tuple(told.keys)
        for number, (shifts, failed) in enumerate(zip(told.shifts, told.failed, strict=False)):
            start = self.start + number * BLOCK
            if since <= start < until and start + BLOCK <= self.now:
                d = shifts.astype(np.float32)
                runs = np.full(len(told.keys), RUNS)
                blocks.append(Shifts(start, keys, runs, failed.astype(np.int64), d, d))
        return "".join(shifts_as_json(told.origin, dict.fromkeys(told.keys, told.baseline), blocks))


@contextlib.contextmanager
def telling(fleet: Fleet) -> Iterator[Fleet]:
    """The fleet, answering at its `urls`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            fleet.requests.append(self.path)
            name = url.path.split("/")[1]
            if fleet.vantages[name].silent:
                return self.send_error(503)
            query = {key: datetime.fromisoformat(one[0]).timestamp() for key, one in parse_qs(url.query).items()}
            body = fleet.answer(name, query["from"], query["to"]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return None

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        serving.start()
        fleet.base = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield fleet
        finally:
            server.shutdown()
            serving.join(5)
