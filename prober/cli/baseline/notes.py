"""What is worth saying beside the rows of a comparison: what was left out, what runs now, what to do next. Pure."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence

from prober.baseline.compare import Finding
from prober.baseline.labels import NOW
from prober.baseline.store.kinds import DAY
from prober.baseline.values import HOUR
from prober.cli.baseline.report import Report
from prober.cli.baseline.sentences import Sentence, improved, named, sentences, worst_first

#: Series that are named.
_NAMED = 3
#: Hours from which the swing of a day is known well enough.
_GOOD = 36
#: Kinds of parts to look at, the most telling first.
_DRILL = ("node", "zone", "path", "family", "target", "vantage")


def left_out(report: Report) -> list[str]:
    """Series that were not compared, and why."""
    whys = Counter(row.why for row in report.comparison.series if row.finding is Finding.UNKNOWN)
    found = [f"{_series(count)} not compared: {why}" for why, count in whys.most_common()]
    gone, new = report.one_sided
    if gone:
        found.append(f"{_series(gone)} only in {report.before.name}")
    if new:
        found.append(f"{_series(new)} only in {report.after.name}")
    return found


def too_short(report: Report) -> list[str]:
    """That the daily swing is not known well enough for a part of a day to be held against it."""
    hours = min(one.until - one.since for one in report.before.recordings) / HOUR
    if hours >= _GOOD or report.after.until - report.after.since >= DAY:
        return []
    return [
        f"only {hours:.0f} h were measured before: the swing of a day is hardly known, the intervals are too narrow"
    ]


def by_chance(report: Report) -> list[str]:
    """Series that look worse, but no further than some of so many do when nothing has happened."""
    rows = [row for row in worst_first(report.comparison.series) if row.bad and not row.sure]
    if not rows:
        return []
    whole, names = len(report.comparison.series), named(report.comparison, rows)
    listed = ", ".join(f"{row.layer} {name}" for row, name in zip(rows[:_NAMED], names, strict=False))
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return [f"{len(rows)} of {whole} series look worse, no further than some of so many always do: {listed}{more}"]


def changed_about(report: Report) -> list[tuple[str, str, str]]:
    """Annotations that both sides have, and that differ: key, before, after."""
    before, after = report.before.about, report.after.about
    return [
        (key, ", ".join(before[key]), ", ".join(after[key]))
        for key in before
        if key in after and before[key] != after[key]
    ]


def next_steps(report: Report) -> list[str]:
    """What to do now: at most three things."""
    if not report.steps:
        return []
    found = sentences(report.comparison, report.origins)
    if not found:
        return _when_well(report)
    steps = []
    if any(one.finding is Finding.FAILING for one in found):
        steps.append(f"why it fails: {_command('explain', report.urls[:1])}")
    if drill := _drill(report, found):
        steps.append(f"where else: the same with --by {drill}")
    elif "series" not in report.by:
        steps.append("which series: the same with --by series")
    if changed := changed_about(report):
        what = ", ".join(f"{key} {was} → {now}" for key, was, now in changed)
        steps.append(f"what else changed: {what}")
    return steps


def _when_well(report: Report) -> list[str]:
    label, versions = report.after.recordings[0].label, {one.version for one in report.after.recordings}
    if label != NOW:
        if len(versions) == 1:  # the newest one may be another
            label = f"{label}@{versions.pop()}"
        return [f"to watch by it: {_command('baseline accept', report.urls, label)}"]
    if improved(report.comparison, report.origins):
        return [f"to hold on to it, after a day or more: {_command('baseline record --label LABEL', report.urls)}"]
    return []


def _drill(report: Report, found: list[Sentence]) -> str:
    """A kind of part that there are several of, that was not asked for, and that does not tell already."""
    told = {kind for one in found for kind in one.places}
    return next((kind for kind in _DRILL if kind in report.comparison.parts and kind not in {*told, *report.by}), "")


def _command(command: str, urls: Sequence[str], *words: str) -> str:
    urls = [part for url in urls for part in ("--url", url)]
    return shlex.join(["prober", *command.split(), *words, *urls])


def _series(count: int) -> str:
    return f"{count} series"
