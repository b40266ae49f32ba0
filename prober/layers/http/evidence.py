"""What an HTTP answer tells beside its worth: fields kept as evidence, phases, who answered, from which cache."""

from __future__ import annotations

import re
from typing import Final

from prober.layers.base import Ascent
from prober.layers.excerpt import EXCERPT, shown
from prober.layers.http.cache import CACHE_FIELDS, cache_state
from prober.layers.http.envoy import UPSTREAM_TIME
from prober.layers.http.front_end import front_end_of
from prober.wire.http import Record

#: Response fields worth keeping → the name they have in the evidence.
_KEPT: Final = {
    b"server": "server",
    b"location": "location",
    b"via": "via",
    b"content-type": "content_type",
    b"content-encoding": "content_encoding",
    b"content-length": "content_length",
    b"retry-after": "retry_after",
    b"www-authenticate": "www_authenticate",
    b"proxy-status": "proxy_status",
    b"age": "age",
    b"alt-svc": "alt_svc",
    b"traceparent": "traceparent",
    b"server-timing": "server_timing",
    # which place of a content network answered
    b"x-served-by": "x_served_by",
    b"cf-ray": "cf_ray",
    b"x-amz-cf-pop": "x_amz_cf_pop",
    b"x-amz-cf-id": "x_amz_cf_id",
    b"x-azure-ref": "x_azure_ref",
    **{name: name.decode().replace("-", "_") for name in CACHE_FIELDS},
}
_OF_CACHES: Final = frozenset({*CACHE_FIELDS, b"age"})
_ENVOY: Final = b"x-envoy-"
_REQUEST_ID: Final = b"x-request-id"
#: Fields of one front end that are kept.
_MOST: Final = 8
#: Server-Timing (W3C): the metrics that say how long the place behind the front end took, in milliseconds.
_BEHIND: Final = re.compile(
    r"(?:^|,)\s*(?:upstream|origin|cforigin)\s*;[^,]*?\bdur=\"?(\d{1,9}(?:\.\d{1,6})?)", re.IGNORECASE
)


def note(ascent: Ascent, record: Record) -> None:
    """What the record says, complete or not, as evidence, phases and seconds."""
    ascent.phases.update(record.phases())
    if record.seconds is not None:
        ascent.took(record.seconds, kernel=record.kernel)
    if record.informational:
        ascent.evidence["informational"] = len(record.informational)
    if record.status is None:
        return
    ascent.evidence.update(status=record.status, http_version=record.version, bytes=record.size)
    _keep(ascent, record)


def _keep(ascent: Ascent, record: Record) -> None:
    """The fields worth keeping: of a name that is there several times the first, of Envoy's a few."""
    evidence, seen = ascent.evidence, set()
    envoy: dict[str, str] = {}
    for name, value in record.fields:
        key = _KEPT.get(name)
        if key is not None:
            if key not in evidence:
                evidence[key] = shown(ascent, value)
                seen.add(name)
        elif name == _REQUEST_ID:
            if (theirs := shown(ascent, value)) != evidence.get("request_id"):
                evidence["response_request_id"] = theirs
        elif name.startswith(_ENVOY) and len(envoy) < _MOST:
            envoy[shown(ascent, name[len(_ENVOY) :])] = shown(ascent, value)
    if envoy:
        evidence["envoy"] = envoy
    if not seen.isdisjoint(_OF_CACHES):
        _note_cache(ascent, record)
    if envoy or b"server-timing" in seen:
        _note_upstream(ascent, record)


def _note_upstream(ascent: Ascent, record: Record) -> None:
    """What the front end accounts for, and what is left of the wait: the network's and that of queues."""
    upstream, phases = _upstream(record), ascent.phases
    if upstream is None:
        return
    phases["upstream"] = upstream
    if "first_byte" in phases:
        waited = phases.get("request", 0.0) + phases["first_byte"]
        phases["network"] = max(0.0, waited - upstream)  # Envoy's is in whole milliseconds


def _note_cache(ascent: Ascent, record: Record) -> None:
    """What caches say, in one word, and the answer's age in seconds."""
    evidence = ascent.evidence
    if (age := evidence.get("age", "")).isdecimal():
        evidence["age"] = int(age[:9])
    if (state := cache_state(record.fields)) is not None:
        evidence["cache"] = state


def _upstream(record: Record) -> float | None:
    """Seconds that the place behind the front end took, as Envoy or Server-Timing says it."""
    envoy = record.value(UPSTREAM_TIME)
    if envoy is not None and envoy.isascii() and envoy.isdigit():
        return int(envoy[:9]) / 1000
    timing = record.value("server-timing")
    found = None if timing is None else _BEHIND.search(timing[: EXCERPT * 5])
    return None if found is None else float(found[1]) / 1000


def note_front_end(ascent: Ascent, record: Record) -> None:
    """Which front end answered in the place of what is behind it, and why, where it says so."""
    if record.status is not None and record.status >= 400:
        ascent.evidence |= front_end_of(record)
