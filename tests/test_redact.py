"""Hidden values: where they are replaced, and in which order."""

from __future__ import annotations

import pytest

from prober.redact import redact, redact_text


@pytest.mark.parametrize(
    ("text", "hidden", "shown"),
    [
        ("xlong-secret-1x", {"long-secret-1": "${A}"}, "x${A}x"),
        ("k=abc and abcd", {"abc": "${A}"}, "k=${A} and abcd"),
        ("a\\d+ b", {"a\\d+": "${A}"}, "${A} b"),
        ("secret-12-and-more", {"secret-12": "${A}", "secret-12-and-more": "${B}"}, "${B}"),
    ],
    ids=["long values anywhere", "short ones as words", "nothing is a pattern", "the longest first"],
)
def test_hidden_values_are_replaced(text: str, hidden: dict[str, str], shown: str) -> None:
    assert redact_text(text, hidden) == shown


def test_evidence_is_redacted_however_deep_it_nests_and_keys_stay() -> None:
    hidden = {"long-secret-1": "${A}"}
    evidence = {"a": ["long-secret-1", {"b": "is long-secret-1", "long-secret-1": 1}], "n": 2}
    assert redact(evidence, hidden) == {"a": ["${A}", {"b": "is ${A}", "long-secret-1": 1}], "n": 2}


def test_what_would_steer_a_terminal_is_taken_out_of_what_the_far_side_sent() -> None:
    evidence = {
        "subject": "evil \x1b[31mRED\x1b]0;title\x07",
        "chain": [{"issuer": "a\u202eb\x9b1m"}],
        "name": "Müller ✓",
    }
    assert redact(evidence, {}) == {
        "subject": "evil ?[31mRED?]0;title?",
        "chain": [{"issuer": "a?b?1m"}],
        "name": "Müller ✓",
    }
