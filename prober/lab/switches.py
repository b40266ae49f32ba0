"""Which faults are on. The servers read it at each connection and each request, so a fault needs no restart."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from prober.lab.faults import FAULTS, known


class Switches:
    """The switchboard of one lab: every fault is off at first.

    `more` are names beside the catalogue's, for servers that can do more than those here.
    """

    def __init__(self, more: Collection[str] = ()) -> None:
        self._more = more
        self._on: set[str] = set()

    def turn(self, name: str, on: bool) -> None:
        """Switch the fault `name`; KeyError (with did-you-mean) for a name outside the catalogue."""
        self._check(name)
        (self._on.add if on else self._on.discard)(name)

    def on(self, name: str) -> bool:
        """Whether the fault `name` is on; KeyError for a name outside the catalogue."""
        self._check(name)
        return name in self._on

    def first(self, *names: str) -> str | None:
        """The first of `names` that is on: where faults exclude each other, the one nearer the wire comes first."""
        return next((name for name in names if self.on(name)), None)

    def among(self, prefix: str) -> frozenset[str]:
        """The faults that are on and begin with `prefix`."""
        return frozenset(name for name in self._on if name.startswith(prefix))

    def state(self) -> Mapping[str, bool]:
        """Every fault of the catalogue → whether it is on."""
        return {name: name in self._on for name in (*FAULTS, *self._more)}

    def _check(self, name: str) -> None:
        if name not in self._more:
            known(name)
