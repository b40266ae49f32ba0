"""`grpc.watch`: the health service's stream of statuses. Held: the first is SERVING, and stays so as long as asked."""

from __future__ import annotations

import asyncio
from time import perf_counter

from prober.layers.base import Ascent, Failed
from prober.layers.grpc.judge import Metadata, judge_status, note_answer, refused, rest_of
from prober.reasons import Reason
from prober.wire.grpc import Answer, Duplex, Talk
from prober.wire.grpc.health import WATCH, health_request


async def watch(ascent: Ascent, talk: Talk, metadata: Metadata, hold: float) -> None:
    """Watch for `hold` seconds. The layer's time is that of the first status; the rest is waiting on purpose."""
    service = ascent.cell.options.grpc.service
    ascent.evidence["service"] = service
    async with talk.duplex(WATCH, metadata, rest_of(ascent)) as stream:
        message = await stream.ask(health_request(service), last=True)
        talk.carrier.mark()
        _judge(ascent, talk, message)
        await _hold(ascent, talk, stream, hold)


async def _hold(ascent: Ascent, talk: Talk, stream: Duplex, hold: float) -> None:
    """Take what comes within `hold` seconds."""
    began = perf_counter()
    loop = asyncio.get_running_loop()
    while (rest := hold - (perf_counter() - began)) > 0:
        reading = loop.create_task(stream.receive())
        try:
            done, _ = await asyncio.wait({reading}, timeout=rest)
        finally:
            if not reading.done():
                reading.cancel()
                await asyncio.wait({reading})
        ascent.evidence["watched_seconds"] = round(perf_counter() - began, 6)
        if done:
            _judge(ascent, talk, reading.result())


def _judge(ascent: Ascent, talk: Talk, message: bytes | Answer) -> None:
    if isinstance(message, bytes):
        judge_status(ascent, message)
        return
    if message.code == "OK":
        note_answer(ascent, message)
        raise Failed(Reason.CLOSED, "the server ended the watch")
    raise refused(ascent, talk, message, health=True)
