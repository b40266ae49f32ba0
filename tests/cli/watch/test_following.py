"""An upgrade that rolls over a cluster: nodes by the API server, shifts over HTTP, block after block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from prober.baseline.values import BLOCK, BLOCKS, HOUR, Level
from prober.cli.configured import UsageError
from prober.cli.watch.following import CannotFollow, Following, Plan
from prober.cli.watch.picture import Picture, headline
from prober.cli.watch.sides import Choice
from prober.cli.watch.vantages import Probers
from prober.kubernetes.api import ApiAccess
from prober.kubernetes.nodesets import parse_selector
from tests.baseline.made import MONDAY
from tests.kubernetes.samples import CILIUM, DAEMONSETS, NODES, PODS, REVISIONS, url_of
from tests.support.api_server import ApiServer, daemonset, node, pod_of, revision_of
from tests.support.shifting import KEYS, Fleet, telling

NAMES = [f"node-{letter}" for letter in "abcdef"]
DAY = 24 * BLOCKS
SINCE = MONDAY + 24 * HOUR


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    with telling(deepcopy(calm())) as made:
        yield made


@cache
def calm() -> Fleet:
    made = Fleet.of(NAMES, 2 * DAY)
    made.now = SINCE
    return made


def plan(fleet: Fleet, changed: str, control: str = "others", access: ApiAccess | None = None) -> Plan:
    sides = (None if text == "others" else parse_selector(text) for text in (changed, control))
    probers = Probers(tuple(fleet.urls), (), 5.0)
    return Plan("cilium", Choice(*sides), probers, access, SINCE, 48 * HOUR, 180.0, lambda: fleet.now)


def cilium(changed: Sequence[str], newest: str) -> ApiServer:
    """A cluster of which these nodes have the new revision."""
    api = ApiServer()
    api.objects = {
        NODES: [node(name, kernelVersion="6.8.0") for name in NAMES],
        DAEMONSETS: [daemonset("cilium", app="cilium")],
        REVISIONS: [revision_of("cilium", 1, "old1", app="cilium"), revision_of("cilium", 2, newest, app="cilium")],
        PODS: [pod_of("cilium", name, "new1" if name in changed else "old1", app="cilium") for name in NAMES],
    }
    return api


async def test_an_upgrade_that_rolls_is_found_while_it_does_and_the_last_node_leaves_no_control(fleet: Fleet) -> None:
    """Each node is 8 % slower over tcp from its change on. Every two hours another one is changed."""
    for number, told in enumerate(fleet.vantages.values()):
        told.shifts += 0.2 * number  # nobody's level is another's
    api = cilium((), "old1")
    async with api.serving() as server:
        access = ApiAccess.from_url(url_of(server))
        following = Following(plan(fleet, f"daemonset={CILIUM}@new", f"daemonset={CILIUM}@old", access))
        picture = await following.begin()
        assert picture.progress == "0 of 6 nodes changed"
        assert picture.notes == ("the roll-out has not begun: every node has the newest revision of the DaemonSet",)
        pictures = []
        for number in range(36):
            if number % 6 == 0:
                changed = NAMES[: number // 6 + 1]
                api.objects = cilium(changed, "new1").objects
                fleet.slow(changed[-1:], fleet.now, 1.08)
            fleet.now += 2 * BLOCK
            pictures.append(await following.poll())
    assert [moved.node for one in pictures for moved in one.moved] == NAMES
    assert [one.progress for one in pictures[::12]] == [f"{n} of 6 nodes changed" for n in (1, 3, 5)]
    assert all(one.block == SINCE + (2 * n + 1) * BLOCK for n, one in enumerate(pictures))
    first = next(n for n, one in enumerate(pictures) if one.regressed)
    assert first < 24, "not found before the fifth node was changed"
    last = pictures[-1]
    tcp = next(one for one in last.layers if one.view.layer == "tcp")
    assert tcp.found is not None
    assert tcp.found.level is Level.CONFIRMED
    assert tcp.difference is not None
    assert tcp.difference.lower < 1.08 < tcp.difference.upper
    assert headline(last).startswith("tcp ")
    assert headline(last).endswith("; dns as before")
    assert "no node is left as control: the difference is that from before the last one changed" in last.notes
    assert pictures[6].differ.startswith("kube-system/cilium new1 against old1")


async def test_blocks_wait_for_probers_that_are_late_but_not_for_ever(fleet: Fleet) -> None:
    following = Following(plan(fleet, "node-[abc]"))
    await following.begin()
    late = fleet.vantages["node-f"]
    kept, late.shifts = late.shifts, late.shifts[:DAY]
    fleet.now = SINCE + BLOCK + 30
    assert (await following.poll()).block is None
    fleet.now = SINCE + BLOCK + 200
    assert (await following.poll()).block == SINCE
    late.shifts = kept
    fleet.now = SINCE + 3 * BLOCK + 1
    assert (await following.poll()).block == SINCE + 2 * BLOCK


async def test_a_prober_that_falls_silent_is_told_and_the_others_go_on(fleet: Fleet) -> None:
    following = Following(plan(fleet, "node-[abc]"))
    await following.begin()
    fleet.vantages["node-a"].silent = True
    fleet.now = SINCE + 2 * BLOCK + 200
    picture = await following.poll()
    assert picture.block == SINCE + BLOCK
    assert "no answer from" in picture.notes[0]
    assert picture.notes[0].endswith("it says: HTTP Error 503: Service Unavailable")
    assert picture.progress == "3 of 6 nodes changed"


async def test_a_prober_that_moved_came_late_or_has_another_baseline_is_left_out_and_told(fleet: Fleet) -> None:
    fleet.vantages["node-f"].silent = True
    following = Following(plan(fleet, "node-[abc]", "node-[def]"))
    await following.begin()
    fleet.vantages["node-f"].silent = False
    fleet.vantages["node-a"].baseline = "later v1"
    fleet.vantages["node-b"].origin = replace(fleet.vantages["node-b"].origin, node="node-g")
    fleet.now = SINCE + 2 * BLOCK + 200
    picture = await following.poll()
    assert picture.notes[:3] == (
        "node-a has another baseline since, and is left out: begin anew to take it in",
        "node-b runs on node-g since, and is left out: begin anew to take it in",
        "node-f answers only now, and is left out: begin anew to take it in",
    )


async def test_nodes_without_a_prober_on_no_side_and_on_both_are_told(fleet: Fleet) -> None:
    api = cilium((), "old1")
    api.objects[NODES].append(node("node-x"))
    async with api.serving() as server:
        access = ApiAccess.from_url(url_of(server))
        picture = await Following(plan(fleet, "node-a,node-b,node-x", "node-b,node-c", access)).begin()
    assert picture.notes == (
        "on both sides, and so counted on neither: node-b",
        "on neither side: node-d, node-e, node-f",
        "not measured, for no prober is there: node-x",
    )


async def test_ways_to_the_nodes_of_endpoints_are_told_beside_those_from_vantages(fleet: Fleet) -> None:
    keys = [replace(KEYS[0], node=name, layer="tcp") for name in NAMES]
    fleet.vantages = Fleet.of(["node-a"], 2 * DAY, keys=keys).vantages
    told = fleet.vantages["node-a"]
    told.shifts[DAY:, :3] += np.log(1.1)
    fleet.now = SINCE + 12 * HOUR
    picture = await Following(plan(fleet, "node-[abc]", "node-[def]")).begin()
    assert headline(picture).startswith("tcp ")
    assert " slower to the changed nodes since " in headline(picture)
    assert picture.regressed


async def test_kubernetes_that_falls_silent_leaves_the_nodes_as_they_were(fleet: Fleet) -> None:
    api = cilium(NAMES[:3], "new1")
    async with api.serving() as server:
        access = ApiAccess.from_url(url_of(server))
        following = Following(plan(fleet, f"daemonset={CILIUM}@new", "others", access))
        await following.begin()
        api.refuse = 403, "nodes is forbidden"
        fleet.now = SINCE + 2 * BLOCK + 200
        picture = await following.poll()
    assert picture.progress == "3 of 6 nodes changed"
    assert picture.notes[0].startswith("the nodes are taken to be as they were: ")


async def cannot(fleet: Fleet, changed: str = "node-[abc]", error: type[Exception] = CannotFollow) -> str:
    with pytest.raises(error) as caught:
        await Following(plan(fleet, changed)).begin()
    return str(caught.value)


async def test_too_short_a_past_says_what_to_do(fleet: Fleet) -> None:
    for told in fleet.vantages.values():
        told.shifts[: 17 * BLOCKS] = np.nan
    says = await cannot(fleet)
    assert says.startswith("7 h of shifts before the change, 12 are needed: how restless")
    assert "let the probers measure for 12 h before, or if it is done already, compare" in says


async def test_probers_without_a_baseline_say_to_record_one(fleet: Fleet) -> None:
    for told in fleet.vantages.values():
        told.shifts = told.shifts[:0]
        told.baseline = ""
    assert "no prober that answers has a baseline. Record one" in await cannot(fleet)


async def test_figures_that_are_not_to_be_taken_as_they_stand_come_with_a_note(fleet: Fleet) -> None:
    for told in fleet.vantages.values():
        told.shifts[: 10 * BLOCKS] = np.nan
    fleet.slow(NAMES[:3], SINCE, 2.2)
    fleet.now = SINCE + 12 * HOUR
    picture = await Following(plan(fleet, "node-[abc]")).begin()
    assert picture.notes == (
        "only 14 h were measured before the change: the intervals are narrower than they should be",
        "twice as slow is the most that is told here, it may be more: prober baseline compare tells it",
    )


async def test_nobody_who_answers_is_told_one_by_one(fleet: Fleet) -> None:
    for told in fleet.vantages.values():
        told.silent = True
    says = await cannot(fleet)
    assert says.startswith("no prober answers\n  http://127.0.0.1:")
    assert len(says.splitlines()) == 7


async def test_what_nobody_can_tell_and_names_that_nobody_has_end_it(fleet: Fleet) -> None:
    assert "can only be told by Kubernetes" in await cannot(fleet, f"daemonset={CILIUM}@new")
    assert await cannot(fleet, "node-z", UsageError) == (
        "prober: no node meets 'node-z': did you mean node-d or node-e or node-f?"
    )


async def test_two_vantages_of_one_name_are_refused(fleet: Fleet) -> None:
    fleet.vantages["node-b"].origin = replace(fleet.vantages["node-b"].origin, vantage="node-a")
    assert "two probers call themselves 'node-a', on node-a and on node-b" in await cannot(fleet, error=UsageError)


def test_a_picture_without_a_block_has_nothing_to_compare() -> None:
    picture = Picture("x", 0.0, 0.0, None, frozenset(), frozenset(), "", ())
    assert headline(picture).startswith("nothing to compare yet")
