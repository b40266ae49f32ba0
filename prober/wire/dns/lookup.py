"""One lookup: a resolver's state machine, and the exchanges that it asks for."""

from __future__ import annotations

import itertools
import math

from prober.options import Profile
from prober.reasons import Reason
from prober.wire.dns.edns import Asking
from prober.wire.dns.exchange import Channel
from prober.wire.dns.glibc import glibc
from prober.wire.dns.kept import Kept
from prober.wire.dns.message import Step
from prober.wire.dns.musl import musl
from prober.wire.dns.perform import perform
from prober.wire.dns.race import perform_race
from prober.wire.dns.resolvconf import ResolvConf
from prober.wire.dns.resolver import Lookup, Machine, Race
from prober.wire.dns.trail import Trail

_PLAIN = Asking()
_turn = itertools.count()


async def look_up(
    name: str, types: tuple[str, ...], conf: ResolvConf, trail: Trail, *,
    asking: Asking = _PLAIN, profile: Profile = Profile.GLIBC, channel: Channel | None = None,
    patience: float = math.inf,
) -> Lookup:  # fmt: skip
    """Look up `name` for all of `types` as the C library of `profile` would, writing every query into `trail`.

    `channel` is needed where `conf.transport` is encrypted. `patience`: how many seconds are waited where the C library
    would wait for ever; then the lookup is `endless`.

    Sets no deadline over the whole. Raises OSError only for errors of this process (no descriptors left), and
    dns.rdatatype.UnknownRdatatype for a type nobody knows.
    """
    if profile is Profile.MUSL:
        return await run(musl(name, types, conf, asking), trail, channel)
    machine = glibc(name, types, conf, asking, turn=next(_turn) if conf.rotate else 0)
    return await run(machine, trail, channel, patience)


def _is_silence(step: Step) -> bool:
    """Nothing was said; a connection that the kernel gave up has an errno."""
    return step.reason is Reason.TIMEOUT and not step.errno


async def run(machine: Machine, trail: Trail, channel: Channel | None = None, patience: float = math.inf) -> Lookup:
    """Do what `machine` asks for until it returns, or until something without an end has taken `patience` seconds."""
    kept = Kept()
    try:
        ask = next(machine)
        while True:
            if isinstance(ask, Race):
                steps = await perform_race(ask, trail, channel)
            else:
                endless = ask.wait == math.inf
                steps = await perform(ask._replace(wait=patience) if endless else ask, trail, channel, kept)
                if endless and any(map(_is_silence, steps)):
                    return Lookup(Reason.TIMEOUT, tuple(steps), endless=True)
            ask = machine.send(steps)
    except StopIteration as over:
        result: Lookup = over.value
        return result
    finally:
        kept.close()
