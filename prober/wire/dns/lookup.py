"""One lookup: a resolver's state machine, and the exchanges that it asks for."""

from __future__ import annotations

import itertools

from prober.options import Profile
from prober.wire.dns.edns import Asking
from prober.wire.dns.exchange import Channel
from prober.wire.dns.glibc import glibc
from prober.wire.dns.kept import Kept
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
) -> Lookup:  # fmt: skip
    """Look up `name` for all of `types` as the C library of `profile` would, writing every query into `trail`.

    `channel` is needed where `conf.transport` is encrypted.

    Sets no deadline over the whole. Raises OSError only for errors of this process (no descriptors left), and
    dns.rdatatype.UnknownRdatatype for a type nobody knows.
    """
    if profile is Profile.MUSL:
        return await run(musl(name, types, conf, asking), trail, channel)
    return await run(glibc(name, types, conf, asking, turn=next(_turn) if conf.rotate else 0), trail, channel)


async def run(machine: Machine, trail: Trail, channel: Channel | None = None) -> Lookup:
    """Do what `machine` asks for until it returns."""
    kept = Kept()
    try:
        ask = next(machine)
        while True:
            if isinstance(ask, Race):
                steps = await perform_race(ask, trail, channel)
            else:
                steps = await perform(ask, trail, channel, kept)
            ask = machine.send(steps)
    except StopIteration as over:
        result: Lookup = over.value
        return result
    finally:
        kept.close()
