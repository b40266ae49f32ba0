"""grpc.call: a unary method of any service, its messages known by reflection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc
import pytest

from prober.layers.base import Kit
from prober.model import Cell, Run
from prober.options import Expect
from prober.reasons import Family, Reason
from tests.support.cells import FAMILIES
from tests.support.grpc import HEAD, cell_for, header, reason_of, run_of
from tests.support.http import Peer, frame
from tests.support.http import serving as serving_frames
from tests.support.payments import SERVICE, Payments, files, serving

GET = f"{SERVICE}/Get"


def calling(port: int, family: Family = Family.IPV4, expect: dict[str, Any] | None = None, **grpc_options: Any) -> Cell:
    cell = cell_for(port, family, grpc={"call": GET} | grpc_options)
    return replace(cell, expect=Expect.model_validate(expect or {}))


def detail(run: Run) -> str:
    return str(run.outcomes[-1].evidence.get("detail"))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("versions", [("v1",), ("v1alpha",), ("v1", "v1alpha")], ids="+".join)
@pytest.mark.parametrize("whole", [True, False])
async def test_a_call_with_a_json_request_is_answered_in_json(
    family: Family, versions: tuple[str, ...], whole: bool, kit: Kit
) -> None:
    expect = {"body_json": {"$.paymentId": "p-7", "$.amount.cents": 1250}, "body_contains": "2026-05-01T10:00:00Z"}
    async with serving(Payments(whole=whole), family, versions) as server:
        request = {"paymentId": "p-7", "since": "2026-05-01T10:00:00Z"}
        run = await run_of(calling(server.port, family, expect, request=request), kit)
    assert run.ok, run.outcomes[-1]
    evidence = run.outcomes[-1].evidence
    assert (evidence["call"], evidence["grpc_status"], evidence["reflection"]) == (GET, "OK", versions[0])
    assert evidence["descriptor_files"] == 3
    assert evidence["response"].startswith('{"paymentId": "p-7", "amount": {"currency": "EUR"')


async def test_reflection_is_asked_once_and_again_after_a_failure(kit: Kit) -> None:
    async def fails_at_first(request: dict[str, Any], context: grpc.aio.ServicerContext[Any, Any]) -> dict[str, Any]:
        turns.append(request)
        if len(turns) == 3:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such field")
        return {}

    turns: list[object] = []
    asked = []
    async with serving(Payments(fails_at_first)) as server:
        for _ in range(5):
            run = await run_of(calling(server.port), kit)
            asked.append("reflection_seconds" in run.outcomes[-1].evidence)
    assert asked == [True, False, False, True, False]


async def test_the_time_of_reflection_is_not_the_layers(kit: Kit) -> None:
    async with serving(Payments(whole=False)) as server:
        run = await run_of(calling(server.port), kit)
    outcome = run.outcomes[-1]
    assert run.ok
    assert outcome.seconds is not None
    assert 0 < outcome.seconds < outcome.evidence["reflection_seconds"] + outcome.evidence["local_seconds"]
    assert outcome.seconds + outcome.evidence["reflection_seconds"] < run.seconds


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        ({}, Reason.STATUS),
        ({"grpc_status": ["NOT_FOUND"]}, None),
        ({"grpc_status": ["OK", "NOT_FOUND"]}, None),
        ({"grpc_status": ["OK", "ABORTED"]}, Reason.STATUS),
    ],
)
async def test_a_status_may_be_what_is_expected(expect: dict[str, Any], reason: Reason | None, kit: Kit) -> None:
    async def missing(_request: object, context: grpc.aio.ServicerContext[Any, Any]) -> dict[str, Any]:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no payment p-7", trailing_metadata=(("x-shard", "3"),))
        raise AssertionError("abort raises")

    async with serving(Payments(missing)) as server:
        run = await run_of(calling(server.port, expect=expect), kit)
    assert reason_of(run) is reason
    evidence = run.outcomes[-1].evidence
    assert (evidence["grpc_status"], evidence["message"]) == ("NOT_FOUND", "no payment p-7")
    assert evidence["trailers"] == {"x-shard": "3"}


async def test_ok_is_a_failure_where_a_refusal_is_expected(kit: Kit) -> None:
    async with serving(Payments()) as server:
        run = await run_of(calling(server.port, expect={"grpc_status": ["UNAUTHENTICATED"]}), kit)
    assert reason_of(run) is Reason.STATUS
    assert detail(run) == "OK, expected UNAUTHENTICATED"


async def test_a_message_that_is_not_as_expected_fails_with_body(kit: Kit) -> None:
    async with serving(Payments()) as server:
        run = await run_of(calling(server.port, expect={"body_json": {"$.amount.currency": "CHF"}}), kit)
    assert reason_of(run) is Reason.BODY
    assert detail(run) == '$.amount.currency is "EUR", expected "CHF"'


async def test_a_request_that_does_not_fit_fails_with_body(kit: Kit) -> None:
    async with serving(Payments()) as server:
        run = await run_of(calling(server.port, request={"paymentID": 7}), kit)
    assert reason_of(run) is Reason.BODY
    assert detail(run).startswith("the request does not fit payments.v1.GetRequest: ")


@pytest.mark.parametrize(
    ("call", "reason", "why"),
    [
        (f"{SERVICE}/Refund", Reason.UNIMPLEMENTED, "payments.v1.Payments has no method Refund"),
        (f"{SERVICE}/Follow", Reason.UNIMPLEMENTED, "streams: only unary methods are called"),
        ("payments.v2.Payments/Get", Reason.UNKNOWN_SERVICE, "no service payments.v2.Payments"),
    ],
)
async def test_what_the_server_does_not_have_is_told(call: str, reason: Reason, why: str, kit: Kit) -> None:
    async with serving(Payments()) as server:
        run = await run_of(calling(server.port, call=call), kit)
    assert reason_of(run) is reason
    assert why in detail(run)


async def test_a_server_without_reflection_is_told_from_one_without_the_method(kit: Kit) -> None:
    async with serving(Payments(), versions=()) as server:
        run = await run_of(calling(server.port), kit)
    assert reason_of(run) is Reason.UNIMPLEMENTED
    assert detail(run) == "the server does not offer reflection"


async def test_descriptors_that_make_no_sense_are_not_grpcs(kit: Kit) -> None:
    circle = files()
    circle["money.proto"].dependency.append("payments.proto")
    missing = files()
    missing["money.proto"].dependency.append("gone.proto")
    clash = files()
    clash["money.proto"].message_type[0].field.add(name="x", number=1, type=9, label=1)
    for described, why in ((circle, "in a circle"), (missing, "does not have gone.proto"), (clash, "fit together")):
        async with serving(Payments(described=described)) as server:
            run = await run_of(calling(server.port), kit)
        assert reason_of(run) is Reason.NOT_GRPC, run.outcomes[-1]
        assert why in detail(run)


async def test_an_answer_of_another_kind_is_no_description(kit: Kit) -> None:
    async def hasty(peer: Peer) -> None:
        await peer.reader.read(1)
        await peer.send(frame(4) + header(*HEAD) + frame(0, b"\0\0\0\0\0", stream=1))
        await peer.reader.read()

    async with serving_frames(hasty) as server:
        run = await run_of(calling(server.port), kit)
    assert reason_of(run) is Reason.NOT_GRPC
    assert detail(run) == "reflection answers without a descriptor"
