"""From the text of a configuration to a matrix; for a large one in a process of its own.

In a thread beside the loop the two fight for the interpreter lock: with 10,000 cells a reload took 1.4 s, and runs
began up to 1.4 s late meanwhile. A process of its own hardly disturbs the loop; only new cells come back from it.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prober.config.errors import ConfigError
from prober.config.load import load, load_text
from prober.config.matrix import expand
from prober.engine.warm import import_rungs
from prober.model import Cell, Vantage
from prober.options import NO_WISHES, BaselineSettings

log = logging.getLogger(__name__)

#: Characters of a configuration from which a process is worth its start (half a second, 50 MB).
LARGE = 50_000
#: Cells of the configuration that runs, likewise.
MANY = 1_000
#: Seconds that the process may take.
_PATIENCE = 120.0
#: How much it stands back for the loop (nice(2)).
_NICE = 10


@dataclass(frozen=True, slots=True)
class Matrix:
    """A configuration that was found good: its text, its hash, its cells at this vantage, and what it says of
    baselines."""

    text: str
    hash: str
    cells: tuple[Cell, ...]
    baseline: BaselineSettings = NO_WISHES


NOTHING = Matrix("", "", ())


def read_matrix(path: Path, vantage: Vantage, before: Matrix = NOTHING) -> Matrix:
    """Load `path` and expand it for `vantage`; cells equal to one of `before` are that very object.

    Raises ConfigError, also for a file that cannot be read. What the cells' rungs need is imported here, so that no
    first run waits for an import. Blocks: to be called from a thread.
    """
    text = _read(path)
    large = before.cells and (len(text) > LARGE or len(before.cells) > MANY)
    matrix = (_far(text, str(path), vantage, before) if large else None) or _near(text, str(path), vantage, before)
    import_rungs(matrix.cells)
    return matrix


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        load(path)  # says what is wrong, as a ConfigError
        return _read(path)  # it has become readable meanwhile


def _near(text: str, name: str, vantage: Vantage, before: Matrix) -> Matrix:
    """In this process."""
    known = {cell.id: cell for cell in before.cells}
    config = load_text(text, name)
    cells = tuple(_same(known.get(c.id), c) for c in expand(config, vantage))
    return Matrix(text, config.source_hash, cells, config.baseline)


def _same(old: Cell | None, new: Cell) -> Cell:
    """The old object where both are equal: every later comparison of the two is then cheap."""
    return old if old is not None and old == new else new


def _far(text: str, name: str, vantage: Vantage, before: Matrix) -> Matrix | None:
    """In a process of its own; None where that cannot be had."""
    try:
        done = subprocess.run(  # noqa: S603 - this very module
            [sys.executable, "-m", __name__],
            input=pickle.dumps((before.text, text, name, vantage)),
            stdout=subprocess.PIPE,
            timeout=_PATIENCE,
            check=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        known, hash_or_problems, cells, baseline = pickle.loads(done.stdout)  # noqa: S301 - written by our own code below
    except (OSError, subprocess.SubprocessError, pickle.UnpicklingError, EOFError) as error:
        log.warning("no process to load the configuration in (%s): it is loaded beside the schedule", error)
        return None
    if cells is None:
        raise ConfigError(hash_or_problems)
    if known != len(before.cells):
        return None  # the environment differs over there: nothing can be said about what is equal
    same = tuple(before.cells[c] if isinstance(c, int) else c for c in cells)
    return Matrix(text, hash_or_problems, same, baseline)


def _answer(
    old: str, new: str, name: str, vantage: Vantage
) -> tuple[int, object, Sequence[int | Cell] | None, BaselineSettings | None]:
    """What the other process finds: how many cells there were, the new hash, each new cell, or which old one it is, and
    what is said of baselines.

    With problems: those in place of the hash, and nothing after them.
    """
    before = expand(load_text(old, name), vantage)
    known = {cell.id: number for number, cell in enumerate(before)}
    try:
        config = load_text(new, name)
    except ConfigError as error:
        return len(before), error.problems, None, None
    cells: list[int | Cell] = []
    for cell in expand(config, vantage):
        number = known.get(cell.id)
        cells.append(cell if number is None or before[number] != cell else number)
    return len(before), config.source_hash, cells, config.baseline


if __name__ == "__main__":
    os.nice(_NICE)
    sys.stdout.buffer.write(pickle.dumps(_answer(*pickle.load(sys.stdin.buffer))))  # noqa: S301 - from `_far` above
