"""How a cell is probed, as a hash: where it changes, the path is another one, and what was usual says nothing. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from prober.model import Cell
from prober.options import Options
from prober.redact import redact_text

#: What a cell is called or held against, how often it is probed and for how long at most: none of it is the path.
_NOT_THE_PATH: Final = frozenset(
    ("probe", "target", "path", "interval", "timeout", "budget", "quantile_budget", "baseline", "hidden", "id",
     "ladder", "shown")
)  # fmt: skip


def settings_of(cell: Cell) -> str:
    """16 hex digits. Values of variables count by the variable's name: a password that is renewed changes nothing. What
    is left at its default is left out, so that an option which a later prober knows changes nothing either."""
    plain = _plain(cell, cell.hidden)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: Any, hidden: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return redact_text(value, hidden)
    if isinstance(value, Options):
        return _told(_set(value), hidden)
    if is_dataclass(value):
        shown = (field for field in fields(value) if field.name not in _NOT_THE_PATH)
        return _told({f.name: one for f in shown if (one := getattr(value, f.name)) != f.default}, hidden)
    if isinstance(value, Mapping):
        return _told(value, hidden)
    if isinstance(value, tuple | list):
        return [_plain(one, hidden) for one in value]
    return value if isinstance(value, int | float | None) else str(value)


def _told(values: Mapping[str, Any], hidden: Mapping[str, str]) -> dict[str, Any]:
    told = {str(name): _plain(value, hidden) for name, value in values.items()}
    return {name: value for name, value in told.items() if value not in ({}, [])}


def _set(value: Options) -> dict[str, Any]:
    """What was set, and to something else than its default."""
    fields_of = type(value).model_fields
    told = {name: getattr(value, name) for name in value.model_fields_set}
    return {n: one for n, one in told.items() if one != fields_of[n].get_default(call_default_factory=True)}
