"""What first runs would otherwise pay for: imports, TLS contexts, the HTTP client. Their cost is not the network's."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from prober.layers.base import Kit
from prober.layers.rungs import rung_of
from prober.model import Cell
from prober.reasons import Kind, Layer
from prober.wire.dns.resolvconf import ENCRYPTED_PORTS, Server
from prober.wire.stamps import StampKeeper


def import_rungs(cells: Iterable[Cell]) -> frozenset[Layer]:
    """Import what the cells' rungs need; which layers they are. May be called from a thread."""
    rungs = {(cell.kind, layer) for cell in _with_inner(cells) for layer in cell.ladder}
    for kind, layer in rungs:
        rung_of(kind, layer)
    return frozenset(layer for _, layer in rungs)


def fill(kit: Kit, cells: Iterable[Cell]) -> None:
    """Make what the cells' climbs will take from `kit`. A context that cannot be made is left to the climb to tell."""
    cells = _with_inner(cells)
    kit.get(StampKeeper)
    layers = import_rungs(cells)
    if Layer.TLS in layers:
        from prober.layers.tls.rung import settings_of
        from prober.wire.tls.context import Contexts

        contexts = kit.get(Contexts)
        for settings in {settings_of(cell) for cell in cells if Layer.TLS in cell.ladder}:
            with suppress(OSError):
                contexts.get(settings)
    if Layer.HTTP in layers:
        from prober.wire.http import HttpClient

        kit.get(HttpClient)


def _with_inner(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """The cells, and for each dns cell that asks over TLS or HTTPS one that climbs those rungs."""
    cells = tuple(cells)
    encrypted = [cell for cell in cells if cell.kind is Kind.DNS and cell.options.dns.transport in ENCRYPTED_PORTS]
    if not encrypted:
        return cells
    from prober.layers.dns.channel import inner_cell

    return (*cells, *(inner_cell(cell, Server("127.0.0.1")) for cell in encrypted))
