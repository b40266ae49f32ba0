"""`prober baseline compare`: exit codes, sides, and that there is something to compare."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from prober.baseline.values import HOUR
from prober.cli.baseline import compare as compare_module
from tests.support.baselines import AT, FOUND, LATER, MONDAY, WINDOW, Ask, Kept


def test_an_unknown_label_is_answered_with_those_that_there_are(look: Ask) -> None:
    code, out, err = look("compare", "cilium-1.18")
    assert (code, out) == (2, "")
    assert "no baseline 'cilium-1.18' (did you mean cilium-1.17.3?); there are: cilium-1.17.3" in err
    assert "there is no version 7 of cilium-1.17.3 (there are: 1)" in look("show", "cilium-1.17.3@7")[2]


def test_a_vantage_without_the_baseline_is_left_out_and_named(ask: Ask, probers: list[Kept]) -> None:
    ask("record", "--label", "healthy", *WINDOW, only=probers[:1])
    code, out, err = ask("compare", "healthy", *LATER)
    assert code == 1
    assert err == f"prober: {probers[1].url} has no baseline 'healthy': left out\n"
    assert "before  healthy v1 at node-a\n" in out


def test_a_regression_is_exit_code_1_and_named_with_its_place(look: Ask) -> None:
    code, out, err = look("compare", "cilium-1.17.3", "now", *LATER)
    assert (code, err) == (1, "")
    assert FOUND.search(out)


def test_where_nothing_changed_the_exit_code_is_0(look: Ask) -> None:
    code, out, _ = look("compare", "cilium-1.17.3", "--from", "2026-01-06T00:00Z", "--to", AT)
    assert code == 0
    assert "✓ Nothing is worse.\n" in out


def test_before_and_after_a_moment_need_no_baseline(look: Ask) -> None:
    code, out, _ = look("compare", "--at", AT)
    assert code == 1
    assert "before  until 7 Jan 02:00 UTC at 2 vantages\n        5 Jan 00:00 – 7 Jan 02:00 2026 UTC (2 days)\n" in out
    assert "after   since 7 Jan 02:00 UTC at 2 vantages\n        7 Jan 02:00 – 7 Jan 12:00 2026 UTC (10 h)\n" in out


def test_what_lies_between_the_begin_and_the_end_of_a_change_counts_for_neither_side(look: Ask) -> None:
    words = ("--before", "2026-01-07T01:00Z", "--after", "2026-01-07T04:00Z", "--window", "6h", "--past", "30h")
    shown = json.loads(look("compare", *words, "-o", "json")[1])
    window = [
        (side["recordings"][0]["since"], side["recordings"][0]["until"]) for side in (shown["before"], shown["after"])
    ]
    assert window == [
        ("2026-01-05T19:00:00.000000Z", "2026-01-07T01:00:00.000000Z"),
        ("2026-01-07T04:00:00.000000Z", "2026-01-07T10:00:00.000000Z"),
    ]


def test_now_is_the_last_six_hours(look: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare_module, "time", SimpleNamespace(time=lambda: float(MONDAY + 60 * HOUR)))
    shown = json.loads(look("compare", "cilium-1.17.3", "-o", "json")[1])
    assert shown["after"]["recordings"][0]["since"] == "2026-01-07T06:00:00.000000Z"
    shown = json.loads(look("compare", "cilium-1.17.3", "--window", "2h", "-o", "json")[1])
    assert shown["after"]["recordings"][0]["since"] == "2026-01-07T10:00:00.000000Z"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--at", "2026-01-05T10:00Z"), "10.0 h were measured, a baseline needs 24 h (so it is with 16 of 16 series)"),
        (("--at", "2026-01-07T11:30Z"), "the first whole hour after 7 Jan 11:30"),
        (("--at", "2025-12-01"), "nothing was measured from 24 Nov 00:00 to 1 Dec 00:00"),
        (("cilium-1.17.3", "now"), "nothing was measured from"),
    ],
)
def test_where_there_is_nothing_to_compare_with_the_exit_code_is_3(
    words: tuple[str, ...], said: str, look: Ask
) -> None:
    code, out, err = look("compare", *words)
    assert (code, out) == (3, "")
    assert err.startswith("prober: nothing to compare with: ")
    assert said in err


def test_bars_are_drawn_for_whoever_watches_and_never_on_stdout(look: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = look("compare", "cilium-1.17.3", *LATER, "-o", "json")
    assert quiet[2] == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    watched = look("compare", "cilium-1.17.3", *LATER, "-o", "json")
    assert watched[:2] == quiet[:2]
    assert "comparing" in watched[2]
