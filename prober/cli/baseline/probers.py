"""What running probers say of their baselines, and are told to do with them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from prober.baseline.labels import versioned
from prober.cli.asking import NoAnswer, Refused, address_of, ask
from prober.cli.baseline.moments import from_rfc3339
from prober.cli.baseline.progress import steps
from prober.cli.configured import UsageError
from prober.config.words import suggest
from prober.units import rfc3339_at

_ROOT = "/api/v1/baselines"
_GZIP = "application/gzip"
#: A status; its words are our API's for a path that it does not have.
_NOT_FOUND = 404
#: Probers that are asked at once.
_AT_ONCE = 8
#: Labels that are named where one is not known.
_NAMED = 8
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """A baseline that a prober has. Times are Unix seconds."""

    label: str
    version: int
    since: float
    until: float
    recorded_at: float
    series: int
    active: int
    """For how many of them it is the active one."""
    vantage: str
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`cilium-1.17.3 v1`, as regressions name it."""
        return versioned(self.label, self.version)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Kept:
        """From the API's JSON. KeyError, TypeError, ValueError: it is something else."""
        origin = told["origin"]
        about = {str(key): str(value) for key, value in (origin.get("about") or {}).items()}
        if not all(map(str.isprintable, (told["label"], origin["vantage"], *about, *about.values()))):
            raise ValueError("control characters")
        since, until, recorded_at = (from_rfc3339(told[name]) for name in ("since", "until", "recorded_at"))
        return cls(
            str(told["label"]), int(told["version"]), since, until, recorded_at, int(told["series"]),
            int(told["active"]), str(origin["vantage"]), about,
        )  # fmt: skip


class Answer(NamedTuple):
    """A prober's baselines, and where it keeps them."""

    baselines: tuple[Kept, ...]
    store: str
    persistent: bool


class Recorded(NamedTuple):
    """A new baseline, and which series are not in it: series and why."""

    baseline: Kept
    refused: tuple[tuple[str, str], ...]


class NotRecorded(Exception):
    """A window that nothing was recorded from: why, and the series that were refused with why."""

    def __init__(self, why: str, refused: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(why)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Prober:
    """One that runs at `url`. What it refuses is raised as UsageError, with its words; nobody there as NoAnswer."""

    url: str
    timeout: float
    """Seconds."""

    def list(self) -> Answer:
        """All its baselines, in the order in which they were recorded."""

        def read(told: Mapping[str, Any]) -> Answer:
            store = told.get("store") or {}
            kept = tuple(map(Kept.of, told["baselines"]))
            return Answer(kept, str(store.get("says", "")), bool(store.get("persistent", True)))

        return self._json(read, _ROOT)

    def record(
        self, label: str, since: float | None, until: float | None, about: Mapping[str, str], *, regressed: bool = False
    ) -> Recorded:
        """Record a baseline from a window (Unix seconds; None: as the prober does it). `regressed`: of series that had
        regressed in it, too. NotRecorded."""
        asked: dict[str, object] = {"label": label, "about": dict(about)}
        asked |= {name: rfc3339_at(at) for name, at in (("from", since), ("to", until)) if at is not None}
        asked |= {"regressed": True} if regressed else {}  # older probers do not know it
        try:
            return self._json(
                lambda told: Recorded(Kept.of(told.get("baseline") or told), _refused(told)), _ROOT, "POST", asked
            )
        except Refused as error:
            raise NotRecorded(str(error), _refused(error.told)) from None

    def accept(self, kept: Kept) -> None:
        """Make it the active one."""
        self._asked(f"{_path(kept)}/accept{_version(kept)}", "POST")

    def delete(self, kept: Kept, *, force: bool) -> None:
        """Delete it; an active one only with `force`."""
        self._asked(f"{_path(kept)}{_version(kept, force='true') if force else _version(kept)}", "DELETE")

    def export(self, kept: Kept) -> bytes:
        """It as a file."""
        return self._asked(f"{_path(kept)}/export{_version(kept)}")

    def export_now(self, since: float | None, until: float | None) -> bytes:
        """What was measured between two moments (Unix seconds), as a file."""
        asked = {name: rfc3339_at(at) for name, at in (("from", since), ("to", until)) if at is not None}
        return self._asked(f"{_ROOT}/now/export{_query(asked)}")

    def put(self, data: bytes) -> Kept:
        """Import a file of one recording."""
        return self._json(lambda told: Kept.of(told.get("baseline") or told), f"{_ROOT}/import", "POST", data)

    def vantage(self) -> str:
        """What its vantage is called; "" before its first run."""
        return self._json(lambda told: str(told["runs"][0]["vantage"]["name"]) if told["runs"] else "",
                          "/api/v1/runs?limit=1")  # fmt: skip

    def _json(
        self,
        read: Callable[[Mapping[str, Any]], T],
        path: str,
        method: str = "GET",
        body: Mapping[str, object] | bytes | None = None,
    ) -> T:
        """What `read` makes of the answer. NoAnswer where that is not what a prober says."""
        try:
            answer = json.loads(self._ask(path, method, body))
            return read(answer)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise NoAnswer(address_of(self.url, path), f"something else answers there ({error!r})") from None
        except Refused as error:
            if method == "POST" and path == _ROOT:
                raise
            raise self._says(error) from None

    def _asked(self, path: str, method: str = "GET") -> bytes:
        try:
            return self._ask(path, method, None)
        except Refused as error:
            raise self._says(error) from None

    def _ask(self, path: str, method: str, body: Mapping[str, object] | bytes | None) -> bytes:
        if body is None or isinstance(body, bytes):
            return ask(self.url, path, method=method, body=body, content=_GZIP, timeout=self.timeout)
        return ask(self.url, path, method=method, body=json.dumps(body).encode(), timeout=self.timeout)

    def _says(self, error: Refused) -> UsageError:
        if error.status == _NOT_FOUND and str(error) == "Not Found":
            return UsageError(f"prober: {self.url} knows nothing of baselines: is it older than this command?")
        return UsageError(f"prober: {self.url} says: {error}")


def _path(kept: Kept) -> str:
    return f"{_ROOT}/{quote(kept.label, safe='')}"


def _version(kept: Kept, **more: str) -> str:
    return _query({"version": str(kept.version), **more})


def _query(asked: Mapping[str, str]) -> str:
    return f"?{urlencode(asked)}" if asked else ""


def _refused(told: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((_series(one["series"]), str(one["why"])) for one in told.get("refused") or ())


def _series(told: object) -> str:
    """`web/web-api/ingress/ipv4 tcp`, whether it is told as text or by its parts."""
    if not isinstance(told, Mapping):
        return str(told)
    cell = "/".join(str(told[name]) for name in ("probe", "target", "path", "family"))
    return f"{cell} {told['layer']}" + (f" on {told['node']}" if told.get("node") else "")


def each(probers: Sequence[Prober], what: str, job: Callable[[Prober], T]) -> list[T]:
    """What `job` gives for each prober, several at a time, in their order. UsageError with all that did not answer."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = [pool.submit(job, prober) for prober in probers]
        for one in steps(asked, what):
            one.exception()
    silent = [str(error) for one in asked if isinstance(error := one.exception(), NoAnswer)]
    if silent:
        raise UsageError("\n".join(f"prober: {line}" for line in dict.fromkeys(silent)))
    return [one.result() for one in asked]


def found(text: str, baselines: Sequence[Kept]) -> Kept | None:
    """The baseline of a label, or of `label@2`; the newest version where none is named. None: not among these."""
    label, at, number = text.rpartition("@")
    exact = [kept for kept in baselines if kept.label == text]
    if not exact and at and number.isascii() and number.isdigit():
        exact = [kept for kept in baselines if kept.label == label and kept.version == int(number)]
    return max(exact, key=lambda kept: kept.version, default=None)


def unknown(text: str, baselines: Sequence[Kept]) -> UsageError:
    """That there is no such baseline, the one that may have been meant, and which there are."""
    label, _, number = text.rpartition("@")
    versions = [kept.version for kept in baselines if kept.label == label]
    if label and versions and number.isdigit():
        there = ", ".join(map(str, sorted(set(versions))))
        return UsageError(f"prober: there is no version {number} of {label} (there are: {there})")
    labels = list(dict.fromkeys(kept.label for kept in baselines))
    if not labels:
        return UsageError(f"prober: there is no baseline {text!r}: none was recorded yet (prober baseline record)")
    more = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return UsageError(
        f"prober: there is no baseline {text!r}{suggest(text, labels)}; there are: {', '.join(labels[-_NAMED:])}{more}"
    )


def each_with(probers: Sequence[Prober], text: str) -> list[tuple[Prober, Kept]]:
    """Those of the probers that have this baseline, with it; those that have not are named on stderr.

    UsageError where none has it.
    """
    answers = each(probers, "asking", Prober.list)
    have = [(prober, kept) for prober, answer in zip(probers, answers, strict=True)
            if (kept := found(text, answer.baselines)) is not None]  # fmt: skip
    if not have:
        raise unknown(text, [kept for answer in answers for kept in answer.baselines])
    for prober in probers:
        if prober not in [one for one, _ in have]:
            print(f"prober: {prober.url} has no baseline {text!r}: left out", file=sys.stderr)
    return have
