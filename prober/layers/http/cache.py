"""Whether a cache answered, in one word, from what caches and content networks put into their responses. Pure."""

from __future__ import annotations

import re
from typing import Final, Literal

from prober.wire.http import Fields

CacheState = Literal["hit", "miss", "stale", "expired", "revalidated", "bypass"]
"""`hit`: a cache answered. `stale`: it did, with what had expired. `revalidated`: it did, once the origin had said that
nothing changed. `expired`, `miss`: it had to ask the origin. `bypass`: it does not keep this at all."""

#: Words of vendors → state, in the order in which they count: of several caches, one that answered decides.
_WORDS: Final[tuple[tuple[re.Pattern[str], CacheState], ...]] = (
    (re.compile(r"revalidated|refresh_?hit|refresh_unmodified"), "revalidated"),
    (re.compile(r"stale|updating"), "stale"),
    (re.compile(r"hit|prerender"), "hit"),
    (re.compile(r"expired|refresh_?miss|refresh_modified"), "expired"),
    (re.compile(r"miss"), "miss"),
    (re.compile(r"bypass|dynamic|pass|nocache|no-cache|nostore|uncacheable|skip|none"), "bypass"),
)
#: RFC 9211 section 2.2: why a cache forwarded the request. It validates (304) or fetches anew what is `stale`.
_FORWARDED: Final[dict[str, CacheState]] = {
    "bypass": "bypass",
    "method": "bypass",
    "request": "bypass",
    "uri-miss": "miss",
    "vary-miss": "miss",
    "miss": "miss",
    "partial": "miss",
    "stale": "expired",
}
#: Fields that name the state, the standard's first; the rest by how sure one may be of their words.
CACHE_FIELDS: Final = (
    b"cache-status", b"cf-cache-status", b"x-cache", b"x-cache-status", b"x-proxy-cache", b"x-vercel-cache",
    b"x-nextjs-cache", b"x-varnish-cache", b"x-litespeed-cache", b"akamai-cache-status",
)  # fmt: skip


def cache_state(fields: Fields) -> CacheState | None:
    """The state that the response's fields tell; None where no cache speaks."""
    for name in CACHE_FIELDS:
        values = ",".join(value.decode("latin-1") for key, value in fields if key == name).lower()[:1000]
        state = (_standard if name == b"cache-status" else _vendor)(values) if values else None
        if state is not None:
            return state
    age = next((value for key, value in fields if key == b"age"), b"")
    # RFC 9111 section 5.1: with an Age it was neither made nor validated for this request; some send 0 with a miss
    return "hit" if age.isdigit() and age.strip(b"0") else None


def _standard(text: str) -> CacheState | None:
    """RFC 9211: one member for each cache, the one nearest to the origin first."""
    members = [dict(_parameters(member)) for member in text.split(",")]
    if any("hit" in member for member in members):
        return "hit"
    for member in reversed(members):
        state = _FORWARDED.get(member.get("fwd", ""))
        if state is not None:
            return "revalidated" if state == "expired" and member.get("fwd-status") == "304" else state
    return None


def _parameters(member: str) -> list[tuple[str, str]]:
    return [(name.strip(), value.strip(' "')) for name, _, value in (p.partition("=") for p in member.split(";")[1:])]


def _vendor(text: str) -> CacheState | None:
    return next((state for pattern, state in _WORDS if pattern.search(text)), None)
