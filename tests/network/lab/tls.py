"""A TLS front with more ways to fail than the demo's: in the middle of the handshake, by alert, by what is no TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

from prober.lab.connection import Connection
from prober.lab.tls import Terminator
from tests.network.lab.revoked import shake_hands, stapling_context

#: Seconds that a slow handshake takes longer.
SLOW = 0.3


def _alert(number: int) -> bytes:
    """A fatal alert in the clear, as a record of TLS 1.2 (RFC 5246 section 7.2)."""
    return bytes((21, 3, 3, 0, 2, 2, number))


#: What comes in answer to the ClientHello, and then the end.
ANSWERS: Mapping[str, bytes] = {
    "tls-internal-error": _alert(80),
    "tls-handshake-failure": _alert(40),
    "tls-no-application-protocol": _alert(120),
    "tls-ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "tls-garbage": bytes(range(128, 256)) * 4,
}
#: A client certificate is asked for, and whoever has none is let in: what is above TLS turns him away, as with nginx.
ASKED = "tls-mtls-asked"
#: Bytes of the server's first flight after which it stops.
_HALF = 200
MORE = (*ANSWERS, "tls-half", "tls-slow", "tls-revoked", "tls-mtls-tls12", ASKED)


class Front(Terminator):
    """The terminator of a Pod."""

    async def serve(self, connection: Connection) -> None:
        """See Terminator."""
        if (on := self._switches.first(*ANSWERS)) is not None:
            await connection.receive()
            await connection.send(ANSWERS[on])
            return await connection.finish()
        if self._switches.on("tls-half"):
            return await self._half(connection)
        if self._switches.on("tls-revoked"):
            return await shake_hands(connection, stapling_context(self._certificates, self._known))
        if self._switches.on("tls-slow"):
            await connection.peek(1)  # the ClientHello is there
            await asyncio.sleep(SLOW)
        return await super().serve(connection)

    async def _half(self, connection: Connection) -> None:
        """The first bytes of a true flight, and then silence."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._context().wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(await connection.receive())
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            await connection.send(outgoing.read()[:_HALF])
        await connection.drain()

    def _context(self) -> ssl.SSLContext:
        context = super()._context()
        if self._switches.on("tls-mtls-tls12"):
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.verify_mode = ssl.CERT_REQUIRED
        elif self._switches.on(ASKED):
            context.verify_mode = ssl.CERT_OPTIONAL
        return context
