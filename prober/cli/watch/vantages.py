"""What several probers measured: their shifts by blocks, and where each of them runs."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from prober.baseline.rolling import Member, Reading
from prober.baseline.values import Origin, SeriesKey
from prober.cli.asking import NoAnswer, Refused, address_of, addresses_of, ask
from prober.cli.baseline.moments import from_rfc3339
from prober.units import host_port, rfc3339_at

PATH: Final = "/api/v1/shifts"
#: Probers that are asked at once.
_AT_ONCE: Final = 16
_NAMES: Final = ("probe", "target", "path", "family", "layer")


class Block(NamedTuple):
    """Places in the list of members, and what was measured of each."""

    places: Sequence[int]
    readings: Sequence[Reading]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one prober said."""

    url: str
    origin: Origin
    baselines: tuple[str, ...]
    """Label and version of those that its series are held against."""
    members: tuple[Member, ...]
    """Its series, each with the node that decides which side it is on."""
    blocks: Mapping[int, Block]
    """By their start (Unix seconds)."""

    @property
    def node(self) -> str:
        """Its node; outside a cluster the name of the vantage stands for it."""
        return _node(self.origin)

    def readings(self, start: int) -> dict[Member, Reading]:
        """What one of the blocks tells of each series that is in it."""
        return {self.members[number]: reading for number, reading in zip(*self.blocks[start], strict=True)}


@dataclass(frozen=True, slots=True)
class Silent:
    """A prober that did not answer, and why not."""

    url: str
    why: str


@dataclass(frozen=True, slots=True)
class Probers:
    """Those that were named by their URLs, and every address that the names of services have when they are asked."""

    urls: tuple[str, ...]
    services: tuple[tuple[str, int], ...]
    timeout: float
    """Seconds."""

    async def ask(self, since: float, until: float) -> tuple[list[Answer], list[Silent]]:
        """The shifts of all blocks that begin between the two (Unix seconds); of two that are the same vantage one."""
        found = await asyncio.gather(*(_addresses(host, port) for host, port in self.services))
        urls = [*self.urls, *(url for one in found if isinstance(one, list) for url in one)]
        silent = [one for one in found if isinstance(one, Silent)]
        turns = asyncio.Semaphore(_AT_ONCE)

        async def one(url: str) -> Answer | Silent:
            async with turns:
                return await asyncio.to_thread(_ask, url, since, until, self.timeout)

        answers = await asyncio.gather(*(one(url) for url in dict.fromkeys(urls)))
        silent += [one for one in answers if isinstance(one, Silent)]
        return _each_once(one for one in answers if isinstance(one, Answer)), silent


async def _addresses(host: str, port: int) -> list[str] | Silent:
    """A URL for each address."""
    try:
        return await asyncio.to_thread(addresses_of, host, port)
    except (OSError, UnicodeError) as error:
        return Silent(host_port(host, port), getattr(error, "strerror", None) or str(error))


def _each_once(answers: Iterable[Answer]) -> list[Answer]:
    """One answer of each vantage: a Pod may have been asked at two addresses. Two that differ in their node stay."""
    return list({(one.origin.vantage, one.node): one for one in answers}.values())


def _ask(url: str, since: float, until: float, timeout: float) -> Answer | Silent:
    path = f"{PATH}?{urlencode({'from': rfc3339_at(since), 'to': rfc3339_at(until)})}"
    try:
        return read(url, json.loads(ask(url, path, timeout=timeout)))
    except NoAnswer as error:
        return Silent(url, error.why)
    except Refused as error:
        if error.status == 404:
            return Silent(url, f"it has no {PATH}: it is another program, or an older prober ({error})")
        return Silent(url, f"it says: {error}")
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as error:
        return Silent(url, f"something else answers at {address_of(url, PATH)} ({error!r})")


def read(url: str, told: Mapping[str, Any]) -> Answer:
    """The API's JSON. KeyError, TypeError, ValueError, AttributeError, IndexError: it is something else."""
    where = told["vantage"]
    about = {str(key): str(value) for key, value in where["about"].items()}
    node, zone, region = (str(where[name] or "") for name in ("node", "zone", "region"))
    keys, baselines = [], set()
    for one in told["series"]:
        probe, target, path, family, layer = (str(one[name]) for name in _NAMES)
        keys.append(SeriesKey(probe, target, path, family, layer, str(one["node"] or "")))
        baselines.add(one["baseline"] or "")
    origin = Origin(str(where["name"]), node, zone, region, about)
    members = tuple(Member(origin.vantage, key.node or _node(origin), key) for key in keys)
    blocks = {int(from_rfc3339(block["start"])): _block(block, len(members)) for block in told["blocks"]}
    return Answer(url, origin, tuple(sorted(baselines - {""})), members, blocks)


def _node(origin: Origin) -> str:
    return origin.node or origin.vantage


def _block(block: Mapping[str, Any], series: int) -> Block:
    places = [int(number) for number in block["series"]]
    if places and not 0 <= min(places) <= max(places) < series:
        raise ValueError("a series that is not in the list")
    columns = zip(block["psi"], block["runs"], block["failed"], strict=True)
    readings = [
        Reading(math.nan if shift is None else float(shift), int(runs), int(failed)) for shift, runs, failed in columns
    ]
    if len(readings) != len(places):
        raise ValueError("columns that are not equally long")
    return Block(places, readings)
