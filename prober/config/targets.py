"""Targets: from the entries of a file to endpoints, and what only a path's keys together can get wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from prober.addresses import literal_family
from prober.config.address import parse_connect, parse_proxy, parse_url
from prober.config.errors import Loc
from prober.config.messages import validate
from prober.config.nodes import Document
from prober.config.parts import Target, Way
from prober.config.schema import Defaults, PathEntry, TargetEntry, from_shorthand
from prober.config.substitute import shown
from prober.model import Endpoint, Scheme, ServiceRef

T = TypeVar("T")
#: Against a `basic.username` that would end at its colon.
NO_COLON = "a username holds no colon (RFC 7617 section 2)"


def read_target(document: Document, name: str, data: object, defaults: Defaults) -> Target | None:
    """The target `name` from its plain `data`. None where it has problems: they are then in the document."""
    loc: Loc = ("targets", name)
    entire = from_shorthand("paths", data)
    paths = entire.get("paths") if isinstance(entire, dict) else None
    ways: dict[str, Way | None] = {}
    for key, value in paths.items() if isinstance(paths, dict) else ():
        path = validate(document, (*loc, "paths", key), value, PathEntry)
        ways[key] = None if path is None else _way(document, (*loc, "paths", key), path, defaults)
    if ways:
        entire = {**entire, "paths": {key: {} for key in ways}}  # they were read: a bad one hides nothing of the rest
    entry = validate(document, loc, entire, TargetEntry)
    known = {key: way for key, way in ways.items() if way is not None}
    return None if entry is None or len(known) < len(ways) else Target(name, entry.labels, known)


def _way(document: Document, loc: Loc, entry: PathEntry, defaults: Defaults) -> Way | None:
    before = len(document.problems)
    for key, message in _contradictions(entry):
        document.report((*loc, key), message)
    endpoint = _endpoint(document, loc, entry)
    if endpoint is None or len(document.problems) > before:
        return None
    for key, message in _beyond(entry, endpoint):
        document.report((*loc, key), message)
    endpoint = replace(
        endpoint, addresses=entry.addresses or ("one" if endpoint.scheme == "dns" else defaults.addresses)
    )
    own = literal_family(endpoint.first_hop[0])
    if own is not None and entry.families is not None and set(entry.families) != {own}:
        document.report((*loc, "families"), f"the path goes to an {own} address: no other family can reach it")
    if entry.proxy is not None and entry.proxy.basic is not None and ":" in entry.proxy.basic.username:
        document.report((*loc, "proxy", "basic", "username"), NO_COLON)
    return Way(endpoint, own, entry.families, entry.url) if len(document.problems) == before else None


def _contradictions(entry: PathEntry) -> Iterator[tuple[str, str]]:
    """Keys of a path that contradict each other, with what to say."""
    if entry.endpoints is None:
        if entry.url is None:
            yield "url", "a path needs a url, or endpoints"
        return
    if entry.connect is not None:
        yield "connect", "endpoints already say where the connection goes"
    if entry.proxy is not None:
        yield "proxy", "endpoints are connected to directly: no proxy"
    if entry.addresses is not None:
        yield "addresses", "every ready address of endpoints is probed"


def _beyond(entry: PathEntry, endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    """Keys of a path that its scheme has no use for, with what to say."""
    scheme = endpoint.scheme
    if entry.connect is not None and scheme in ("icmp", "dns"):
        yield "connect", f"{scheme}:// opens no connection: write the address in the URL"
    if entry.proxy is not None and scheme in ("icmp", "dns", "tcp"):
        yield "proxy", f"{scheme}:// does not go through a proxy"
    if entry.addresses is not None and scheme == "dns":
        yield "addresses", "a dns:// URL names its server by address"
    if entry.endpoints is not None and scheme in ("icmp", "dns") and entry.url is not None:
        yield "url", f"endpoints have ports: {scheme}:// has no use for them"


def _endpoint(document: Document, loc: Loc, entry: PathEntry) -> Endpoint | None:
    """The endpoint of a path; what is wrong with its addresses is reported."""
    url = _parse(document, (*loc, "url"), parse_url, entry.url)
    connect = None
    if entry.connect is not None:
        connect = _parse(document, (*loc, "connect"), lambda text, _: parse_connect(text), entry.connect)
    proxy = None
    if entry.proxy is not None:
        proxy = _parse(document, (*loc, "proxy", "url"), parse_proxy, entry.proxy.url)
        proxy = None if proxy is None else replace(proxy, basic=entry.proxy.basic)
    if entry.endpoints is None:
        return None if url is None else replace(url, connect=connect, proxy=proxy)
    namespace, _, name = entry.endpoints.service.partition("/")
    service = ServiceRef(namespace, name, entry.endpoints.port)
    port = service.port if isinstance(service.port, int) else 0
    if entry.url is None:
        return bare("tcp", Endpoint("tcp", f"{name}.{namespace}.svc", port, service=service))
    return None if url is None else replace(url, service=service)


def bare(scheme: Scheme, endpoint: Endpoint) -> Endpoint:
    """The endpoint of a path that gives `endpoints` without a URL, as it is spoken to by `scheme`."""
    shown = f"{scheme}://{endpoint.host}:{endpoint.service.port if endpoint.service else endpoint.port}"
    resource = "/" if scheme in ("http", "https") else ""
    return replace(endpoint, scheme=scheme, resource=resource, shown=shown)


def _parse(document: Document, loc: Loc, parse: Callable[[str, str], T], text: str | None) -> T | None:
    """What `parse(text, shown)` gives; its ValueError becomes a problem at `loc`."""
    if text is None:
        return None
    try:
        return parse(text, shown(text))
    except ValueError as error:
        document.report(loc, f"{{}}: {error}")
        return None
