"""Where the addresses of cells with `endpoints:` come from: EndpointSlices, watched only if such a cell exists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from prober.model import Cell, ServiceRef

if TYPE_CHECKING:
    from prober.kubernetes.api import ApiAccess
    from prober.kubernetes.endpointslices import EndpointSlices


class Unknown(Exception):
    """Nothing can be said about a Service's addresses; the text says why. No fault of the target."""


class Endpoints:
    """The ready addresses behind each Service that a cell names. Without such cells nothing is imported or watched.

    `access` is the way to the API server; None is the one that every Pod is given.
    """

    def __init__(self, access: ApiAccess | None = None) -> None:
        self._access = access
        self._refs: frozenset[ServiceRef] = frozenset()
        self._slices: EndpointSlices | None = None
        self._started = False

    def set_cells(self, cells: Iterable[Cell]) -> None:
        """Watch the Services of these cells, and of no others."""
        self._refs = frozenset(cell.endpoint.service for cell in cells if cell.endpoint.service is not None)
        if not self._started:
            return
        if self._slices is None and self._refs:
            self._slices = self._open()
        if self._slices is not None:
            self._slices.set_refs(self._refs)

    async def start(self) -> None:
        """Begin to watch; waits a few seconds for the first answers."""
        self._started = True
        if self._refs:
            self._slices = self._open()
        if self._slices is not None:
            await self._slices.start(self._refs)

    async def close(self) -> None:
        """Watch no more."""
        self._started = False
        slices, self._slices = self._slices, None
        if slices is not None:
            await slices.close()

    def of(self, cell: Cell) -> Sequence[tuple[str, int]] | None:
        """(address, port) of each ready endpoint of the cell's family; None for a cell that names no Service.

        Raises Unknown while nobody can tell.
        """
        ref = cell.endpoint.service
        if ref is None:
            return None
        if self._slices is None:
            raise Unknown("no API server to ask for EndpointSlices: KUBERNETES_SERVICE_HOST is not set")
        from prober.kubernetes.endpointslices import NotKnown

        try:
            return self._slices.ready(ref, cell.family)
        except NotKnown as error:
            raise Unknown(error.detail) from error

    def node_of(self, ref: ServiceRef, address: str) -> str:
        """The node that a ready address of a Service is on; "" where nobody knows."""
        return "" if self._slices is None else self._slices.node_of(ref, address)

    def _open(self) -> EndpointSlices | None:
        from prober.kubernetes.api import ApiAccess
        from prober.kubernetes.endpointslices import EndpointSlices

        access = self._access or ApiAccess.in_cluster()
        return None if access is None else EndpointSlices(access)
