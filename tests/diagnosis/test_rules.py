"""The rule tables, row by row: none is missing, none is empty, none leaves a gap, and no two say the same."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime

import pytest

from prober.diagnosis.beside import ADVICE
from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.diagnosis.row import Row
from prober.diagnosis.rules import RULES
from prober.model import Blame, Outcome, Run
from prober.reasons import COMMON_FAILURES, LADDERS, REASONS, Kind, Layer, Reason, Result
from tests.support.cells import make_cell

EVERY_REASON = [(layer, reason) for layer in Layer for reason in (*REASONS[layer], *COMMON_FAILURES)]
EVERY_ROW = [
    pytest.param(row, id=f"{row.layer}-{row.reason}-{i}")
    for rows in (*RULES.values(), tuple(ADVICE.values()))
    for i, row in enumerate(rows)
]
SCHEMES = {Kind.KUBERNETES: "https", Kind.HTTP: "https", Kind.GRPC: "grpcs"}
PUNCTUATION_GAP = re.compile(r"  | \.(?!\w)| [,:;]|\(\)|: ?\.|\bNone\b|[{}]|\[\]")


def bare_run(layer: Layer, reason: Reason) -> Run:
    """A run that failed at `layer` and left no evidence at all."""
    kind = next(kind for kind, layers in LADDERS.items() if layer in layers)
    cell = make_cell(kind, SCHEMES.get(kind, kind.value), "web.example", 8443, resource="/")
    return Run(cell, datetime.now(UTC), 0.2, (Outcome(layer, Result.FAILED, 0.1, reason),), False, Blame(layer, reason))


def texts(row: Row) -> tuple[str, str, str]:
    """The row's sentences, filled from a run that knows as little as possible."""
    facts = Facts(bare_run(row.layer, row.reason), row.layer)
    return row.says.format_map(facts), row.proves.format_map(facts), row.next_check.format_map(facts)


def test_every_reason_of_every_layer_has_its_rules_and_nothing_else_has() -> None:
    assert set(RULES) == set(EVERY_REASON)


@pytest.mark.parametrize(("layer", "reason"), EVERY_REASON)
def test_special_rules_come_first_and_the_last_one_always_holds(layer: Layer, reason: Reason) -> None:
    *special, last = RULES[(layer, reason)]
    assert last.when is None
    assert all(row.when is not None for row in special)


@pytest.mark.parametrize("row", EVERY_ROW)
def test_a_rule_says_one_whole_sentence_even_without_any_evidence(row: Row) -> None:
    says, proves, next_check = texts(row)
    assert says.endswith(".")
    assert not re.search(r"[.!?] [A-Z]", says), "one sentence"
    assert len(next_check) > 30
    assert not proves.endswith("."), "the full stop comes by itself"
    for text in (says, proves, next_check):
        assert not PUNCTUATION_GAP.search(text), text


@pytest.mark.parametrize("row", EVERY_ROW)
def test_a_rule_names_what_it_speaks_of(row: Row) -> None:
    """A sentence that could stand for any target helps nobody at night."""
    assert "{" in row.says or row.reason is Reason.NOT_PERMITTED


def test_no_two_rules_say_the_same() -> None:
    twice = [says for says, count in Counter(row.says for rows in RULES.values() for row in rows).items() if count > 1]
    assert twice == []


def test_every_code_is_given_by_some_rule() -> None:
    given = {row.code for rows in RULES.values() for row in rows} | {Code.EXPECTATION_MISSED}
    given |= {row.code for row in ADVICE.values()}
    assert given == set(Code)
