"""Addresses that cannot be reached: on loopback where that can show it, else in a namespace (`far_reasons.py`)."""

from __future__ import annotations

import asyncio
import json
from functools import cache, partial
from typing import Any

import pytest

from prober.lab.connection import Connection
from prober.lab.sockets import Mode
from prober.model import Blame
from prober.reasons import Kind, Layer, Reason
from tests.support.netns import run_in_namespace, why_not
from tests.support.scenarios import SHORT, Place, Shown, add, shows
from tests.support.scenarios.servers import listening


@cache
def _far_runs() -> dict[tuple[str, str, str], Blame]:
    """The blames of all climbs in the namespace, by family, layer and what is wrong there."""
    lines = [json.loads(line) for line in run_in_namespace("far_reasons.py").splitlines()]
    return {
        (line["family"], line["layer"], line["case"]): Blame(Layer(line["blame"][0]), Reason(line["blame"][1]))
        for line in lines
        if line["blame"]
    }


async def _far(place: Place, layer: Layer, reason: Reason) -> Shown:
    if (missing := why_not(tun=True)) is not None:
        pytest.skip(missing)
    return (await asyncio.to_thread(_far_runs))[place.family, layer, reason]


FAR: dict[Layer, tuple[Reason, ...]] = {
    Layer.ICMP: (Reason.TIMEOUT, Reason.UNREACHABLE, Reason.PROHIBITED, Reason.TOO_BIG, Reason.NOT_PERMITTED),
    Layer.TCP: (
        Reason.REJECTED, Reason.PROHIBITED, Reason.UNREACHABLE, Reason.RESET, Reason.NO_LOCAL_PORT,
        Reason.NOT_PERMITTED,
    ),
}  # fmt: skip
for _layer, _reasons in FAR.items():
    for _reason in _reasons:
        add(_layer, _reason, partial(_far, layer=_layer, reason=_reason))


def _connect(place: Place, port: int, **how: Any) -> Any:
    return place.climb(place.cell(Kind.TCP, "tcp", port, host=place.address, **how))


@shows(Layer.TCP, Reason.REFUSED)
async def nobody_listens(place: Place) -> Shown:
    """Bound, and not listening."""
    async with listening(place.family, None) as port:
        return await _connect(place, port)


@shows(Layer.TCP, Reason.TIMEOUT)
async def a_full_backlog(place: Place) -> Shown:
    """The kernel drops the SYN."""
    async with listening(place.family, None, Mode.FULL) as port:
        return await _connect(place, port, timeout=SHORT)


async def _busy(connection: Connection) -> None:
    await connection.send(b"421 too busy\r\n")


@shows(Layer.TCP, Reason.WRONG_ANSWER)
async def another_greeting(place: Place) -> Shown:
    """The peer says something else than what is expected, and leaves."""
    async with listening(place.family, _busy) as port:
        return await _connect(place, port, options={"tcp": {"expect": "^220 "}})
