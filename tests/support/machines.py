"""Running a lookup's machine without any I/O, against answers that a test makes up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from prober.wire.dns.message import Step
from prober.wire.dns.resolver import Lookup, Machine


def drive(machine: Machine, answer: Callable[[Any], Sequence[Step]]) -> tuple[Lookup, list[Any]]:
    """The lookup, and everything that was asked on the way; `answer` gives the steps for each ask or race."""
    asked: list[Any] = []
    steps: Sequence[Step] | None = None
    while True:
        try:
            ask = next(machine) if steps is None else machine.send(steps)
        except StopIteration as over:
            lookup: Lookup = over.value
            return lookup, asked
        asked.append(ask)
        steps = answer(ask)
