"""Query parameters: only those that an endpoint knows, and only values that make sense. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches

from starlette.datastructures import QueryParams

from prober.model import Cell

#: Filters by a label of the cell. Given several times, any of the values will do.
CELL_FILTERS = ("probe", "target", "path", "family")


class BadQuery(ValueError):
    """A query that is refused, with a sentence that says why."""


def refuse_unknown(query: QueryParams, known: Iterable[str]) -> None:
    """BadQuery where `query` has a parameter that is not `known`."""
    known = tuple(known)
    for name in query:
        if name not in known:
            raise BadQuery(f"unknown query parameter {name!r}{did_you_mean(name, known)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` (did you mean X?)`, or what is known at all; empty where nothing is."""
    known = tuple(known)
    if close := get_close_matches(word, known, 1):
        return f" (did you mean {close[0]}?)"
    return f" (known: {', '.join(known)})" if known else ""


def choice(query: QueryParams, name: str, known: Iterable[str]) -> frozenset[str]:
    """The values of a parameter out of a closed list; empty: not given. BadQuery for another value."""
    known = tuple(known)
    for value in query.getlist(name):
        if value not in known:
            raise BadQuery(f"{name}: unknown value {value!r}{did_you_mean(value, known)}")
    return frozenset(query.getlist(name))


def number(query: QueryParams, name: str, default: int, highest: int) -> int:
    """A whole number from 1 to `highest`. BadQuery for anything else."""
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:20]) <= highest:
        raise BadQuery(f"{name}: not a number from 1 to {highest}: {text!r}")
    return int(text)


def moment(query: QueryParams, name: str, default: float) -> float:
    """Unix seconds of an RFC 3339 time with its zone. BadQuery for anything else."""
    text = query.get(name)
    return default if text is None else moment_of(name, text)


def moment_of(name: str, text: object) -> float:
    """The same of a text at hand."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadQuery(f"{name}: not a time as in 2026-11-26T14:20:00Z: {text!r}")
    return found.timestamp()


class CellFilter:
    """Which cells a query asks for."""

    def __init__(self, query: QueryParams, families: Iterable[str]) -> None:
        choice(query, "family", families)
        self._wanted = {name: frozenset(query.getlist(name)) for name in CELL_FILTERS if name in query}

    def takes(self, cell: Cell) -> bool:
        """Whether `cell` has one of the wanted values in each filter that was given."""
        return all(getattr(cell, name) in values for name, values in self._wanted.items())
