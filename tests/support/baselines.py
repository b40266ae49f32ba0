"""Probers that have baselines: recordings of a small cluster, and a server that answers as the API of one does."""

from __future__ import annotations

import contextlib
import json
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import NormalDist
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from prober.baseline.file import read, write
from prober.baseline.sketch import Sketch
from prober.baseline.store import BaselineInfo, Block, Store, UnknownBaseline, WindowRefused
from prober.baseline.values import BLOCK, BLOCKS, HOUR, Hour, Origin, Recording, SeriesKey
from prober.units import rfc3339

#: A Monday, 00:00 UTC.
MONDAY = 1_767_571_200
#: Seconds, the median of each.
LAYERS = {"tcp": 0.0003, "tls": 0.004, "http": 0.012}


def keys(*layers: str) -> tuple[SeriesKey, ...]:
    """The series of two paths in both families, in these layers."""
    return tuple(
        SeriesKey("web", "web-api", path, family, layer)
        for path in ("ingress", "service")
        for family in ("ipv4", "ipv6")
        for layer in layers
    )


KEYS = keys("tcp", "tls")
ABOUT = {"cni": "cilium 1.17.3", "kernel": "6.12.8"}
_SPREAD = np.exp(0.2 * np.array([NormalDist().inv_cdf((n + 0.5) / 40) for n in range(40)]))
#: Factor on the latencies of a series in an hour (Unix seconds).
Change = Callable[[SeriesKey, int], float]
#: Failures of a series in an hour.
Failing = Callable[[SeriesKey, int], int]


def calm(_key: SeriesKey, _start: int) -> float:
    """Nothing happens."""
    return 1.0


def none_fail(_key: SeriesKey, _start: int) -> int:
    """No run fails."""
    return 0


def origin(name: str, zone: str = "eu-1a", **about: str) -> Origin:
    """A vantage on a node of its own."""
    return Origin(name, name, zone, "eu-1", ABOUT | about)


def made(
    since: int, length: int, where: Origin, change: Change = calm, failing: Failing = none_fail,
    label: str = "healthy", series: Sequence[SeriesKey] = KEYS,
) -> Recording:  # fmt: skip
    """So many hours of all series from `since` on: the same for the same arguments, on every machine."""
    held = {}
    for number, key in enumerate(series):
        drawn = random.Random(f"{where.vantage} {number}")
        level, hours = 0.0, []
        for start in range(since, since + length * HOUR, HOUR):
            blocks = []
            for _ in range(BLOCKS):
                level = 0.8 * level + drawn.gauss(0, 0.01)
                blocks.append(LAYERS[key.layer] * change(key, start) * np.exp(level) * _SPREAD)
            failed = failing(key, start)
            hours.append(Hour(start, Sketch.of(np.concatenate(blocks)), {"timeout": failed} if failed else {}))
        held[key] = tuple(hours)
    until = since + length * HOUR
    return Recording(label, where, since, until, until + 5.0, 1, held, {key.cell: "a1" for key in series})


@dataclass(slots=True)
class Kept:
    """One prober: its store in memory, where it runs and what time it has."""

    store: Store
    origin: Origin
    settings: Mapping[str, str]
    url: str = ""
    persistent: bool = True

    def listed(self, info: BaselineInfo) -> dict[str, object]:
        """A baseline as the API tells it."""
        times = {name: _time(getattr(info, name)) for name in ("since", "until", "recorded_at")}
        head = {"label": info.label, "version": info.version, "series": info.series, "active": info.active}
        return {**head, **times, "origin": asdict(info.origin)}


@contextlib.contextmanager
def probing(recording: Recording, *, persistent: bool = True) -> Iterator[Kept]:
    """A prober that has measured all of `recording`, and no baseline yet."""
    until = recording.until
    store = Store.open(None, clock=lambda: until)
    for start in range(int(recording.since), int(until), HOUR):
        hours = {key: hour for key, held in recording.series.items() for hour in held if hour.start == start}
        store.save_block(Block(start + HOUR - BLOCK, hours, settings=recording.settings)).result()
    with Server(Kept(store, recording.origin, recording.settings, persistent=persistent)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.kept
        finally:
            server.shutdown()
            thread.join()
            store.close()


class Server(ThreadingHTTPServer):
    """Answers for one prober."""

    daemon_threads = True

    def __init__(self, kept: Kept) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept = kept
        kept.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None: ...

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        words = [unquote(word) for word in parts.path.removeprefix("/api/v1/").split("/")]
        try:
            status, answer = answered(self.server.kept, self.command, words, query, body)
        except UnknownBaseline as error:
            status, answer = 404, {"error": str(error)}
        except WindowRefused as error:
            refused = [{"series": str(one.series), "why": one.why} for one in error.refused]
            status, answer = 422, {"error": str(error), "refused": refused}
        except ValueError as error:
            status, answer = 409, {"error": str(error)}
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def answered(
    kept: Kept, method: str, words: list[str], query: dict[str, str], body: bytes
) -> tuple[int, dict[str, object] | bytes]:
    """Status, and JSON or a file."""
    store, version = kept.store, int(query["version"]) if "version" in query else None
    match method, words:
        case "GET", ["runs"]:
            return 200, {"runs": [{"vantage": {"name": kept.origin.vantage}}]}
        case "GET", ["baselines"]:
            where = {"path": None, "persistent": kept.persistent, "says": "in memory: gone with the process"}
            return 200, {"baselines": [kept.listed(one) for one in store.list().result()], "store": where}
        case "POST", ["baselines"]:
            return _record(kept, json.loads(body))
        case "POST", ["baselines", "import"]:
            return 201, kept.listed(store.put(read(body)).result())
        case "POST", ["baselines", label, "accept"]:
            return 200, kept.listed(store.activate(label, version).result())
        case "GET", ["baselines", "now", "export"]:
            since, until = _window(kept, query)
            return 200, write(store.window(since, until, kept.origin, kept.settings).result())
        case "GET", ["baselines", label, "export"]:
            return 200, write(store.get(label, version).result())
        case "DELETE", ["baselines", label]:
            store.delete(label, version or 0, force="force" in query).result()
            return 204, b""
    return 404, {"error": "Not Found"}


def _record(kept: Kept, asked: dict[str, str]) -> tuple[int, dict[str, object]]:
    since, until = _window(kept, asked)
    where = Origin(**{**asdict(kept.origin), "about": {**kept.origin.about, **dict(asked["about"])}})  # type: ignore[arg-type]  # its own fields
    done = kept.store.record(asked["label"], since, until, where, kept.settings).result()
    refused = [{"series": str(one.series), "why": one.why} for one in done.refused]
    return 201, {**kept.listed(done.baseline), "refused": refused}


def _window(kept: Kept, asked: dict[str, str]) -> tuple[float, float]:
    """What was asked for; else the last two days of what there is."""
    until = datetime.fromisoformat(asked["to"]).timestamp() if "to" in asked else kept.store._clock()
    return datetime.fromisoformat(asked["from"]).timestamp() if "from" in asked else until - 48 * HOUR, until


def _time(seconds: float) -> str:
    return rfc3339(datetime.fromtimestamp(seconds, UTC))


#: The hour in which TLS becomes slower at `measured`, and as it is written.
CHANGED = MONDAY + 50 * HOUR
AT = "2026-01-07T02:00Z"
#: Two good days, and what came after the change.
WINDOW = ("--from", "2026-01-05T00:00Z", "--to", "2026-01-07T00:00Z")
LATER = ("--from", AT, "--to", "2026-01-07T12:00Z")
#: What a comparison of the two says of it.
FOUND = re.compile(
    r"^✗ tls 1[789] % slower over path ingress by ipv6 \(2 of 8 series\), since 7 Jan 02:00\.$", re.MULTILINE
)
Said = tuple[int, str, str]


class Ask(Protocol):
    """Runs a command against all probers, or some: exit code, stdout, stderr."""

    def __call__(self, *words: str, only: Sequence[Kept] | None = None) -> Said: ...


def slower(key: SeriesKey, start: int) -> float:
    """TLS over IPv6 on one path takes 18 % longer since the change."""
    there = (key.path, key.family, key.layer) == ("ingress", "ipv6", "tls")
    return 1.18 if there and start >= CHANGED else 1.0


@cache
def measured(vantage: str, zone: str) -> Recording:
    """Two and a half days in which that happened."""
    return made(MONDAY, 60, origin(vantage, zone), slower)
