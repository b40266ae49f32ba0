"""What `prober dns` says of its lookups: as plain values, and as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from prober.units import human_seconds

if TYPE_CHECKING:
    from rich.console import Console

    from prober.options import Profile
    from prober.wire.dns.message import Step
    from prober.wire.dns.resolver import Lookup
    from prober.wire.dns.trail import Trail

_WIDE = 240


def walked(profile: Profile, types: Sequence[str], lookup: Lookup, trail: Trail) -> dict[str, Any]:
    """One lookup; times in seconds. `error` is what getaddrinfo of this C library would return, if it would return."""
    from prober.wire.dns.eai import error_of

    step = lookup.decisive
    found = lookup.reason is None
    return {
        "profile": str(profile),
        "found": lookup.name if found else None,
        "suffix": lookup.suffix if found else None,
        "reason": None if found else str(lookup.reason),
        "error": error_of(lookup, profile),
        "because": None if found or step is None else _because(step),
        "addresses": [answer for step in lookup.steps for answer in step.answers] if found else [],
        "connects": _connects(profile, lookup) if found else [],
        "sent": trail.asked,
        "needed": len(types),
        "amplification": round(trail.asked / len(types), 2),
        "seconds": round(trail.seconds, 6),
        "wasted_seconds": round(trail.wasted(lookup), 6),
        "queries": [{**step.shown(), "answers": list(step.answers)} for step in trail.steps],
    }


def _connects(profile: Profile, lookup: Lookup) -> list[str]:
    """The addresses in the order in which a program tries them; none where other types were asked for."""
    from prober.options import Profile
    from prober.wire.dns.destinations import order, sources

    if not {step.query.type for step in lookup.steps} <= {"A", "AAAA"}:
        return []
    steps = lookup.steps if profile is Profile.GLIBC else lookup.steps[::-1]  # musl puts AAAA first since 1.2.4
    addresses = [answer for step in steps for answer in step.answers]
    return order(profile, addresses, sources(addresses))


def _because(step: Step) -> str:
    """The step that decided a failure: the response code where it tells, else the reason."""
    word = step.reason if step.rcode in (None, "NOERROR") else step.rcode
    return f"{step.query.name} {step.query.type}: {word}"


def differ(walks: Sequence[dict[str, Any]]) -> str | None:
    """Where several lookups differ, in one sentence; None for a single one."""
    if len(walks) < 2:
        return None
    results = {(walk["error"], walk["found"], frozenset(walk["addresses"]), *walk["connects"][:1]) for walk in walks}
    told = "; ".join(f"{walk['profile']} {_result(walk)} {_cost(walk)}" for walk in walks)
    if len(results) > 1:
        return f"They differ: {told}."
    costs = ", ".join(f"{walk['profile']} {_cost(walk)}" for walk in walks)
    return f"They agree: each {_result(walks[0])}; {costs}."


def _result(walk: dict[str, Any]) -> str:
    from prober.wire.dns.eai import ENDLESS

    if walk["error"] is None:
        return f"returns {', '.join(walk['connects'] or walk['addresses'])} of {walk['found']}"
    failed = "does not return" if walk["error"] == ENDLESS else f"fails with {walk['error']}"
    return failed + (f" ({walk['because']})" if walk["because"] else "")


def _cost(walk: dict[str, Any]) -> str:
    return f"after {_count(walk['sent'])} and {human_seconds(walk['seconds'])}"


def _count(sent: int) -> str:
    return f"{sent} {'query' if sent == 1 else 'queries'}"


def show(report: dict[str, Any]) -> None:
    """The report for people."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE  # for grep: no line is folded
    search = ", ".join(report["search"]) or "none"
    for walk in report["walks"]:
        console.print(Text(f"{report['name']} as {walk['profile']}: ndots {report['ndots']}, search {search}"))
        _table(console, walk["queries"])
        console.print(Text(_summary(walk)))
    if report["differ"]:
        console.print(Text(report["differ"]))
    if report["here"]:
        console.print(Text(_here(report["here"])))


def _table(console: Console, queries: Sequence[dict[str, Any]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("#", "name", "type", "server", "result", "ms", "answer", box=None, pad_edge=False)
    for number, query in enumerate(queries, 1):
        server = query["server"] + ("" if query["transport"] == "udp" else f"/{query['transport']}")
        answer = "; ".join(filter(None, (", ".join(query["answers"]) or query.get("detail", ""), *_beside(query))))
        style = "green" if query["answers"] else "yellow" if query["rcode"] else "red"
        cells = (str(number), query["name"], query["type"], server, _said(query), f"{query['seconds'] * 1e3:.2f}")
        table.add_row(*map(Text, cells), Text(answer), style=style)
    console.print(table)


def _beside(query: dict[str, Any]) -> Iterator[str]:
    """What the server says beside its answer: why it fails (RFC 8914), who it is (RFC 5001)."""
    for error in query.get("ede", ()):
        yield f"{error['name'] or 'extended error'} ({error['code']})" + (f": {error['text']}" if error["text"] else "")
    if "nsid" in query:
        yield f"from {query['nsid']}"


def _said(query: dict[str, Any]) -> str:
    """The response code, and the reason where the code alone does not tell."""
    if query["rcode"] is None:
        return str(query["reason"])
    return (
        f"{query['rcode']} ({query['reason']})" if query["rcode"] == "NOERROR" and "reason" in query else query["rcode"]
    )


def _summary(walk: dict[str, Any]) -> str:
    cost = f"{_count(walk['sent'])} sent, {walk['needed']} needed: amplification {walk['amplification']:g}"
    times = f"{walk['seconds'] * 1e3:.2f} ms, of which {walk['wasted_seconds'] * 1e3:.2f} ms wasted on other names"
    if walk["found"] is None:
        return f"not found: {walk['reason']} ({walk['error']}). {cost}; {times}"
    where = f" through search {walk['suffix']}" if walk["suffix"] else ""
    first = f"; a program connects to {', then '.join(walk['connects'])}" if walk["connects"] else ""
    return f"found as {walk['found']}{where}{first}. {cost}; {times}"


def _here(here: dict[str, Any]) -> str:
    result = f"fails with {here['error']}" if here["error"] else f"returns {', '.join(here['addresses'])}"
    search = ", ".join(here["search"]) or "none"
    took = human_seconds(here["seconds"])
    return f"getaddrinfo here ({here['libc']}; ndots {here['ndots']}, search {search}) {result} after {took}"
