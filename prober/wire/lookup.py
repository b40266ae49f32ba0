"""One lookup: a resolver's state machine, and the exchanges that it asks for."""

from __future__ import annotations

import itertools
from dataclasses import replace

from prober.options import Profile
from prober.wire.exchange import perform
from prober.wire.musl import musl
from prober.wire.race import perform_race
from prober.wire.resolvconf import ResolvConf
from prober.wire.resolver import Lookup, Machine, Race, glibc
from prober.wire.trail import Trail

_MACHINES = {Profile.GLIBC: glibc, Profile.MUSL: musl}
_turn = itertools.count()


async def look_up(
    name: str, types: tuple[str, ...], conf: ResolvConf, trail: Trail, *,
    recursion_desired: bool = True, profile: Profile = Profile.GLIBC,
) -> Lookup:  # fmt: skip
    """Look up `name` for all of `types` as the C library of `profile` would, writing every query into `trail`.

    Sets no deadline over the whole. Raises OSError only for errors of this process (no descriptors left), and
    dns.rdatatype.UnknownRdatatype for a type nobody knows.
    """
    if conf.rotate and profile is Profile.GLIBC:
        first = next(_turn) % len(conf.servers)
        conf = replace(conf, servers=conf.servers[first:] + conf.servers[:first])
    machine = _MACHINES[profile]
    return await run(machine(name, types, conf, recursion_desired=recursion_desired), trail)


async def run(machine: Machine, trail: Trail) -> Lookup:
    """Do what `machine` asks for until it returns."""
    try:
        ask = next(machine)
        while True:
            steps = await (perform_race(ask, trail) if isinstance(ask, Race) else perform(ask, trail))
            ask = machine.send(steps)
    except StopIteration as over:
        result: Lookup = over.value
        return result
