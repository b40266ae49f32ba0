"""The API server as a client of it: one verified connection per request, lists and watches as JSON.

Token and CA are read anew for each connection: both are rotated. The token is sent only to a server whose
certificate has been verified; `kubectl proxy` on http gets none.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from prober import __version__
from prober.addresses import is_literal
from prober.units import host_port
from prober.wire.http import Call, Fields, HttpBroken, HttpClient, Record
from prober.wire.stream import Stream
from prober.wire.tcp import open_tcp
from prober.wire.tls.certificates import carries_name
from prober.wire.tls.context import Contexts, TlsSettings
from prober.wire.tls.stream import TlsStream

_MOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: Bytes of a list, and of one event of a watch.
MAX_LIST: Final = 64 * 1024 * 1024
MAX_EVENT: Final = 8 * 1024 * 1024
#: Seconds until a list has to be complete, or a watch begun.
PATIENCE: Final = 15.0
#: Items asked for at once, and how often a list is begun anew whose place in it is gone.
PAGE: Final = 500
_BEGINNINGS: Final = 3
#: The status of a version, or of a place in a list, that is not kept any more.
GONE: Final = 410


class ApiError(Exception):
    """The API server could not be asked, or did not answer with 200. `status` is None where it did not answer."""

    def __init__(self, detail: str, status: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status


@dataclass(frozen=True, slots=True)
class ApiAccess:
    """Where the API server is, and the files that identify both sides. `tls` false is for `kubectl proxy` and tests.

    No `token_file` asks without a token, no `ca_file` trusts the system's bundle. `base` comes before every path.
    """

    host: str
    port: int
    token_file: Path | None = _MOUNT / "token"
    ca_file: Path | None = _MOUNT / "ca.crt"
    tls: bool = True
    base: str = ""

    @classmethod
    def in_cluster(cls, environment: Mapping[str, str] = os.environ) -> ApiAccess | None:
        """The way that every Pod is given; None outside a cluster."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
        return cls(host, int(port)) if host and port and port.isdigit() else None

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> ApiAccess:
        """From plain values under the same names, as JSON has them."""
        files = Path(described["token_file"]), Path(described["ca_file"])
        return cls(described["host"], described["port"], *files)

    @classmethod
    def from_url(cls, url: str, token_file: Path | None = None, ca_file: Path | None = None) -> ApiAccess:
        """`http://127.0.0.1:8001` beside `kubectl proxy`, or `https://…`; a path in it comes before all others.

        ValueError, with what would be right, for what is no such URL, and for a token that would go unencrypted.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"{url!r} is no URL: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no URL of an API server: write http://127.0.0.1:8001 or https://host:6443")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(f"a user, a query or a fragment has no place in {parts.scheme}://{parts.hostname}")
        tls = parts.scheme == "https"
        if not tls and (token_file is not None or ca_file is not None):
            raise ValueError("a token and a CA are for https:// alone; kubectl proxy on http:// needs neither")
        for file in (token_file, ca_file):
            if file is not None and not file.is_file():
                raise ValueError(f"{file}: there is no such file")
        return cls(parts.hostname, port or (443 if tls else 80), token_file, ca_file, tls, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """`host:port`, IPv6 in brackets."""
        return host_port(self.host, self.port)


class ApiClient:
    """Asks the API server. Every call raises ApiError, whatever went wrong outside."""

    def __init__(self, access: ApiAccess) -> None:
        self.access = access
        self._http = HttpClient()
        self._contexts = Contexts()

    async def get(self, target: str) -> Any:
        """The JSON object at `target` (`/path?query`)."""
        record = Record(limit=MAX_LIST)
        async with _failures(), asyncio.timeout(PATIENCE), self._open(target, record) as pieces:
            async for piece in pieces:
                record.body += piece
            return json.loads(record.body)

    async def get_items(self, path: str, page: int = PAGE, **query: str) -> list[Any]:
        """All items of the list at `path`, `page` of them at once. One that took too long for its pages is begun
        anew."""
        for _ in range(_BEGINNINGS):
            try:
                return await self._pages(path, page, query)
            except ApiError as error:
                if error.status != GONE:
                    raise
        raise ApiError(f"the list of {path} ended {_BEGINNINGS} times before it was complete", GONE)

    async def _pages(self, path: str, limit: int, query: Mapping[str, str]) -> list[Any]:
        items: list[Any] = []
        place = ""
        while True:
            asked = {**query, "limit": limit, **({"continue": place} if place else {})}
            page = await self.get(f"{path}?{urlencode(asked)}")
            if not isinstance(page, dict):
                raise ApiError(f"{path} is no list")
            items += page.get("items") or ()
            place = (page.get("metadata") or {}).get("continue") or ""
            if not place:
                return items

    @asynccontextmanager
    async def watch(self, target: str, seconds: float) -> AsyncIterator[AsyncIterator[Any]]:
        """The events of the watch at `target` as they come, until it ends; ApiError after `seconds`."""
        async with _failures(), asyncio.timeout(seconds), self._open(target, Record()) as pieces:
            yield _lines(pieces)

    async def close(self) -> None:
        """Let go of client and contexts."""
        await self._http.close()
        self._contexts.close()

    @asynccontextmanager
    async def _open(self, target: str, record: Record) -> AsyncIterator[AsyncIterator[bytes]]:
        access = self.access
        call = Call("GET", "https" if access.tls else "http", access.authority, access.base + target, self._fields())
        stream = await self._connect()
        try:
            async with self._http.open(call, stream, "1.1", record) as pieces:
                if record.status != 200:
                    raise ApiError(await _complaint(record, pieces), record.status)
                yield pieces
        finally:
            stream.close()

    def _fields(self) -> Fields:
        fields = [
            (b"host", self.access.authority.encode()),
            (b"user-agent", f"prober/{__version__}".encode()),
            (b"accept", b"application/json"),
            (b"connection", b"close"),
        ]
        file = self.access.token_file
        if file is not None and file.exists():
            token = file.read_text(encoding="utf-8").strip()
            fields.append((b"authorization", f"Bearer {token}".encode()))
        return fields

    async def _connect(self) -> Stream:
        """A connection to the first address of the API server that takes one, secured."""
        access = self.access
        below = await _open_first(access.host, access.port)
        if not access.tls:
            return below
        try:
            return await self._secure(below)
        except BaseException:
            below.close()
            raise

    async def _secure(self, below: Stream) -> Stream:
        """TLS over `below`, verified against the cluster's CA and the host. ApiError where it is not."""
        host = self.access.host
        context = self._contexts.get(TlsSettings(self.access.ca_file, ("http/1.1",)))
        stream = TlsStream(below, context, None if is_literal(host) else host)
        await stream.handshake()
        chain = stream.connection.get_peer_cert_chain(as_cryptography=True) or ()
        if stream.verify_errors or not chain:
            numbers = sorted({error.number for error in stream.verify_errors})
            raise ApiError(f"the certificate of {host} is not trusted (X509_V_ERR {numbers})")
        if not carries_name(chain[0], host):
            raise ApiError(f"the certificate of {host} is for another name")
        return stream


async def _open_first(host: str, port: int) -> Stream:
    """Connect to `host`, in turn to each address of a name. OSError where none takes the connection."""
    if is_literal(host):
        return await open_tcp(host, port)
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure = OSError(f"no address for {host}")
    for entry in found:
        try:
            return await open_tcp(str(entry[4][0]), port)
        except OSError as error:
            failure = error
    raise failure


@asynccontextmanager
async def _failures() -> AsyncIterator[None]:
    """Every failure of the world outside as ApiError."""
    try:
        yield
    except HttpBroken as error:
        raise ApiError(error.detail) from error
    except TimeoutError as error:
        raise ApiError("no answer in time") from error
    except (OSError, ValueError) as error:
        raise ApiError(f"{type(error).__name__}: {error}") from error


async def _complaint(record: Record, pieces: AsyncIterator[bytes]) -> str:
    """What the API server says in a metav1.Status, short."""
    record.limit = MAX_EVENT
    body = b"".join([piece async for piece in pieces])
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body[:200].decode("utf-8", "replace")
    return f"{record.status}: {message[:300]}"


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    """JSON objects, one per line."""
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)
        if len(rest) > MAX_EVENT:
            raise ApiError(f"an event of more than {MAX_EVENT} bytes")
