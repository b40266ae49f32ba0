"""Two probers with a store of their own, which answer over HTTP, and what asks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest

from prober.baseline.values import HOUR
from prober.cli.main import main
from tests.support.baselines import MONDAY, Ask, Kept, Said, measured, probing
from tests.support.zones import local_time


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    yield from local_time(monkeypatch, "UTC0")


def asking(probers: Sequence[Kept], capsys: pytest.CaptureFixture[str]) -> Ask:
    def run(*words: str, only: Sequence[Kept] | None = None) -> Said:
        chosen = probers if only is None else only
        code = main(["baseline", *words, *(part for one in chosen for part in ("--url", one.url))])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@contextmanager
def two() -> Iterator[list[Kept]]:
    with ExitStack() as stack:
        places = (("node-a", "eu-1a"), ("node-b", "eu-1b"))
        yield [stack.enter_context(probing(measured(*place))) for place in places]


@pytest.fixture
def probers() -> Iterator[list[Kept]]:
    """Two that have no baseline yet."""
    with two() as fresh:
        yield fresh


@pytest.fixture
def ask(probers: list[Kept], capsys: pytest.CaptureFixture[str]) -> Ask:
    return asking(probers, capsys)


@pytest.fixture(scope="module")
def known() -> Iterator[list[Kept]]:
    """Two that have one, the same for all tests: nobody changes anything at them."""
    with two() as kept:
        for one in kept:
            since, until = float(MONDAY), float(MONDAY + 48 * HOUR)
            one.store.record("cilium-1.17.3", since, until, one.origin, one.settings).result()
        yield kept


@pytest.fixture
def look(known: list[Kept], capsys: pytest.CaptureFixture[str]) -> Ask:
    return asking(known, capsys)
