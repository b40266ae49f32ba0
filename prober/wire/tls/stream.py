"""TLS over an open stream: pyOpenSSL with memory BIOs. The handshake is finished first and judged afterwards.

What an error means for a layer is not decided here.
"""

from __future__ import annotations

from functools import lru_cache

from OpenSSL import SSL, crypto

from prober.wire.stream import Stream, Times, times_of
from prober.wire.tls.context import words_of
from prober.wire.tls.openssl import Seen, VerifyError, staple

#: Content types of a TLS record (RFC 8446 section 5.1): what a first byte can be if the peer speaks TLS at all.
RECORD_TYPES = frozenset({20, 21, 22, 23, 24})
#: Bytes of handshake a peer may send before it is given up: a chain of some hundred certificates.
MAX_HANDSHAKE = 512 * 1024
#: Bytes kept of the peer's first flight, to look into it when the handshake fails.
KEPT_FLIGHT = 32 * 1024
_RECORD_HEAD = 5
#: The random of a ServerHello that is a HelloRetryRequest (RFC 8446 section 4.1.3), and where it stands in a flight.
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
_RANDOM = slice(_RECORD_HEAD + 4 + 2, _RECORD_HEAD + 4 + 2 + len(_RETRY))
_PIECE = 65536


class TlsError(OSError):
    """The handshake failed. `words` are OpenSSL's reason strings; `first` the first bytes the peer sent."""

    def __init__(self, words: tuple[str, ...], first: bytes, *, eof: bool = False) -> None:
        super().__init__("; ".join(words) or ("closed by the peer" if eof else "handshake failed"))
        self.words = words
        self.first = first
        self.eof = eof


class TlsAlert(OSError):
    """A fatal alert after the handshake (RFC 8446 section 6.2); `alert` is OpenSSL's word for it."""

    def __init__(self, alert: str) -> None:
        super().__init__(alert)
        self.alert = alert

    @property
    def client_certificate(self) -> bool:
        """The peer wants a client certificate, or another one: under TLS 1.3 it can only say so now."""
        return is_client_certificate_alert(self.alert)


def is_client_certificate_alert(word: str) -> bool:
    """Whether an alert speaks of the certificate that we sent, or did not send."""
    return any(name in word for name in ("certificate required", "bad certificate", "unknown ca",
                                         "certificate unknown", "certificate expired", "certificate revoked",
                                         "unsupported certificate", "access denied"))  # fmt: skip


class TlsStream:
    """A TLS connection over another stream; implements `prober.wire.stream.Stream` once `handshake` returned."""

    __slots__ = ("_below", "_flight", "_received", "connection", "seen")

    def __init__(
        self, below: Stream, context: SSL.Context, server_name: str | None, *, ask_staple: bool = False
    ) -> None:
        """`ask_staple` asks for an OCSP response with the handshake (RFC 6066 section 8)."""
        self._below = below
        self.seen = Seen()
        self._flight = b""
        self._received = 0
        self.connection = SSL.Connection(context, None)
        self.connection.set_app_data(self.seen)
        if server_name:
            self.connection.set_tlsext_host_name(_encoded(server_name))
        if ask_staple:
            self.connection.request_ocsp()
        self.connection.set_connect_state()

    @property
    def times(self) -> Times | None:
        """Those of the stream below."""
        return times_of(self._below)

    @property
    def verify_errors(self) -> tuple[VerifyError, ...]:
        """Every complaint of this handshake's verification, in the order they were found."""
        return tuple(self.seen.errors)

    @property
    def alpn(self) -> str | None:
        """The protocol chosen by the server (RFC 7301), None if it chose none."""
        return self.connection.get_alpn_proto_negotiated().decode("ascii", "replace") or None

    @property
    def retried(self) -> bool:
        """The server wanted another key share: one more round trip."""
        return self._flight[_RANDOM] == _RETRY

    def chain_pem(self) -> bytes:
        """The certificates that the server sent, leaf first, as PEM."""
        chain = self.connection.get_peer_cert_chain() or ()
        return b"".join(crypto.dump_certificate(crypto.FILETYPE_PEM, certificate) for certificate in chain)

    @property
    def staple(self) -> bytes:
        """The OCSP response that came with the handshake, DER; empty where none did."""
        return staple(self.connection)

    async def handshake(self) -> None:
        """Finish the handshake. Raises TlsError, or the OSError of the stream below."""
        while True:
            try:
                self.connection.do_handshake()
            except SSL.WantReadError:
                await self._flush()
                await self._feed_handshake()
            except SSL.Error as error:
                await self._flush_quietly()
                ended = isinstance(error, SSL.ZeroReturnError)  # close_notify in the place of a ServerHello
                raise TlsError(words_of(error), self._flight, eof=ended) from error
            else:
                await self._flush()
                return

    async def hear(self) -> bool:
        """Wait for the peer's first word after its side of the handshake, which a server that asked for a client
        certificate owes under TLS 1.3: a ticket or data (it is content), an alert, or the end.

        False if it ended the connection without a word. Raises TlsAlert; has no deadline of its own.
        """
        heard = b""
        while True:
            try:
                self.connection.recv(1)
            except SSL.WantReadError:
                if len(heard) >= _RECORD_HEAD + int.from_bytes(heard[3:_RECORD_HEAD]):  # a whole record: a ticket
                    return True
            except SSL.ZeroReturnError:
                return False
            except SSL.Error as error:
                raise TlsAlert("; ".join(words_of(error)) or type(error).__name__) from error
            else:
                return True
            if not (data := await self._below.receive()):
                return False
            heard += data
            self.connection.bio_write(data)

    async def _feed_handshake(self) -> None:
        data = await self._below.receive()
        if not data:
            raise TlsError((), self._flight, eof=True)
        if len(self._flight) < KEPT_FLIGHT:
            self._flight += data[: KEPT_FLIGHT - len(self._flight)]
        self._received += len(data)
        if self._flight[0] not in RECORD_TYPES or self._received > MAX_HANDSHAKE:
            raise TlsError(("not a TLS record",) if self._received <= MAX_HANDSHAKE else ("handshake too long",),
                           self._flight)  # fmt: skip
        self.connection.bio_write(data)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """See Stream.receive. Raises TlsAlert for a fatal alert."""
        while True:
            try:
                return self.connection.recv(max_bytes)
            except SSL.WantReadError:
                await self._flush()
                data = await self._below.receive()
                if not data:
                    return b""
                self.connection.bio_write(data)
            except SSL.ZeroReturnError:  # close_notify
                return b""
            except SSL.Error as error:
                raise TlsAlert("; ".join(words_of(error)) or type(error).__name__) from error

    async def send(self, data: bytes) -> None:
        """See Stream.send."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.connection.send(view) :]
            except SSL.Error as error:
                raise TlsAlert("; ".join(words_of(error)) or type(error).__name__) from error
            await self._flush()

    def close(self) -> None:
        """See Stream.close. No close_notify is sent: nobody waits for the answer."""
        self._below.close()

    async def _flush(self) -> None:
        """Send what OpenSSL has written into the memory BIO."""
        size = _PIECE
        while size == _PIECE:  # less was all that there is
            try:
                pending = self.connection.bio_read(_PIECE)
            except SSL.WantReadError:
                return
            size = len(pending)
            await self._below.send(pending)

    async def _flush_quietly(self) -> None:
        """Tell the peer our alert if the connection still takes it."""
        try:
            await self._flush()
        except OSError:
            return


@lru_cache(maxsize=4096)
def _encoded(server_name: str) -> bytes:
    """The name as SNI carries it (RFC 6066 section 3): in ASCII."""
    return server_name.encode("idna")
