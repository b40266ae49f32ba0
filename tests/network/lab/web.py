"""The web application of a Pod: in the clear, and behind TLS of its own, with HTTP/2."""

from __future__ import annotations

from collections.abc import Sequence

from prober.lab.certificates import CertificateFiles
from prober.lab.connection import Connection, TlsConnection
from prober.lab.http1 import serve_http1
from prober.lab.http2 import serve_http2
from prober.lab.ingress import over_http2
from prober.lab.switches import Switches
from prober.lab.tls import Terminator
from prober.lab.web import WebApi


class Web:
    """`serve` in the clear, `serve_tls` for the names that its certificate is for."""

    def __init__(self, switches: Switches, certificates: CertificateFiles, names: Sequence[str]) -> None:
        self._switches = switches
        self._app = WebApi(switches)
        self._terminator = Terminator(switches, certificates, names, self._speak, self._app.serve)

    async def serve(self, connection: Connection) -> None:
        """Serve one connection in the clear."""
        await self._app.serve(connection)

    async def serve_tls(self, connection: Connection) -> None:
        """Serve one connection over TLS."""
        await self._terminator.serve(connection)

    async def _speak(self, connection: TlsConnection) -> None:
        if connection.alpn == "h2":
            await serve_http2(connection, over_http2(self._switches, self._app.answer))
        else:
            await serve_http1(connection, self._app.answer)
