"""The live summary of the demo: its table at several sizes, and its lines where there is no terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from prober.cli.summary import Summary
from prober.engine.board import Board
from prober.model import Cell, Run
from prober.options import Expect
from prober.reasons import Family, Kind, Layer, Reason
from tests.cli.samples import a_run, expired, good, screen, written
from tests.support.cells import make_cell

V4, V6 = Family.IPV4, Family.IPV6


def board_of(*runs: Run, waiting: Sequence[Cell] = ()) -> Board:
    board = Board()
    board.set_cells([*(run.cell for run in runs), *waiting])
    for run in runs:
        board.post(run.cell, (run,))
    return board


def table(board: Board, width: int = 120, faults: Sequence[str] = ()) -> list[str]:
    view, _ = screen(width)
    return [line.rstrip() for line in Summary(view, board, lambda: faults).table().plain.splitlines()]


def test_each_cell_is_a_row_with_its_layers_in_columns_and_its_blame() -> None:
    head, first, second, _, totals = table(board_of(good(V4), expired(V6)), faults=["tls-expired"])
    assert head.split() == ["cell", "ip", "dns", "icmp/tcp", "proxy", "tls", "http/grpc", "since", "blame"]
    assert first.startswith("✓ web/web-api/ingress ")
    assert " ".join(first.split()[2:-2]) == "4 1.1 ms 300 µs 12.2 ms 17.3 ms"
    assert second.startswith("✗ web/web-api/ingress ")
    assert second.endswith("  tls expired")
    assert " 14.0 ms         · " in second
    assert totals == "1 ok, 1 failed · faults on: tls-expired · Ctrl-C stops"


def test_a_cell_that_was_not_climbed_yet_is_neither_ok_nor_failed() -> None:
    *_, totals = table(board_of(waiting=[good(V4).cell]))
    assert totals == "0 ok, 0 failed, 1 not climbed yet · no fault on · Ctrl-C stops"


def test_an_expected_failure_is_a_success() -> None:
    cell = make_cell(Kind.TCP, "tcp", "10.0.0.9", 5432, expect=Expect(failed=Layer.TCP))
    run = a_run(cell, "10.0.0.9", dns=(Reason.LITERAL, None, {}), tcp=(Reason.REFUSED, 0.0003, {}))
    view, file = screen(terminal=True)
    view.show(Summary(view, board_of(run), list).table())
    assert "\x1b[32m   300 µs" in written(file)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_row_is_wider_than_the_terminal(width: int) -> None:
    run = good(V4)
    long = replace(run, cell=replace(run.cell, target="a-target-with-a-very-long-name-that-nobody-would-choose" * 2))
    lines = table(board_of(long, expired(V6)), width)
    assert max(map(len, lines)) <= width
    assert "…" in lines[1]


def test_failing_cells_come_first_where_not_all_of_them_fit() -> None:
    runs = [replace(good(V4), cell=replace(good(V4).cell, probe=f"p{number}")) for number in range(40)]
    lines = table(board_of(*runs, expired(V6)))  # the screen of the tests has 25 lines
    assert lines[1].startswith("✗ web/web-api/ingress")
    assert any(line.startswith("  and ") and line.endswith(" more") for line in lines)
    assert len(lines) <= 25


async def test_without_a_terminal_there_is_a_count_at_first_and_then_a_line_for_each_change() -> None:
    view, file = screen()
    board = board_of(good(V4), waiting=[expired(V6).cell])
    summary = Summary(view, board, list)
    summary.tell()
    assert written(file) == ""
    board.post(expired(V6).cell, (expired(V6),))
    summary.tell()
    summary.tell()
    count, failure = written(file).splitlines()
    assert count == "1 ok, 1 failed · no fault on · Ctrl-C stops"
    assert failure.endswith("✗ web/web-api/ingress/ipv6  tls expired")
    board.post(expired(V6).cell, (replace(good(V6), cell=expired(V6).cell),))
    summary.tell()
    assert written(file).splitlines()[2].endswith("✓ web/web-api/ingress/ipv6  ok")


async def test_the_summary_ends_when_it_is_told_to() -> None:
    view, file = screen(terminal=True)
    stop = asyncio.Event()
    showing = asyncio.create_task(Summary(view, board_of(good(V4)), list).show(stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(showing, 5)
    assert "web-api" in written(file)
