"""Doing what an `Ask` says, over whichever transport it names."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence

from prober.reasons import Reason
from prober.wire.dns.datagrams import UdpExchange
from prober.wire.dns.exchange import OURS, Channel, Exchange, explain
from prober.wire.dns.kept import Kept
from prober.wire.dns.message import Step
from prober.wire.dns.resolver import Ask, Sending
from prober.wire.dns.streams import HttpsExchange, StreamExchange
from prober.wire.dns.trail import Trail


async def perform(ask: Ask, trail: Trail, channel: Channel | None, kept: Kept) -> Sequence[Step]:
    """Send the questions of `ask` and gather a step for each one sent, in their order.

    `kept`: what earlier asks of the same lookup have left.
    """
    before = len(trail.steps)
    kept.begin(ask.fresh)
    under_way = exchange_of(ask, trail, channel, kept)
    try:
        await under_way.go(asyncio.get_running_loop().time() + ask.wait)
    except TimeoutError:
        trail.give_up(Reason.TIMEOUT, under_way.passed_over)
    except asyncio.CancelledError:  # the climb's own deadline: what is waited for stays on the trail
        trail.give_up(Reason.TIMEOUT, under_way.passed_over)
        raise
    except OSError as error:
        if error.errno in OURS:
            raise
        reason = Reason.TIMEOUT if error.errno == errno.ETIMEDOUT else Reason.UNREACHABLE
        trail.give_up(reason, explain(error), errno=error.errno or 0)
    steps = trail.steps[before:]
    if len(steps) > 1:
        steps.sort(key=lambda step: ask.queries.index(step.query))
    at_once = ask.sending in (Sending.TOGETHER, Sending.APART) and ask.queries[0].transport != "https"
    took = (max if at_once else sum)([step.seconds for step in steps])
    name = ask.queries[0].name
    trail.spent[name] = trail.spent.get(name, 0.0) + took
    return steps


def exchange_of(ask: Ask, trail: Trail, channel: Channel | None, kept: Kept) -> Exchange:
    """The exchange for the transport of `ask`."""
    transport = ask.queries[0].transport
    if transport == "udp":
        return UdpExchange(ask, trail, kept)
    if transport == "https":
        return HttpsExchange(ask, trail, kept, channel)
    return StreamExchange(ask, trail, kept, channel)
