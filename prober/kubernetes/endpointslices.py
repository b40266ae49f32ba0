"""The ready addresses of the Services that the configuration names: listed once, then watched.

One list and one watch per Service, so that a Service we may not see leaves the others alone.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final
from urllib.parse import urlencode

from prober.kubernetes.api import GONE, ApiAccess, ApiClient, ApiError
from prober.kubernetes.slices import NoSuchPort, Slice, addresses, parse_slice
from prober.model import ServiceRef
from prober.reasons import Family

log = logging.getLogger(__name__)

#: Seconds that one watch is asked to last; a connection that died unseen is found out soon after.
WATCH: Final = 150
_GRACE: Final = 15.0
#: Seconds before the first try again, and at most.
BACKOFF: Final = (0.2, 30.0)
#: Seconds that `start` waits for the first answers.
FIRST_ANSWERS: Final = 5.0
#: An orderly end of a watch that came sooner than this many seconds counts as a failure.
_TOO_SOON: Final = 1.0
#: 4xx answers that will do better the next time.
_PASSING: Final = frozenset({GONE, 408, 429})

Key = tuple[str, str]


class NotKnown(Exception):
    """Nothing can be said about a Service's addresses; `detail` says why."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(slots=True)
class _Service:
    """One Service as last seen. `version` is the resourceVersion to watch from; None: list first."""

    namespace: str
    name: str
    version: str | None = None
    known: bool = False
    slices: dict[str, Slice] = field(default_factory=dict)
    trouble: str = "the API server has not answered yet"
    refused: bool = False
    failures: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the first list has succeeded or failed."""
    merged: dict[tuple[int | str, Family], tuple[tuple[str, int], ...]] = field(default_factory=dict)
    """Answers already given, until the next change."""
    nodes: dict[str, str] = field(default_factory=dict)
    """Address → node, of all slices; made when it is asked for first after a change."""

    def put(self, item: Mapping[str, Any]) -> None:
        """Take on a slice as it is now. ApiError for what is none."""
        self.changed()
        name = item["metadata"]["name"]
        try:
            parsed = parse_slice(item)
        except ValueError as error:
            raise ApiError(f"{name}: {error}") from error
        if parsed is None:
            self.slices.pop(name, None)
        else:
            self.slices[name] = parsed

    def drop(self, item: Mapping[str, Any]) -> None:
        """Forget a slice."""
        self.changed()
        self.slices.pop(item["metadata"]["name"], None)

    def node_of(self, address: str) -> str:
        """The node of a ready address; "" where it is not known."""
        if not self.nodes:
            for one in self.slices.values():
                self.nodes.update(one.nodes)
        return self.nodes.get(address, "")

    def changed(self) -> None:
        """Forget what was made of the slices."""
        self.merged.clear()
        self.nodes.clear()

    def target(self, **query: str | int) -> str:
        """Where this Service's slices are listed and watched."""
        query["labelSelector"] = f"kubernetes.io/service-name={self.name}"
        return f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices?{urlencode(query)}"


class EndpointSlices:
    """Keeps the ready addresses of Services. Lives on one event loop."""

    def __init__(self, api: ApiAccess, backoff: tuple[float, float] = BACKOFF) -> None:
        self._client = ApiClient(api)
        self._backoff = backoff
        self._services: dict[Key, tuple[_Service, asyncio.Task[None]]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def start(self, refs: Collection[ServiceRef]) -> None:
        """Begin to keep `refs`; returns when each has been asked for once, or after FIRST_ANSWERS seconds."""
        self.set_refs(refs)
        waiting = [asyncio.ensure_future(service.asked.wait()) for service, _ in self._services.values()]
        if not waiting:
            return
        _, late = await asyncio.wait(waiting, timeout=FIRST_ANSWERS)
        for one in late:
            one.cancel()

    def set_refs(self, refs: Collection[ServiceRef]) -> None:
        """Keep the Services of `refs` and no others; those that stay keep what is known. Call it on the event loop."""
        wanted = {(ref.namespace, ref.name) for ref in refs}
        for key in self._services.keys() - wanted:
            _, task = self._services.pop(key)
            task.cancel()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        for key in sorted(wanted - self._services.keys()):
            service = _Service(*key)
            task = asyncio.get_running_loop().create_task(self._keep(service), name=f"endpointslices {key[0]}/{key[1]}")
            self._services[key] = service, task

    def ready(self, ref: ServiceRef, family: Family) -> tuple[tuple[str, int], ...]:
        """The ready (address, port) pairs of a Service in one family, sorted; () where there are none.

        Raises NotKnown until the first list has succeeded, while the API server refuses to tell (401, 403, 404),
        and for a port's name that no slice has.
        """
        kept = self._services.get((ref.namespace, ref.name))
        if kept is None:
            raise NotKnown(f"{ref.namespace}/{ref.name} is not watched")
        service = kept[0]
        if not service.known or service.refused:
            raise NotKnown(f"EndpointSlices of {ref.namespace}/{ref.name}: {service.trouble}")
        found = service.merged.get((ref.port, family))
        if found is None:
            try:
                found = addresses(service.slices.values(), ref.port, family)
            except NoSuchPort as error:
                raise NotKnown(f"EndpointSlices of {ref.namespace}/{ref.name}: {error}") from error
            service.merged[ref.port, family] = found
        return found

    def node_of(self, ref: ServiceRef, address: str) -> str:
        """The node of a ready address of a Service; "" where it is not known."""
        kept = self._services.get((ref.namespace, ref.name))
        return "" if kept is None else kept[0].node_of(address)

    async def close(self) -> None:
        """Stop watching."""
        self.set_refs(())
        await asyncio.gather(*self._ending, return_exceptions=True)
        await self._client.close()

    async def _keep(self, service: _Service) -> None:
        """List and watch one Service until cancelled."""
        while True:
            try:
                if service.version is None:
                    await self._list(service)
                await self._watch(service)
            except ApiError as error:
                self._note(service, error)
            except Exception:
                log.exception("internal error while watching %s/%s", service.namespace, service.name)
                self._note(service, ApiError("internal error, see the log"))
                service.version = None
            service.asked.set()
            if service.failures:
                first, most = self._backoff
                wait = min(most, first * 2 ** min(service.failures - 1, 16))
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnects, hides nothing

    def _note(self, service: _Service, error: ApiError) -> None:
        """Remember a failure, and log it when it is new."""
        service.failures += 1
        if error.status == GONE:
            service.version = None
            return
        service.refused = error.status is not None and 400 <= error.status < 500 and error.status not in _PASSING
        if error.detail != service.trouble:
            log.warning("EndpointSlices of %s/%s: %s", service.namespace, service.name, error.detail)
        service.trouble = error.detail

    async def _list(self, service: _Service) -> None:
        listing = await self._client.get(service.target(resourceVersion="0"))
        service.slices.clear()
        service.changed()
        for item in listing.get("items") or ():
            service.put(item)
        service.version = listing["metadata"]["resourceVersion"]
        service.known, service.refused, service.trouble = True, False, ""
        service.asked.set()

    async def _watch(self, service: _Service) -> None:
        """Follow the changes until the watch ends. ApiError 410 where the version is too old to go on from."""
        began = monotonic()
        target = service.target(
            watch=1, resourceVersion=service.version or "0", allowWatchBookmarks="true", timeoutSeconds=WATCH
        )
        async with self._client.watch(target, WATCH + _GRACE) as events:
            service.refused, service.trouble = False, ""
            async for event in events:
                _apply(service, event)
                service.failures = 0
        service.failures = 0 if monotonic() - began >= _TOO_SOON else service.failures + 1


def _apply(service: _Service, event: Mapping[str, Any]) -> None:
    """One event of a watch (the API's documentation, "Efficient detection of changes")."""
    kind, item = event["type"], event["object"]
    if kind == "ERROR":
        raise ApiError(f"{item.get('code')}: {item.get('message')}", item.get("code"))
    if kind in ("ADDED", "MODIFIED"):
        service.put(item)
    elif kind == "DELETED":
        service.drop(item)
    service.version = item["metadata"]["resourceVersion"]
