"""EndpointSlices of the lab's Services (discovery.k8s.io/v1): the objects, lists and watches. No HTTP here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

API_VERSION = "discovery.k8s.io/v1"
_SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Member:
    """A Pod behind a Service: `addresses` maps `IPv4` and `IPv6`, so far as there are any, to the Pod's IP."""

    name: str
    addresses: Mapping[str, str]
    node: str = "lab"
    zone: str = "lab-a"


@dataclass(frozen=True, slots=True)
class Backend:
    """A Service: the Pods behind it, and the names and numbers of the port that they listen on."""

    namespace: str
    name: str
    ports: Mapping[str, int]
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a list or watch asks for: a namespace ("" is all of them) and a Service ("" is all of them)."""

    namespace: str = ""
    service: str = ""

    @classmethod
    def of(cls, namespace: str, label_selector: str) -> Selection:
        """The selection of `labelSelector=kubernetes.io/service-name=NAME`. ValueError for any other selector."""
        key, equals, service = label_selector.partition("=")
        if label_selector and (key != _SERVICE_LABEL or not equals):
            raise ValueError(f"the lab selects by {_SERVICE_LABEL}=NAME only, not by {label_selector!r}")
        return cls(namespace, service.removeprefix("="))

    def takes(self, slice_: Mapping[str, Any]) -> bool:
        """Whether the EndpointSlice belongs to this selection."""
        metadata = slice_["metadata"]
        return self.namespace in ("", metadata["namespace"]) and self.service in (
            "",
            metadata["labels"][_SERVICE_LABEL],
        )


class EndpointSlices:
    """The slices of all backends, one for each family, with a history that watches are served from."""

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = backends
        self._revision = 1000
        self._current: dict[str, dict[str, Any]] = {}
        self._history: list[tuple[int, str, dict[str, Any]]] = []
        self._changed = asyncio.Condition()
        self._ready = dict.fromkeys(backends, True)
        for key in backends:
            self._write(key)

    async def set_ready(self, key: str, ready: bool) -> None:
        """Make the Pods behind a backend ready or not; watches see a MODIFIED for each of its slices."""
        if self._ready[key] == ready:
            return
        self._ready[key] = ready
        async with self._changed:
            self._write(key)
            self._changed.notify_all()

    def get(self, namespace: str, name: str) -> dict[str, Any] | None:
        """One slice by its name, if there is one."""
        slice_ = self._current.get(name)
        return slice_ if slice_ is not None and slice_["metadata"]["namespace"] == namespace else None

    def listing(self, selection: Selection) -> dict[str, Any]:
        """An EndpointSliceList."""
        items = [slice_ for slice_ in self._current.values() if selection.takes(slice_)]
        metadata = {"resourceVersion": str(self._revision)}
        return {"kind": "EndpointSliceList", "apiVersion": API_VERSION, "metadata": metadata, "items": items}

    async def watch(self, selection: Selection, since: int, timeout: float) -> AsyncIterator[bytes]:
        """Watch events, one JSON line each, of what changed after revision `since` (0: all of it), for `timeout` s."""
        position = 0
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while True:
            for revision, kind, slice_ in self._history[position:]:
                if revision > since and selection.takes(slice_):
                    yield json.dumps({"type": kind, "object": slice_}).encode() + b"\n"
            position = len(self._history)
            try:
                async with asyncio.timeout_at(deadline), self._changed:
                    await self._changed.wait_for(partial(self._has_more_than, position))
            except TimeoutError:
                return

    def _has_more_than(self, seen: int) -> bool:
        return len(self._history) > seen

    def _write(self, key: str) -> None:
        backend = self._backends[key]
        for address_type in sorted({each for member in backend.members for each in member.addresses}):
            self._revision += 1
            slice_ = self._slice(backend, address_type, self._ready[key])
            name = slice_["metadata"]["name"]
            self._history.append((self._revision, "MODIFIED" if name in self._current else "ADDED", slice_))
            self._current[name] = slice_

    def _slice(self, backend: Backend, address_type: str, ready: bool) -> dict[str, Any]:
        return {
            "kind": "EndpointSlice",
            "apiVersion": API_VERSION,
            "metadata": {
                "name": f"{backend.name}-{address_type.lower()}",
                "namespace": backend.namespace,
                "labels": {_SERVICE_LABEL: backend.name},
                "resourceVersion": str(self._revision),
            },
            "addressType": address_type,
            "endpoints": [
                {
                    "addresses": [member.addresses[address_type]],
                    "conditions": {"ready": ready, "serving": ready, "terminating": False},
                    "targetRef": {"kind": "Pod", "namespace": backend.namespace, "name": member.name},
                    "nodeName": member.node,
                    "zone": member.zone,
                }
                for member in backend.members
                if address_type in member.addresses
            ],
            "ports": [{"name": name, "protocol": "TCP", "port": port} for name, port in backend.ports.items()],
        }
