"""What the app needs of the service and of the lab: the seam between the web and the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from prober.engine.board import Board
from prober.export.exposition import Exposition
from prober.model import Vantage

if TYPE_CHECKING:
    from prober.engine.baselines.tracker import Tracker


class ReloadResult(Protocol):
    """What came of a reload."""

    @property
    def ok(self) -> bool:
        """Whether the configuration is in force."""
        ...

    @property
    def message(self) -> str:
        """A summary, or the errors of the configuration, for people."""
        ...

    @property
    def cells(self) -> int:
        """How many cells run now."""
        ...


class ServiceView(Protocol):
    """What the app shows of the service. Used from the event loop's thread alone."""

    @property
    def exposition(self) -> Exposition:
        """Renders `/metrics`."""
        ...

    @property
    def board(self) -> Board:
        """The latest runs."""
        ...

    @property
    def vantage(self) -> Vantage:
        """Where the probes run."""
        ...

    @property
    def tracker(self) -> Tracker | None:
        """Baselines and budgets on quantiles; None where the configuration asks for neither."""
        ...

    def ready(self) -> tuple[bool, str]:
        """Whether a configuration is loaded and the scheduler runs, and a sentence about it."""
        ...

    def healthy(self) -> tuple[bool, str]:
        """Whether the scheduler ticks and the event loop keeps up, and a sentence about it."""
        ...

    async def reload(self) -> ReloadResult:
        """Load the configuration anew. A bad one changes nothing; never raises for one."""
        ...


class LabControl(Protocol):
    """The switchboard of the embedded lab."""

    @property
    def faults(self) -> Sequence[Mapping[str, object]]:
        """All faults, JSON-ready: each with at least `name` (str) and `on` (bool)."""
        ...

    async def set_fault(self, name: str, on: bool) -> None:
        """Switch a fault that `faults` names. RuntimeError, with a sentence, where this machine cannot have it."""
        ...
