"""What `prober try` shows, held against golden texts at several widths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from prober.cli.render import absent, show
from prober.model import Endpoint, Run
from prober.reasons import Family
from tests.cli.samples import URL, VANTAGE, expired, good, no_record, screen, silent, slow, written

GOLDEN = Path(__file__).parent / "golden"
V4, V6 = Family.IPV4, Family.IPV6
CASES: dict[str, list[Run]] = {
    "good": [good(V4), good(V6)],
    "slower": [good(V4), good(V6, 2.0)],
    "one_fails": [good(V4), expired(V6)],
    "both_fail": [expired(V4), expired(V6)],
    "fail_apart": [expired(V4), silent(V6)],
    "one_family": [good(V4)],
    "no_record": [good(V4), no_record(V6)],
    "over_budget": [slow(V4)],
}


def shown(runs: list[Run], width: int, encoding: str = "utf-8") -> str:
    view, file = screen(width, encoding=encoding)
    show(view, URL, runs, VANTAGE, absent(runs))
    return written(file)


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("name", CASES)
def test_the_view_is_the_golden_one(name: str, width: int) -> None:
    """To write the golden texts anew: delete them and run this test twice."""
    path = GOLDEN / f"{name}-{width}.txt"
    text = shown(CASES[name], width)
    if not path.exists():
        path.write_text(text)
        pytest.fail(f"{path.name} was not there; it is now: read it")
    assert path.read_text() == text


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("name", CASES)
def test_lines_fit_the_width_except_those_to_be_pasted_and_none_ends_in_spaces(name: str, width: int) -> None:
    lines = shown(CASES[name], width).splitlines()
    assert [line for line in lines if len(line) > width and not line.startswith("$ ")] == []
    assert [line for line in lines if line != line.rstrip()] == []


def test_bars_of_both_families_have_one_scale() -> None:
    """Twice the time is twice the bar."""
    bars = [line.count("█") for line in shown([good(V4), good(V6, 2.0)], 140).splitlines() if " tls " in line]
    assert bars[1] == pytest.approx(2 * bars[0], abs=1)


def test_what_redirects_led_to_stands_below_with_its_own_layers() -> None:
    away = Endpoint("http", "b", 80, shown="http://b/x")
    first, hop = good(V4), replace(good(V4), cell=replace(good(V4).cell, endpoint=away))
    above, _, below = shown([replace(first, hops=(hop,))], 100).partition("↪ http://b/x")
    assert above.count(" tcp ") == below.count(" tcp ") == 1


def test_in_a_pipe_there_is_no_colour() -> None:
    assert "\x1b" not in shown(CASES["one_fails"], 100)


def test_where_only_ascii_can_be_shown_columns_stay_where_they_are() -> None:
    plain = shown(CASES["one_fails"], 100, "ascii")
    full = shown(CASES["one_fails"], 100)
    assert [len(line) for line in plain.splitlines()] == [len(line) for line in full.splitlines()]
    assert "x IPv6 fails at tls (expired)." in plain
    assert plain.count("?") == full.count("?"), "a sign that has no ASCII form"


def test_on_a_terminal_a_failure_is_red() -> None:
    view, file = screen(100, terminal=True)
    show(view, URL, CASES["one_fails"], VANTAGE)
    assert "\x1b[1;31mexpired" in written(file)


def test_a_missing_family_is_no_failure_only_where_another_one_holds() -> None:
    assert absent([good(V4), no_record(V6)]) != []
    assert absent([expired(V4), no_record(V6)]) == []
    assert absent([no_record(V4), no_record(V6)]) == []
