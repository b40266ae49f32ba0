"""How an upgrade is told: golden texts, and the order of what the headline says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prober.baseline.rolling import Alarmed, Share, Standing, View
from prober.baseline.values import BLOCK, Direction, Level, Size
from prober.cli.watch.machine import markdown
from prober.cli.watch.picture import Picture, headline
from prober.cli.watch.sides import Moved, Side
from prober.cli.watch.table import Lines, table
from tests.baseline.made import MONDAY
from tests.cli.samples import screen, written

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = [f"node-{number:02}" for number in range(16)]
NOW = MONDAY + 60 * 3600.0


def standing(view: View, ratio: float, found: Alarmed | None = None, *, blocks: int = 19, failed: int = 12) -> Standing:
    size = Size(ratio, ratio - 0.008, ratio + 0.008) if blocks else None
    shares = Share(failed, 9_600), Share(9, 9_500)
    side = ratio + 0.001 if blocks else np.nan
    return Standing(view, blocks, side, 1.001 if blocks else np.nan, size, found, 1.021 if blocks else np.inf, shares)


def alarmed(level: Level, direction: Direction = Direction.REGRESSED, hours: float = 3.0) -> Alarmed:
    return Alarmed(level, direction, NOW - hours * 3600, NOW - 3600)


def picture() -> Picture:
    standings = (
        standing(View("http", False), 1.0, blocks=0, failed=0),
        standing(View("tcp", False), 1.031, alarmed(Level.CONFIRMED), failed=280),
        standing(View("dns", False), 1.001),
        standing(View("tls", False), 1.004),
        standing(View("tcp", False, "path", "pod"), 1.034, alarmed(Level.CONFIRMED)),
        standing(View("tcp", False, "path", "service"), 1.02),
        standing(View("tls", False, "family", "ipv6"), 0.93, alarmed(Level.SUSPECT, Direction.IMPROVED, 30)),
    )
    return Picture(
        "cilium 1.17→1.18", NOW - 3.5 * 3600, NOW, int(NOW) - BLOCK, frozenset(NAMES[:8]), frozenset(NAMES[8:]),
        "kernel 6.12 against 6.8; kubelet the same", standings, (Moved("node-07", Side.CONTROL, Side.CHANGED),),
        ("on neither side: node-20",),
    )  # fmt: skip


def shown(output: str) -> str:
    if output.endswith(".md"):
        return markdown(picture())
    view, file = screen(int(re.findall(r"\d+", output)[0]))
    if output.startswith("watch_lines"):
        lines = Lines(view)
        lines.tell(picture())
        lines.tell(replace(picture(), moved=()))
    else:
        view.show(table(view, picture(), ends="Ctrl-C ends"))
    return written(file)


@pytest.mark.parametrize("name", ["watch-80.txt", "watch-100.txt", "watch-140.txt", "watch_lines-100.txt", "watch.md"])
def test_what_is_shown_is_the_golden_one(name: str) -> None:
    """To write the golden texts anew: delete them and run this test twice."""
    path, text = GOLDEN / name, shown(name)
    if not path.exists():
        path.write_text(text)
        pytest.fail(f"{path.name} was not there; it is now: read it")
    assert path.read_text() == text
    if not name.startswith("watch_lines") and name.endswith(".txt"):
        assert max(map(len, text.splitlines())) <= int(name[6:-4])
        assert [line for line in text.splitlines() if line != line.rstrip()] == []


def test_what_is_not_figures_is_wrapped_and_not_cut_on_a_narrow_terminal() -> None:
    note = "only 20 h were measured before the change: the intervals are narrower than they should be"
    differ = "zone eu-1a against eu-1b (1), eu-1c (1); kernel and kubelet are the same"
    view, file = screen(50)
    view.show(table(view, replace(picture(), differ=differ, notes=(note,))))
    text = written(file)
    assert max(map(len, text.splitlines())) <= 50
    words = " ".join(text.split())
    assert note in words
    assert differ in words


def test_the_headline_has_what_is_sure_first_then_what_is_not_then_what_is_as_before() -> None:
    assert headline(picture()) == (
        "tcp 3.1 % slower on the changed nodes since 09:00 (2.3–3.9 %), confirmed; "
        "tls of family ipv6 7.0 % faster on the changed nodes since 6 Jan 06:00 (6.2–7.8 %), suspected; "
        "tcp fails in 2.9 % of the runs on the changed nodes, in 0.09 % on the control; "
        "dns as before; http not compared yet"
    )
