"""What first runs would otherwise pay for: imports, TLS contexts, the HTTP client. Their cost is not the network's."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from prober.layers.base import Kit
from prober.layers.rungs import rung_of
from prober.model import Cell
from prober.reasons import Layer
from prober.wire.stamps import StampKeeper


def import_rungs(cells: Iterable[Cell]) -> frozenset[Layer]:
    """Import what the cells' rungs need; which layers they are. May be called from a thread."""
    rungs = {(cell.kind, layer) for cell in cells for layer in cell.ladder}
    for kind, layer in rungs:
        rung_of(kind, layer)
    return frozenset(layer for _, layer in rungs)


def fill(kit: Kit, cells: Iterable[Cell]) -> None:
    """Make what the cells' climbs will take from `kit`. A context that cannot be made is left to the climb to tell."""
    cells = tuple(cells)
    kit.get(StampKeeper)
    layers = import_rungs(cells)
    if Layer.TLS in layers:
        from prober.layers.tls import settings_of
        from prober.wire.tls_context import Contexts

        contexts = kit.get(Contexts)
        for settings in {settings_of(cell) for cell in cells if Layer.TLS in cell.ladder}:
            with suppress(OSError):
                contexts.get(settings)
    if Layer.HTTP in layers:
        from prober.wire.http import HttpClient

        kit.get(HttpClient)
