"""The sides of a comparison: what a word on the command line means, and the recordings behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prober.baseline.file import BadFile, read_all
from prober.baseline.labels import NOW, versioned
from prober.baseline.values import BLOCK, Recording
from prober.cli.asking import NoAnswer
from prober.cli.baseline.moments import told
from prober.cli.baseline.probers import Prober, each, each_with
from prober.cli.configured import UsageError

#: What an exported baseline is called at the end.
SUFFIX = ".baseline"


class Nothing(Exception):
    """There is nothing to compare or to show; the text says what is missing, for people."""


@dataclass(frozen=True, slots=True)
class Side:
    """Recordings of one or several vantages: a baseline, or what was measured in a window."""

    name: str
    """`cilium-1.17.3 v1`, `now`, `until 26 Nov 14:20 UTC`."""
    recordings: tuple[Recording, ...]

    @property
    def since(self) -> float:
        """Unix seconds: the earliest."""
        return min(one.since for one in self.recordings)

    @property
    def until(self) -> float:
        """Unix seconds: the latest."""
        return max(one.until for one in self.recordings)

    @property
    def vantages(self) -> tuple[str, ...]:
        """Where it was recorded."""
        return tuple(dict.fromkeys(one.origin.vantage for one in self.recordings))

    @property
    def about(self) -> dict[str, tuple[str, ...]]:
        """What ran then: each annotation with its values, of which several vantages may have several."""
        found: dict[str, dict[str, None]] = {}
        for one in self.recordings:
            for key, value in one.origin.about.items():
                found.setdefault(key, {})[value] = None
        return {key: tuple(sorted(values)) for key, values in sorted(found.items())}


def is_file(text: str) -> bool:
    """It means a file: a path, the name of an exported baseline, or of a file that is here."""
    return "/" in text or text.endswith(SUFFIX) or Path(text).is_file()


def side_of(text: str, probers: Sequence[Prober], since: float | None = None, until: float | None = None) -> Side:
    """What a label, `label@2`, a file or `now` stands for; `since` and `until` are the window of `now`.

    UsageError: there is no such thing. Nothing: nothing was measured in that window.
    """
    if is_file(text):
        recordings = from_file(Path(text))
        if any(one.label == NOW for one in recordings):  # windows of several files are told apart by their names
            return Side(Path(text).name, recordings)
    elif text == NOW:
        return window_of(NOW, probers, since, until)
    else:
        have = dict(each_with(probers, text))
        recordings = joined(list(have), lambda prober: prober.export(have[prober]))
    return Side(", ".join(dict.fromkeys(_name(one) for one in recordings)), recordings)


def window_of(name: str, probers: Sequence[Prober], since: float | None, until: float | None) -> Side:
    """What was measured in a window at all of them. Nothing: not by one of them."""
    found = joined(probers, lambda prober: prober.export_now(since, until))
    recordings = tuple(_measured(one) for one in found if one.series)
    if not recordings:
        span = f"from {told(min(one.since for one in found))} to {told(max(one.until for one in found))}"
        raise Nothing(f"nothing was measured {span} (latencies are kept by the whole hour)")
    return Side(name, recordings)


def _measured(recording: Recording) -> Recording:
    """With the window that there are hours of: what was asked for may reach beyond what is remembered."""
    hours = [hour for held in recording.series.values() for hour in (held[0], held[-1])]
    since = min(hour.start for hour in hours)
    until = max(hour.start + hour.covered.bit_length() * BLOCK for hour in hours)
    return replace(recording, since=max(recording.since, since), until=min(recording.until, until))


def from_file(path: Path) -> tuple[Recording, ...]:
    """The recordings of an exported file. UsageError: it is not there, or something is wrong with it."""
    try:
        return read_all(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"prober: {path} can't be read: {error.strerror} (a label has no slash, and is no file)"
        ) from None
    except BadFile as error:
        raise UsageError(f"prober: {path} is no baseline: {error}") from None


def joined(probers: Sequence[Prober], export: Callable[[Prober], bytes]) -> tuple[Recording, ...]:
    """The recordings that each of them exports. NoAnswer where it is something else."""
    return tuple(one for those in each(probers, "fetching", lambda it: read(it, export(it))) for one in those)


def read(prober: Prober, data: bytes) -> tuple[Recording, ...]:
    """What a prober has exported. NoAnswer where it is something else: cut on its way, for one."""
    try:
        return read_all(data)
    except BadFile as error:
        raise NoAnswer(prober.url, f"what it exports is no baseline: {error}") from None


def _name(recording: Recording) -> str:
    return versioned(recording.label, recording.version)
