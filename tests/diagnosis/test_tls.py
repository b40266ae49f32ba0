"""What is said of TLS failures: the sentence names what the evidence knows, and the next check fits it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prober.diagnosis.codes import Code
from prober.diagnosis.run import explain
from prober.model import Blame, Outcome, Run
from prober.reasons import Kind, Layer, Reason, Result
from tests.support.cells import make_cell

NOW = datetime(2026, 11, 26, tzinfo=UTC)
OLD, YOUNG = ((NOW + timedelta(days=days)).isoformat() for days in (-3, 60))
CHAIN = [{"subject": "api.example.com", "not_after": YOUNG}, {"subject": "Old CA", "not_after": OLD}]


def says(reason: Reason, evidence: dict[str, Any], **tls: object) -> tuple[str, str, str]:
    cell = make_cell(Kind.TLS, "tls", "api.example.com", 443, options={"tls": tls})
    outcome = Outcome(Layer.TLS, Result.FAILED, 0.01, reason, evidence)
    verdict = explain(Run(cell, NOW, 0.02, (outcome,), False, Blame(Layer.TLS, reason), "203.0.113.10", 443))
    assert verdict is not None
    return verdict.code, verdict.says, verdict.next_check


@pytest.mark.parametrize(
    ("reason", "evidence", "tls", "code", "words"),
    [
        (Reason.EXPIRED, {"days_left": 60.0, "chain": CHAIN}, {}, Code.CERTIFICATE_EXPIRED,
         "but the chain that its server sends holds one that has expired: Old CA, valid until 2026-11-23."),
        (Reason.EXPIRED, {"days_left": -3.0, "not_after": OLD, "subject": "x"}, {}, Code.CERTIFICATE_EXPIRED,
         "has expired: x was valid until 2026-11-23, 3 days ago."),
        (Reason.EXPIRES_SOON, {"detail": "9.5 days are left, at least 14 are asked for"}, {"min_days_left": 14},
         Code.CERTIFICATE_EXPIRES_SOON, "ends too soon: 9.5 days are left, at least 14 are asked for."),
        (Reason.REVOKED, {"issuer": "R1", "ocsp": {"status": "revoked", "revoked_at": OLD, "reason": "keyCompromise"}},
         {}, Code.CERTIFICATE_REVOKED, "was revoked by R1 on 2026-11-23 (keyCompromise): so says the OCSP response"),
        (Reason.NO_STAPLE, {"ocsp": {"error": "the server staples none"}}, {"staple": "required"},
         Code.STAPLE_MISSING, "its certificate is good: the server staples none."),
        (Reason.NO_STAPLE, {"ocsp": {"status": "unknown"}}, {"staple": "required"}, Code.STAPLE_MISSING,
         "its certificate is good: its status is unknown."),
        (Reason.NOT_TLS, {"detail": "it answered: 454 no"}, {"starttls": "smtp"}, Code.STARTTLS_REFUSED,
         "203.0.113.10:443 does not begin TLS in the words of smtp: it answered: 454 no."),
        (Reason.NOT_TLS, {}, {}, Code.NOT_TLS, "What answers at 203.0.113.10:443 does not speak TLS."),
    ],
)  # fmt: skip
def test_the_sentence_names_what_was_seen(
    reason: Reason, evidence: dict[str, Any], tls: dict[str, Any], code: Code, words: str
) -> None:
    given, sentence, _ = says(reason, evidence, **tls)
    assert given == code
    assert words in sentence
