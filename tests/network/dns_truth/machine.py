"""Our side: the resolver machine for each case, with the file's servers, and what it says getaddrinfo would return."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from prober.options import Profile
from prober.wire.dns.destinations import order, sources
from prober.wire.dns.eai import error_of
from prober.wire.dns.lookup import look_up, run
from prober.wire.dns.musl import musl
from prober.wire.dns.numeric import numeric
from prober.wire.dns.resolvconf import parse
from prober.wire.dns.trail import Trail
from tests.network.dns_truth.case import MACHINE, Case, addresses
from tests.network.dns_truth.libc import AT_ONCE

#: Seconds that the machine waits where the C library would for ever; longer than any late answer.
_PATIENCE = 4.0


async def ask_all(cases: Mapping[int, Case], libc: str) -> dict[int, dict[str, Any]]:
    """Every case's result, as `libc.py` prints it."""
    room = asyncio.Semaphore(AT_ONCE)

    async def ask(number: int, case: Case) -> tuple[int, dict[str, Any]]:
        async with room:
            return number, await _ask(number, case, libc)

    return dict(await asyncio.gather(*(ask(number, case) for number, case in cases.items())))


async def _ask(number: int, case: Case, libc: str) -> dict[str, Any]:
    if (address := numeric(case.name)) is not None:  # as in prober.layers.dns.rung
        return {"error": None, "addresses": [address]}
    profile = Profile.GLIBC if libc == "glibc" else Profile.MUSL
    modern = libc != "old musl"
    file = case.resolv_conf(addresses(case, number, MACHINE))
    conf = parse(file, hostname=case.hostname, profile=profile)
    if profile is Profile.GLIBC:
        lookup = await look_up(case.name, case.types, conf, Trail(), patience=_PATIENCE)
    else:
        lookup = await run(musl(case.name, case.types, conf, modern=modern), Trail())
    error = error_of(lookup, profile, modern=modern)
    steps = lookup.steps[::-1] if libc == "modern musl" else lookup.steps
    found = [] if error else [answer for step in steps for answer in step.answers]
    return {"error": error, "addresses": order(profile, found, sources(found))}
