"""JSONPath (RFC 9535): paths compiled once, and what they select of a document. The only module that imports jsonpath.

It is imported with the first path that is asked for: most configurations have none.
"""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonpath import CompoundJSONPath, JSONPath, JSONPathEnvironment


def parse_json(body: bytes) -> Any:
    """The document in `body` (RFC 8259), numbers with a fraction as Decimal. ValueError where it holds none."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def select(path: str, document: Any) -> list[Any]:
    """The values that `path` selects of `document`, in order. ValueError for what is no path, or nests too deep."""
    from jsonpath import JSONPathError

    try:
        return list(_compiled(path).findall(document))
    except (JSONPathError, RecursionError) as error:
        raise ValueError(_first_line(error)) from None


def check_path(path: str) -> None:
    """ValueError, with what is wrong and where, if `path` is none of RFC 9535."""
    from jsonpath import JSONPathError

    try:
        _compiled(path)
    except (JSONPathError, RecursionError) as error:
        position = getattr(getattr(error, "token", None), "index", -1)
        where = f" (position {position if position >= 0 else len(path)})"  # -1: it ends too early
        raise ValueError(f"not a JSONPath of RFC 9535: {_first_line(error)}{where}") from None


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: numbers by value, `true` is none (RFC 9535 section 2.3.5.2.2)."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@lru_cache(maxsize=1024)
def _compiled(path: str) -> JSONPath | CompoundJSONPath:
    return _environment().compile(path)


@lru_cache(maxsize=1)
def _environment() -> JSONPathEnvironment:
    """`strict`: what the RFC has, without the library's own additions."""
    from jsonpath import JSONPathEnvironment

    return JSONPathEnvironment(strict=True)


def _first_line(error: Exception) -> str:
    return (
        str(error).strip().splitlines()[0].replace("TOKEN_", "").lower() if str(error).strip() else "nested too deeply"
    )


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON number")
