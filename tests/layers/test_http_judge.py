"""What an answer is worth, as a table: pure, no sockets."""

from __future__ import annotations

from decimal import Decimal

import pytest

from prober.layers.http.judge import complaint, status_matches
from prober.options import Expect
from prober.reasons import Reason
from prober.wire.http import Record


def record(status: int = 200, body: bytes = b"all is well", version: str = "1.1") -> Record:
    fields = [(b"server", b"nginx"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    return Record(limit=100, status=status, version=version, fields=fields, body=bytearray(body), size=len(body))


TABLE = [
    # expectation, answer → reason (None: it holds)
    ({}, record(200), None),
    ({}, record(204), None),
    ({}, record(302), None),
    ({}, record(399), None),
    ({}, record(400), Reason.STATUS),
    ({}, record(503), Reason.STATUS),
    ({}, record(101), Reason.STATUS),
    ({"status": (200,)}, record(200), None),
    ({"status": (200,)}, record(201), Reason.STATUS),
    ({"status": ("2xx", 404)}, record(404), None),
    ({"status": ("2XX",)}, record(299), None),
    ({"status": (200,)}, record(301), Reason.REDIRECT),
    ({"status": (200,)}, record(304), Reason.STATUS),
    ({"status": (301,)}, record(301), None),
    ({"status": ("5xx",)}, record(502), None),
    ({"http_version": "2"}, record(version="1.1"), Reason.VERSION),
    ({"http_version": "2"}, record(version="2"), None),
    ({"http_version": "1.1"}, record(version="1.0"), Reason.VERSION),
    ({"headers": {"Server": "^ng"}}, record(), None),
    ({"headers": {"server": "^apache"}}, record(), Reason.HEADER),
    ({"headers": {"x-missing": "."}}, record(), Reason.HEADER),
    ({"headers": {"Set-Cookie": "^b="}}, record(), None),
    ({"body_contains": "well"}, record(), None),
    ({"body_contains": "ill"}, record(body=b"sick"), Reason.BODY),
    ({"body_contains": "é"}, record(body="café".encode()), None),
    ({"body_not_contains": "error"}, record(), None),
    ({"body_not_contains": "well"}, record(), Reason.BODY),
    ({"body_matches": r"^all\s+is"}, record(), None),
    ({"body_matches": r"^is"}, record(), Reason.BODY),
    ({"status": (500,), "http_version": "2", "body_contains": "x"}, record(), Reason.STATUS),
    ({"http_version": "2", "headers": {"x": "."}}, record(), Reason.VERSION),
    ({"headers": {"x": "."}, "body_contains": "x"}, record(), Reason.HEADER),
]


@pytest.mark.parametrize(("expect", "answer", "reason"), TABLE)
def test_the_first_unmet_expectation_is_the_reason(
    expect: dict[str, object], answer: Record, reason: Reason | None
) -> None:
    failure = complaint(Expect.model_validate(expect), answer)
    assert (failure and failure.reason) == reason


def test_an_overlong_body_fails_unless_the_status_did() -> None:
    assert complaint(Expect(), record(), overlong=True).reason is Reason.BODY  # type: ignore[union-attr]  # it fails
    assert complaint(Expect(), record(500), overlong=True).reason is Reason.STATUS  # type: ignore[union-attr]  # same


def test_the_detail_says_what_came_and_what_was_expected() -> None:
    failure = complaint(Expect(status=(200, "3xx")), record(404))
    assert failure is not None
    assert failure.detail == "status 404, expected 200, 3xx"


@pytest.mark.parametrize(("status", "patterns", "matches"), [
    (200, (200,), True), (200, ("200",), True), (204, ("2xx",), True), (204, ("3xx", "4XX"), False), (404, (), False),
])  # fmt: skip
def test_a_status_matches_a_number_or_its_class(status: int, patterns: tuple[int | str, ...], matches: bool) -> None:
    assert status_matches(status, patterns) is matches


DOCUMENT = b"""{"status": "ok", "load": 0.1, "n": 3, "up": true, "none": null,
               "checks": [{"s": "up"}, {"s": "up!"}], "deep": {"a": [1, 2]}}"""

JSON_TABLE: list[tuple[dict[str, object], bool]] = [
    ({"$.status": "ok"}, True),
    ({"$.status": "OK"}, False),
    ({"$.load": Decimal("0.1"), "$.n": 3}, True),
    ({"$.n": Decimal("3.0")}, True),
    ({"$.n": "3"}, False),
    ({"$.up": True}, True),
    ({"$.up": 1}, False),
    ({"$.none": None}, True),
    ({"$.missing": None}, False),
    ({"$.missing": {"exists": False}}, True),
    ({"$.status": {"exists": False}}, False),
    ({"$.status": {"exists": True}}, True),
    ({"$.missing": {"exists": True}}, False),
    ({"$.checks[*].s": {"matches": "^up"}}, True),
    ({"$.checks[*].s": "up"}, False),
    ({"$.checks[?@.s == 'up'].s": "up"}, True),
    ({"$.n": {"matches": "^3$"}}, True),
    ({"$.deep": {"equals": {"a": [1, 2]}}}, True),
    ({"$.deep": {"equals": {"a": [1, True]}}}, False),
    ({"$.deep.a": [1, 2]}, True),
    ({"$.status": "ok", "$.n": 4}, False),
]


@pytest.mark.parametrize(("expect", "good"), JSON_TABLE)
def test_every_value_that_a_path_selects_has_to_be_as_expected(expect: dict[str, object], good: bool) -> None:
    failure = complaint(Expect.model_validate({"body_json": expect}), record(body=DOCUMENT))
    assert (failure is None) is good
    assert failure is None or failure.reason is Reason.BODY


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"NaN", b"[" * 100_000, b"\xff", b'{"a": 1} x'])
def test_a_body_that_is_no_json_is_called_that(body: bytes) -> None:
    failure = complaint(Expect.model_validate({"body_json": {"$.a": 1}}), record(body=body))
    assert failure is not None
    assert failure.detail.startswith("not JSON")


def test_what_was_there_instead_is_told_shortened() -> None:
    body = b'{"a": "' + b"x" * 500 + b'"}'
    failure = complaint(Expect.model_validate({"body_json": {"$.a": "y"}}), record(body=body))
    assert failure is not None
    assert failure.detail == f'$.a is "{"x" * 59}…, expected "y"'
