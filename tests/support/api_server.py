"""A small API server on loopback: EndpointSlices to list and watch, nodes and DaemonSets to read, ways to fail."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Any
from urllib.parse import parse_qs, urlsplit

from prober.reasons import Family
from tests.support.http import Peer, Server


def endpoint_slice(
    name: str, service: str = "web", *addresses: str | tuple[str, bool | None], kind: str = "IPv4", **ports: int
) -> dict[str, Any]:
    """An EndpointSlice in namespace `app`; an address may come with its ready condition."""
    endpoints = []
    for given in addresses:
        address, ready = (given, True) if isinstance(given, str) else given
        conditions = {} if ready is None else {"ready": ready}
        endpoints.append({"addresses": [address], "conditions": conditions})
    return {
        "metadata": {"name": name, "namespace": "app", "labels": {"kubernetes.io/service-name": service}},
        "addressType": kind,
        "endpoints": endpoints,
        "ports": [{"name": key, "port": number, "protocol": "TCP"} for key, number in ports.items()],
    }


def node(name: str, *, ready: bool = True, labels: dict[str, str] | None = None, **info: str) -> dict[str, Any]:
    """A Node; `info` as in its status.nodeInfo (`kernelVersion`, …)."""
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-11-20T08:00:00Z", "labels": labels or {}},
        "status": {"nodeInfo": info, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def daemonset(name: str, **labels: str) -> dict[str, Any]:
    """A DaemonSet whose Pods have these labels."""
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": {"selector": {"matchLabels": labels}}}


def revision_of(owner: str, revision: int, pod_hash: str, **labels: str) -> dict[str, Any]:
    """A ControllerRevision of the DaemonSet `owner`."""
    return {"metadata": {"name": f"{owner}-{pod_hash}", **_owned(owner, pod_hash, labels)}, "revision": revision}


def pod_of(owner: str, on: str, pod_hash: str, /, *, ready: bool = True, **labels: str) -> dict[str, Any]:
    """A running Pod of the DaemonSet `owner`."""
    return {
        "metadata": {
            "name": f"{owner}-{on}-{pod_hash}",
            "creationTimestamp": "2026-11-26T14:20:00Z",
            **_owned(owner, pod_hash, labels),
        },
        "spec": {"nodeName": on},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def _owned(owner: str, pod_hash: str, labels: dict[str, str]) -> dict[str, Any]:
    return {
        "labels": {**labels, "controller-revision-hash": pod_hash},
        "ownerReferences": [{"kind": "DaemonSet", "name": owner, "uid": f"uid-{owner}", "controller": True}],
    }


class ApiServer:
    """Holds slices and their history. `refuse` is answered to everything; watches from before `oldest` are gone.

    `objects` are further ones to read: a collection's path → its items, given out `page` at a time;
    as many places in a list as `forget` says are gone when they are asked for.
    """

    def __init__(self, *slices: dict[str, Any]) -> None:
        self.slices: dict[str, dict[str, Any]] = {}
        self.history: list[tuple[int, dict[str, Any]]] = []
        self.revision = 100
        self.oldest = 0
        self.refuse: tuple[int, str] | None = None
        self.requests: list[str] = []
        self.tokens: list[str | None] = []
        self.objects: dict[str, list[dict[str, Any]]] = {}
        self.page = 1000
        self.forget = 0
        self._changed = asyncio.Condition()
        self._watches: set[Peer] = set()
        for one in slices:
            self._record("ADDED", one)

    def serving(self, family: Family = Family.IPV4, tls: ssl.SSLContext | None = None, port: int = 0) -> Server:
        """A server (an async context) that speaks for this state."""
        server = Server(self.handle, family, tls)
        server.port = port
        return server

    @property
    def lists(self) -> int:
        return sum("watch=1" not in request for request in self.requests)

    @property
    def watches(self) -> int:
        return len(self._watches)

    async def set(self, one: dict[str, Any]) -> None:
        await self._happen("MODIFIED" if one["metadata"]["name"] in self.slices else "ADDED", one)

    async def delete(self, name: str) -> None:
        await self._happen("DELETED", self.slices[name])

    async def bookmark(self) -> None:
        await self._happen("BOOKMARK", {"kind": "EndpointSlice", "metadata": {}})

    async def fail(self, code: int) -> None:
        """Send an ERROR event."""
        await self._happen("ERROR", {"kind": "Status", "code": code, "message": "too old resource version"})

    def cut(self) -> None:
        """Reset every watch."""
        for peer in self._watches:
            peer.reset()

    def _record(self, kind: str, item: dict[str, Any]) -> None:
        self.revision += 1
        item = json.loads(json.dumps(item))
        if kind != "ERROR":
            item["metadata"]["resourceVersion"] = str(self.revision)
        if kind in ("ADDED", "MODIFIED"):
            self.slices[item["metadata"]["name"]] = item
        elif kind == "DELETED":
            del self.slices[item["metadata"]["name"]]
        self.history.append((self.revision, {"type": kind, "object": item}))

    async def _happen(self, kind: str, item: dict[str, Any]) -> None:
        async with self._changed:
            self._record(kind, item)
            self._changed.notify_all()

    async def handle(self, peer: Peer) -> None:
        lines = (await peer.read_head()).decode().split("\r\n")
        url = urlsplit(lines[0].split(" ")[1])
        fields = dict(line.split(": ", 1) for line in lines[1:] if line)
        self.requests.append(lines[0])
        self.tokens.append(fields.get("authorization"))
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if self.refuse is not None:
            code, message = self.refuse
            return await self._answer(peer, code, {"kind": "Status", "message": message, "code": code})
        if "endpointslices" not in url.path:
            return await self._read(peer, url.path, query)
        service = query["labelSelector"].removeprefix("kubernetes.io/service-name=")
        if "watch" in query:
            return await self._watch(peer, service, int(query["resourceVersion"]))
        items = [one for one in self.slices.values() if _service(one) == service]
        return await self._answer(peer, 200, {"metadata": {"resourceVersion": str(self.revision)}, "items": items})

    async def _read(self, peer: Peer, path: str, query: dict[str, str]) -> None:
        """One object, or a page of a collection."""
        collection, _, name = path.rpartition("/")
        named = [one for one in self.objects.get(collection, ()) if one["metadata"]["name"] == name]
        if named:
            return await self._answer(peer, 200, named[0])
        if path not in self.objects:
            return await self._answer(peer, 404, {"kind": "Status", "message": f"{name} not found", "code": 404})
        if "continue" in query and self.forget:
            self.forget -= 1
            return await self._answer(peer, 410, {"kind": "Status", "message": "continue expired", "code": 410})
        wanted = dict(pair.split("=", 1) for pair in query.get("labelSelector", "").split(",") if pair)
        items = [one for one in self.objects[path] if wanted.items() <= one["metadata"].get("labels", {}).items()]
        start = int(query.get("continue", 0))
        end = start + min(self.page, int(query.get("limit", len(items))))
        rest = {"continue": str(end)} if end < len(items) else {}
        return await self._answer(peer, 200, {"metadata": rest, "items": items[start:end]})

    async def _answer(self, peer: Peer, code: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        await peer.send(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (code, len(data)) + data)

    async def _watch(self, peer: Peer, service: str, since: int) -> None:
        if since < self.oldest:
            return await self._answer(peer, 410, {"kind": "Status", "message": "too old", "code": 410})
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._watches.add(peer)
        gone = asyncio.create_task(peer.reader.read())
        try:
            while not gone.done():
                for revision, event in self.history:
                    if revision > since:
                        since = revision
                        if _service(event["object"]) in (service, ""):
                            line = json.dumps(event).encode() + b"\n"
                            await peer.send(b"%x\r\n%b\r\n" % (len(line), line))
                await self._change_or(gone, since)
        finally:
            self._watches.discard(peer)
            gone.cancel()

    async def _change_or(self, gone: asyncio.Task[bytes], since: int) -> None:
        async def change() -> None:
            async with self._changed:
                await self._changed.wait_for(lambda: self.revision > since)

        changing = asyncio.create_task(change())
        try:
            await asyncio.wait({changing, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changing.cancel()


def _service(item: dict[str, Any]) -> str:
    return str(item.get("metadata", {}).get("labels", {}).get("kubernetes.io/service-name", ""))
