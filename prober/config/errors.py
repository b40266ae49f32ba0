"""What is wrong with a configuration: problems with their places. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Loc = tuple[str | int, ...]
"""The way from the root of a file to one of its values: keys and list positions."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1; `where` names the value, as in `probes[1].kind`."""

    file: str
    line: int
    column: int
    where: str
    message: str

    def __str__(self) -> str:
        """`probes.yaml:12:5: probes[1].intervall: unknown key`; without the name where it is the file as a whole."""
        where = f"{self.where}: " if self.where else ""
        return f"{self.file}:{self.line}:{self.column}: {where}{self.message}"


class ConfigError(Exception):
    """A configuration that is refused. `problems` holds everything wrong with it, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(map(str, self.problems)))


def where(loc: Loc) -> str:
    """A place as people write it: `probes[1].matrix.path[0]`."""
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
