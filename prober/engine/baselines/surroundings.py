"""What the nodes of endpoints are: asked of the API server where a change is of some of them, and only then.

It only makes sentences better: whoever tells one waits a moment for it and no longer, and a refusal changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from prober.baseline.values import Regression, SeriesKey
from prober.kubernetes.api import ApiAccess, ApiClient, ApiError
from prober.kubernetes.nodes import NodeInfo, ask
from prober.kubernetes.traits import separates

log = logging.getLogger(__name__)

#: Seconds from one question to the next, and for which a sentence waits for an answer.
AGAIN: Final = 600.0
PATIENCE: Final = 2.0
#: Nodes in a page: what is read of one holds the event loop, some 0.1 ms for each.
_PAGE: Final = 50
#: Seconds for all pages.
_LONGEST: Final = 60.0


@dataclass(slots=True)
class Known:
    """The nodes as they were told. `separates` takes up to 0.5 s for 5,000 nodes: it is for a thread."""

    nodes: tuple[NodeInfo, ...]
    zones: Mapping[str, str]
    """The zone of each node."""
    measured: frozenset[str] | None = None
    """Nodes that runs went to lately, if that is known: where no endpoint is any more, nothing is slow or not."""
    _said: dict[tuple[frozenset[str], frozenset[str]], str] = field(default_factory=dict)

    @classmethod
    def of(cls, nodes: tuple[NodeInfo, ...], measured: frozenset[str] | None) -> Known:
        """From what the API server told."""
        return cls(nodes, {node.name: node.zone for node in nodes if node.zone}, measured)

    def separates(self, some: frozenset[str], others: frozenset[str]) -> str:
        """What sets some nodes (by name) apart from others, `on nodes with kernel 6.12`; or nothing. Names are left to
        whoever has them."""
        sides = some, others if self.measured is None else others & self.measured
        if sides not in self._said:
            trait = separates(*sides, self.nodes)
            self._said[sides] = "" if trait is None or trait.kind == "node" else trait.says
        return self._said[sides]


class Surroundings:
    """Asks at most every ten minutes. Of the event loop's thread; `access` is looked up when it is needed."""

    def __init__(
        self, access: Callable[[], ApiAccess | None] = lambda: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._access, self._clock = access, clock
        self._known: Known | None = None
        self._measured: frozenset[str] | None = None
        self._due: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self._told = False

    async def of(self, regressions: Iterable[Regression]) -> Known | None:
        """What is known of nodes, if one of these is of an endpoint's node; None where nothing is, or need be."""
        if not any(isinstance(one.subject, SeriesKey) and one.subject.node for one in regressions):
            return None
        if self._due is None or self._clock() >= self._due:
            self._due = self._clock() + AGAIN
            access = self._access()
            if access is not None and self._asking is None:
                self._asking = asyncio.create_task(self._ask(access), name="baselines: nodes")
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=PATIENCE)
        return self._known

    def see(self, series: Iterable[SeriesKey]) -> None:
        """These had runs in the last block."""
        self._measured = frozenset(key.node for key in series if key.node)
        if self._known is not None:
            self._known.measured = self._measured

    async def close(self) -> None:
        """End."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _ask(self, access: ApiAccess) -> None:
        client = ApiClient(access)
        try:
            async with asyncio.timeout(_LONGEST):
                cluster = await ask(client, page=_PAGE)
            self._known = Known.of(cluster.nodes, self._measured)
        except (ApiError, TimeoutError) as error:
            self._refused(error)
        except Exception:
            log.exception("internal error while nodes were asked for")
        finally:
            self._asking = None
            await client.close()

    def _refused(self, error: Exception) -> None:
        """What was known before stays so."""
        if not self._told:
            log.debug("nodes are told by their names alone, for the API server does not tell of them: %s", error)
        self._told = True
