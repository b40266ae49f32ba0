"""`/api/v1/baselines`: list, record, look at, accept, delete; export and import as files.

Imported once there is a tracker: it needs numpy and SQLite, which a prober without baselines does without.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Final, TypeVar
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from prober.baseline.labels import versioned
from prober.baseline.lines import BadFile
from prober.baseline.store import BaselineInfo, Refused, StoreFailed, UnknownBaseline, WindowRefused
from prober.baseline.values import Recording
from prober.engine.baselines.baselines import RECORDED, Baselines
from prober.engine.baselines.tracker import Tracker
from prober.units import rfc3339_at
from prober.web.figures import against, figures
from prober.web.query import BadQuery, did_you_mean, moment, moment_of, number
from prober.web.shifts import shifts
from prober.web.stream import Streamed, in_chunks

#: Bytes of a request: of words, and of a file. A file of 10,000 series and a week has some 100 MB.
MOST_WORDS: Final = 1 << 16
MOST_FILE: Final = 1 << 28
_PIECE: Final = 1 << 18
_ASKED: Final = ("label", "from", "to", "about", "regressed")
_UNFIT: Final = 100
_LATEST_VERSION: Final = 1 << 31
T = TypeVar("T")


async def list_all(tracker: Tracker, baselines: Baselines, _: Request) -> Response:
    """All baselines, where they are kept, and how much of what is measured has one."""
    infos = await _asked(baselines.baselines())
    store, unfit = baselines.store, baselines.unfit
    return JSONResponse(
        {
            "baselines": [as_dict(info) for info in infos],
            "store": {
                "path": None if store.path is None else str(store.path),
                "persistent": store.persistent,
                "says": baselines.says,
            },
            "coverage": baselines.coverage(),
            "series": baselines.series,
            "judged": baselines.judged,
            "learning": baselines.learning,
            "unfit": [{"series": str(key), "why": why} for key, why in list(unfit.items())[:_UNFIT]],
            "unfit_series": len(unfit),
            "probed_in_another_way": sorted(baselines.other_ways),
            "skipped": dict(tracker.skipped),
        }
    )


async def record(tracker: Tracker, baselines: Baselines, request: Request) -> Response:
    """Record one: `{"label": …, "from": …, "to": …, "about": {…}, "regressed": false}`, of which the label alone has to
    be there."""
    asked = await _words(request)
    about = asked.get("about", {})
    if not isinstance(about, dict) or not all(isinstance(value, str) for value in about.values()):
        raise BadQuery('about: not an object of texts as in {"cni": "cilium-1.17.3"}')
    if not isinstance(label := asked.get("label"), str):
        raise BadQuery("label: missing, or not a text")
    if not isinstance(regressed := asked.get("regressed", False), bool):
        raise BadQuery("regressed: neither true nor false")
    since, until = (None if asked.get(name) is None else moment_of(name, asked[name]) for name in ("from", "to"))
    now = tracker.now
    if until is not None and until > now:
        raise BadQuery(f"to: {asked['to']} is still to come")
    try:
        recorded = await _asked(baselines.record(label, now, since, until, about, regressed=regressed))
    except WindowRefused as error:
        return JSONResponse({"error": str(error), "refused": _refused(error.refused)}, status_code=422)
    except ValueError as error:
        raise BadQuery(f"label: {error}") from error
    await tracker.show()
    return JSONResponse({**as_dict(recorded.baseline), "refused": _refused(recorded.refused)}, status_code=201)


async def one(_: Tracker, baselines: Baselines, request: Request) -> Response:
    """One with the figures of each of its series."""
    info = await _found(baselines, request)
    recording = await _asked(baselines.get(info.label, info.version))
    return Streamed(in_chunks(_with_figures(info, recording)), media_type="application/json")


async def accept(tracker: Tracker, baselines: Baselines, request: Request) -> Response:
    """Make it the active one; the answer tells by layer what was usual before, and what is from now on."""
    info = await _found(baselines, request)
    active = await _asked(asyncio.wrap_future(baselines.store.active()))
    new = await _asked(baselines.get(info.label, info.version))
    others: dict[tuple[str, int], list[Any]] = {}
    for key in new.series:
        was = active.get(key)
        if was is not None and (was.label, was.version) != (info.label, info.version):
            others.setdefault((was.label, was.version), []).append(key)
    old: list[Recording] = []
    for (label, version), keys in others.items():
        with suppress(UnknownBaseline):  # deleted meanwhile
            old.append(await _asked(asyncio.wrap_future(baselines.store.get(label, version, keys))))
    compared = await against(old, new)
    accepted = await _asked(baselines.accept(info.label, info.version))
    await tracker.show()
    replaced = [versioned(recording.label, recording.version) for recording in old]
    return JSONResponse({**as_dict(accepted), "replaces": replaced, "layers": compared})


async def delete(tracker: Tracker, baselines: Baselines, request: Request) -> Response:
    """Delete it; an active one only with `force=true`."""
    force = request.query_params.get("force", "false")
    if force not in ("true", "false"):
        raise BadQuery(f"force: unknown value {force!r} (known: true, false)")
    info = await _found(baselines, request, alone=True)
    try:
        await _asked(baselines.delete(info.label, info.version, force=force == "true"))
    except ValueError as error:
        raise HTTPException(409, f"{error}, or delete it with force=true") from error
    await tracker.show()
    return Response(status_code=204)


async def export(_: Tracker, baselines: Baselines, request: Request) -> Response:
    """It as a file."""
    info = await _found(baselines, request)
    return _file(f"{info.label}-v{info.version}", await _asked(baselines.export(info.label, info.version)))


async def export_now(tracker: Tracker, baselines: Baselines, request: Request) -> Response:
    """What was measured between `to` (default: now) and `from` (default: two days before), as a file."""
    query = request.query_params
    until = moment(query, "to", tracker.now)
    since = moment(query, "from", until - RECORDED)
    if since >= until:
        raise BadQuery("from: not before to")
    return _file("now", await _asked(baselines.export_window(since, until)))


async def import_(_: Tracker, baselines: Baselines, request: Request) -> Response:
    """Take a file in, active for no series. One that is here already is left as it is."""
    data = await _body(request, MOST_FILE)
    try:
        infos = await _asked(baselines.import_(data))
    except BadFile as error:
        raise HTTPException(422, f"the file is refused: {error}") from error
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
    found: dict[str, object] = {"baselines": [as_dict(info) for info in infos]}
    if len(infos) == 1:
        found["baseline"] = as_dict(infos[0])
    return JSONResponse(found, status_code=201)


def as_dict(info: BaselineInfo) -> dict[str, Any]:
    """A baseline without its hours, as plain JSON values."""
    times = {name: rfc3339_at(getattr(info, name)) for name in _TIMES}
    head = {"label": info.label, "version": info.version, "series": info.series, "active": info.active}
    return {**head, **times, "origin": {**asdict(info.origin), "about": dict(info.origin.about)}}


_TIMES: Final = ("since", "until", "recorded_at")


async def _asked(asked: Awaitable[T]) -> T:
    """What the store gives. Its failures leave as answers."""
    try:
        return await asked
    except UnknownBaseline as error:
        raise HTTPException(404, str(error.args[0])) from error
    except StoreFailed as error:
        raise HTTPException(503, f"the store failed: {error}") from error


async def _found(baselines: Baselines, request: Request, *, alone: bool = False) -> BaselineInfo:
    """The baseline of the path, its newest version unless `version` names one. `alone`: one of several has to be
    named."""
    label, query = str(request.path_params["label"]), request.query_params
    infos = await _asked(baselines.baselines())
    versions = {info.version: info for info in infos if info.label == label}
    if not versions:
        known = dict.fromkeys(info.label for info in infos)
        raise HTTPException(404, f"there is no baseline {label!r}{did_you_mean(label, known)}")
    there = ", ".join(map(str, sorted(versions)))
    if "version" not in query:
        if alone and len(versions) > 1:
            raise BadQuery(f"version: which one of {label}? There are: {there}")
        return versions[max(versions)]
    version = number(query, "version", 1, _LATEST_VERSION)
    if version not in versions:
        raise HTTPException(404, f"there is no version {version} of {label} (there are: {there})")
    return versions[version]


async def _words(request: Request) -> Mapping[str, Any]:
    """The JSON object of a request, with the fields that are known."""
    try:
        asked = json.loads(await _body(request, MOST_WORDS))
    except (ValueError, RecursionError) as error:
        raise BadQuery(f"not JSON: {error}") from error
    if not isinstance(asked, dict):
        raise BadQuery('not a JSON object as in {"label": "cilium-1.17.3"}')
    for name in asked:
        if name not in _ASKED:
            raise BadQuery(f"unknown field {name!r}{did_you_mean(name, _ASKED)}")
    return asked


async def _body(request: Request, most: int) -> bytes:
    """All of a request. HTTPException: it is too large."""
    read = bytearray()
    async for piece in request.stream():
        read += piece
        if len(read) > most:
            raise HTTPException(413, f"more than {most} bytes")
    return bytes(read)


def _file(name: str, data: bytes) -> Response:
    disposition = f"attachment; filename*=UTF-8''{quote(f'{name}.prober.gz', safe='')}"
    headers = {"Content-Disposition": disposition, "Content-Length": str(len(data)), "Cache-Control": "no-store"}
    return Streamed(_in_pieces(data), headers, "application/gzip")


async def _in_pieces(data: bytes) -> AsyncGenerator[bytes, None]:
    for at in range(0, len(data), _PIECE):
        yield data[at : at + _PIECE]


def _with_figures(info: BaselineInfo, recording: Recording) -> Iterator[str]:
    yield json.dumps(as_dict(info), ensure_ascii=False)[:-1] + ', "figures": ['
    separator = "\n"
    for told in figures(recording):
        yield separator + json.dumps(told, ensure_ascii=False)
        separator = ",\n"
    yield "\n]}\n"


def _refused(refused: tuple[Refused, ...]) -> list[dict[str, str]]:
    return [{"series": str(one.series), "why": one.why} for one in refused]


Answers = Callable[[Tracker, Baselines, Request], Awaitable[Response]]
#: By the name of the route in `app`.
ENDPOINTS: Final[Mapping[str, Answers]] = {
    "list": list_all,
    "record": record,
    "one": one,
    "accept": accept,
    "delete": delete,
    "export": export,
    "export_now": export_now,
    "import": import_,
    "shifts": shifts,
}
