"""What makes a path another one, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prober.engine.baselines.settings import settings_of
from prober.model import Endpoint
from prober.options import BasicAuth, Expect, KindOptions
from prober.reasons import Family, Kind
from tests.support.cells import make_cell

CELL = make_cell(Kind.HTTP, "https", "web.example", options={"http": {"bearer": "s3cret-token"}})
BASIC = BasicAuth(username="u", password="p")


@pytest.mark.parametrize("change", [
    {"endpoint": replace(CELL.endpoint, port=8443)},
    {"endpoint": replace(CELL.endpoint, connect=("10.0.0.1", 443))},
    {"endpoint": replace(CELL.endpoint, proxy=Endpoint("http", "proxy", 3128, basic=BASIC))},
    {"family": Family.IPV6},
    {"kind": Kind.TLS},
    {"options": KindOptions.model_validate({"http": {"bearer": "s3cret-token", "version": "2"}})},
    {"options": KindOptions.model_validate({"http": {"bearer": "s3cret-token"}, "resolver": {"ndots": 1}})},
    {"expect": Expect(body_contains="ok")},
])  # fmt: skip
def test_another_way_has_another_hash(change: dict[str, Any]) -> None:
    assert settings_of(replace(CELL, **change)) != settings_of(CELL)


@pytest.mark.parametrize("change", [
    {"probe": "p"}, {"target": "t"}, {"path": "service"},
    {"interval": 60.0}, {"timeout": 9.0}, {"baseline": False},
    {"budget": {"tcp": 1.0}}, {"quantile_budget": {"tcp": {"p99": 1.0}}},
    {"endpoint": replace(CELL.endpoint, shown="https://${HOST}/")},
    {"options": KindOptions.model_validate({"http": {"bearer": "s3cret-token", "version": "auto"}})},
])  # fmt: skip
def test_a_name_a_limit_or_a_default_written_down_changes_nothing(change: dict[str, Any]) -> None:
    assert settings_of(replace(CELL, **change)) == settings_of(CELL)


def test_a_password_that_is_renewed_changes_nothing_where_it_is_a_variable() -> None:
    def cell(token: str) -> Any:
        options = KindOptions.model_validate({"http": {"bearer": token}})
        return replace(CELL, options=options, hidden={token: "${TOKEN}"})

    assert settings_of(cell("first-token")) == settings_of(cell("second-token"))
    assert settings_of(cell("first-token")) != settings_of(replace(cell("x-other-token"), hidden={}))


def test_the_hash_is_the_same_for_ever() -> None:
    """It is compared with those of recordings that are years old: another one is another path for everybody."""
    assert settings_of(make_cell(Kind.TCP, "tcp", "192.0.2.7", 443)) == "e3b44e00c616033f"
