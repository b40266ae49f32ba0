"""Of several vantages that are slower what sets them apart: golden texts, and where nothing is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prober.baseline.compare import Comparison
from prober.baseline.values import HOUR, Recording, Size
from prober.cli.baseline.compared_json import as_json
from prober.cli.baseline.report import Report
from prober.cli.baseline.sentences import improved, sentences
from prober.cli.baseline.sides import Side
from tests.cli.baseline.test_compared import FAST, GOLDEN, LATER, SAME, SLOW, UNKNOWN, measured, shown
from tests.support.baselines import MONDAY, keys, origin

SIX = tuple(f"node-{letter}" for letter in "abcdef")


def upgraded(label: str, since: int, length: int, new: int) -> Side:
    """Six vantages, of which the first ones have a new kernel and kubelet."""
    until, recordings = float(since + length * HOUR), []
    for number, name in enumerate(SIX):
        kernel, kubelet = ("6.12.8-200", "v1.33.4") if number < new else ("6.8.0-45", "v1.32.9")
        about = {"kernel": kernel, "kubelet": kubelet}
        where = origin(name, "eu-1a" if number % 2 else "eu-1b", **about)
        recordings.append(Recording(label, where, float(since), until, until + 5.0, 1, {}))
    return Side(label if label == "now" else f"{label} v1", tuple(recordings))


def half(slow: tuple[str, ...] = SIX[:3], unknown: tuple[str, ...] = ()) -> Comparison:
    """Of six vantages these are slower in TLS."""
    known = [name for name in SIX if name not in unknown]
    rows = [measured(name, "tls", SLOW, 1.18) if name in slow else measured(name, "tls", SAME, 1.002)
            for name in known]  # fmt: skip
    rows += [measured(name, "tls", UNKNOWN, 1.0, why="few") for name in unknown]
    series = [replace(row, name=str(keys("tls")[0]), vantage=row.name, series=1) for row in rows]
    zones = (measured("eu-1a", "tls", SLOW, 1.06), measured("eu-1b", "tls", SLOW, 1.12))
    layers = (measured("all", "tcp", SAME, 1.001), measured("all", "tls", SLOW, 1.09))
    return Comparison(layers, {"node": tuple(rows), "zone": zones, "vantage": tuple(rows)}, tuple(series))


def apart() -> Report:
    return Report(upgraded("healthy", MONDAY, 36, 0), upgraded("now", LATER, 9, 3), half())


@pytest.mark.parametrize(("output", "name"), [("text", "baseline_apart-80.txt"), ("markdown", "baseline_apart.md")])
def test_what_is_shown_is_the_golden_one(output: str, name: str) -> None:
    """To write the golden texts anew: delete them and run this test twice."""
    path, text = GOLDEN / name, shown(apart(), output)
    if not path.exists():
        path.write_text(text)
        pytest.fail(f"{path.name} was not there; it is now: read it")
    assert path.read_text() == text
    assert output != "text" or max(map(len, text.splitlines())) <= 80


def test_json_has_both_sides_and_what_separates_them_equally_well() -> None:
    (told,) = as_json(apart())["regressions"]
    assert told["says"] == "tls 18 % slower on 3 of 6 vantages (3 of 6 series), on nodes with kernel 6.12"
    assert told["apart"] == {
        "says": "on nodes with kernel 6.12", "also": ["kubelet v1.33"], "vantages": list(SIX[:3]),
        "others": list(SIX[3:]),
    }  # fmt: skip


def test_vantages_that_nothing_separates_are_named() -> None:
    origins = apart().origins
    ((mixed, split),) = ((one.says, one.apart) for one in sentences(half((*SIX[:2], *SIX[4:])), origins))
    assert (mixed, split) == ("tls 18 % slower on nodes node-a, node-b, node-e and 1 more (4 of 6 series)", None)
    (alone,) = sentences(half(SIX[:1]), origins)
    assert (alone.says, alone.apart) == ("tls 18 % slower on node node-a (1 of 6 series)", None)
    (all_of_them,) = sentences(half(SIX), origins)
    assert (all_of_them.says, all_of_them.apart) == ("tls 18 % slower (6 of 6 series)", None)
    (nothing_known,) = sentences(half())
    assert nothing_known.apart is None


def test_vantages_of_which_nothing_is_known_are_on_no_side() -> None:
    (one,) = sentences(half(SIX[:2], unknown=SIX[2:4]), apart().origins)
    assert one.told("since noon") == (
        "tls 18 % slower on 2 of 4 vantages (2 of 4 series), since noon, on nodes with kernel 6.12"
    )


def test_a_vantage_with_one_slow_series_is_not_among_the_others() -> None:
    comparison, origins = half(SIX[:2]), apart().origins
    odd = replace(measured("x tls", "tls", SLOW, 1.3), vantage="node-c")
    (one,) = sentences(replace(comparison, series=(*comparison.series, odd)), origins)
    assert one.apart is not None
    assert [origin.vantage for origin in one.apart.some] == list(SIX[:3])


def test_what_got_faster_on_some_vantages_is_set_apart_too() -> None:
    slower = half()
    rows = tuple(
        replace(row, finding=FAST, change=Size(0.82, 0.8, 0.84)) if row.finding is SLOW else row
        for row in slower.parts["vantage"]
    )
    faster = Comparison((measured("all", "tls", FAST, 0.9),), {"vantage": rows}, ())
    (one,) = improved(faster, apart().origins)
    assert one.told("") == "tls 18 % faster on 3 of 6 vantages, on nodes with kernel 6.12"
