"""What is asked of the API server for the sake of a sentence: seldom, for a reason, and without waiting for long."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from prober.engine.baselines import surroundings as under_test
from prober.engine.baselines.surroundings import AGAIN, Surroundings
from prober.kubernetes.api import ApiAccess
from tests.baseline.test_sentences import ONE, told
from tests.kubernetes.samples import NODES, url_of
from tests.support.api_server import ApiServer, node

ZONE = "topology.kubernetes.io/zone"
OF_A_NODE, OF_A_CELL = [told(replace(ONE, node="n0"))], [told(), told("tcp all")]


class Asked(Surroundings):
    """`now` is what its clock says."""

    def __init__(self, url: str) -> None:
        self.now = 0.0
        super().__init__(lambda: ApiAccess.from_url(url), lambda: self.now)


@pytest.fixture
def api() -> ApiServer:
    made = ApiServer()
    made.objects[NODES] = [
        node(f"n{number}", labels={ZONE: zone}, kernelVersion="6.12.5" if number % 2 else "6.8.0")
        for number, zone in enumerate(["eu-1a"] * 3 + ["eu-1b"] * 3)
    ]
    return made


@pytest.fixture
async def asked(api: ApiServer) -> AsyncIterator[Asked]:
    async with api.serving() as server:
        made = Asked(url_of(server))
        yield made
        await made.close()


async def test_nodes_are_asked_for_where_a_change_is_of_some_and_not_again_for_ten_minutes(
    asked: Asked, api: ApiServer
) -> None:
    assert await asked.of(OF_A_CELL) is None
    assert api.requests == []
    known = await asked.of(OF_A_NODE)
    assert known is not None
    assert known.zones == {f"n{number}": "eu-1a" if number < 3 else "eu-1b" for number in range(6)}
    assert known.separates(frozenset({"n1", "n3", "n5"}), frozenset({"n0", "n2"})) == "on nodes with kernel 6.12"
    assert known.separates(frozenset({"n1"}), frozenset({"n0", "n2"})) == ""
    asked.now = AGAIN - 1
    assert await asked.of(OF_A_NODE) is known
    assert len(api.requests) == 1
    asked.now = AGAIN
    assert await asked.of(OF_A_NODE) is not known
    assert len(api.requests) == 2


async def test_nodes_without_endpoints_by_now_are_none_of_the_others(asked: Asked) -> None:
    """n1 has the kernel of the slower ones, so nothing separates them, but no runs went to it lately."""
    slow, others = frozenset({"n3", "n5"}), frozenset({"n0", "n1", "n2", "n4"})
    known = await asked.of(OF_A_NODE)
    assert known is not None
    assert known.separates(slow, others) == ""
    asked.see([*(replace(ONE, node=f"n{number}") for number in (0, 2, 3, 4, 5)), ONE])
    assert known.separates(slow, others) == "on nodes with kernel 6.12"
    asked.now = AGAIN
    known = await asked.of(OF_A_NODE)
    assert known is not None
    assert known.separates(slow, others) == "on nodes with kernel 6.12"


async def test_pages_are_small_for_the_loop_waits_while_one_is_read(asked: Asked, api: ApiServer) -> None:
    api.objects[NODES] = [node(f"n{number:03}") for number in range(120)]
    known = await asked.of(OF_A_NODE)
    assert known is not None
    assert (len(known.nodes), len(api.requests)) == (120, 3)


async def test_a_refusal_leaves_the_names_and_is_said_once_at_debug(
    asked: Asked, api: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    api.refuse = 403, "nodes is forbidden"
    with caplog.at_level(logging.DEBUG, under_test.__name__):
        assert await asked.of(OF_A_NODE) is None
        assert await asked.of(OF_A_NODE) is None
        assert len(api.requests) == 1
        asked.now = AGAIN
        assert await asked.of(OF_A_NODE) is None
    assert len(api.requests) == 2
    assert [(one.levelname, "nodes is forbidden" in one.message) for one in caplog.records] == [("DEBUG", True)]
    api.refuse, asked.now = None, 2 * AGAIN
    assert await asked.of(OF_A_NODE) is not None
    api.refuse, asked.now = (403, "no more"), 3 * AGAIN
    assert await asked.of(OF_A_NODE) is not None


async def test_outside_a_cluster_nobody_is_asked() -> None:
    assert await Surroundings().of(OF_A_NODE) is None


async def test_a_sentence_waits_a_moment_for_a_slow_answer_and_the_next_one_has_it(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer
) -> None:
    monkeypatch.setattr(under_test, "PATIENCE", 0.01)
    answers, held = asyncio.Event(), api._read

    async def late(*words: object) -> None:
        await answers.wait()
        await held(*words)  # type: ignore[arg-type]  # its own

    monkeypatch.setattr(api, "_read", late)
    async with api.serving() as server:
        asked = Asked(url_of(server))
        assert await asked.of(OF_A_NODE) is None
        monkeypatch.setattr(under_test, "PATIENCE", 5.0)
        answers.set()
        assert await asked.of(OF_A_NODE) is not None
        assert len(api.requests) == 1


async def test_an_answer_that_is_still_waited_for_ends_with_the_service(
    monkeypatch: pytest.MonkeyPatch, api: ApiServer
) -> None:
    monkeypatch.setattr(under_test, "PATIENCE", 0.01)

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(api, "_read", never)
    async with api.serving() as server:
        asked = Asked(url_of(server))
        assert await asked.of(OF_A_NODE) is None
        await asked.close()
        assert asked._asking is None
