"""The cells that a command works on: from a file, and those of them that were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

from prober.config.errors import ConfigError
from prober.config.load import load
from prober.config.matrix import expand
from prober.config.words import suggest
from prober.model import Cell, Vantage


class UsageError(Exception):
    """The command cannot begin; the text says why, for people."""


def cells_of(path: Path, vantage: Vantage) -> tuple[Cell, ...]:
    """The cells of the configuration in `path` at `vantage`. UsageError with every problem of it."""
    try:
        cells = expand(load(path), vantage)
    except ConfigError as error:
        raise UsageError(str(error)) from None
    if not cells:
        raise UsageError(f"prober: {path} has no cell for this vantage ({vantage.name})")
    return cells


def only(cells: Sequence[Cell], attribute: str, names: Sequence[str]) -> tuple[Cell, ...]:
    """The cells whose `attribute` (`probe`, `target`) is among `names`; all of them where none is named.

    UsageError for a name that no cell has.
    """
    value = attrgetter(attribute)
    known = dict.fromkeys(value(cell) for cell in cells)
    for name in names:
        if name not in known:
            raise UsageError(f"prober: no {attribute} {name!r} here{suggest(name, known)}")
    return tuple(cell for cell in cells if not names or value(cell) in names)
