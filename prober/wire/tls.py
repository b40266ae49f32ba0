"""TLS over an open stream: pyOpenSSL with memory BIOs. The handshake is finished first and judged afterwards.

One `Context` per (trust, versions, ALPN, client certificate) for the life of the process; a context is never
changed once it has been used. What an error means for a layer is not decided here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from OpenSSL import SSL, crypto

from prober.wire.stream import Stream, Times, times_of

VERSIONS = {
    "1.0": SSL.TLS1_VERSION,
    "1.1": SSL.TLS1_1_VERSION,
    "1.2": SSL.TLS1_2_VERSION,
    "1.3": SSL.TLS1_3_VERSION,
}
#: Content types of a TLS record (RFC 8446 section 5.1): what a first byte can be if the peer speaks TLS at all.
RECORD_TYPES = frozenset({20, 21, 22, 23, 24})
#: Bytes of handshake a peer may send before it is given up: a chain of some hundred certificates.
MAX_HANDSHAKE = 512 * 1024
#: Bytes kept of the peer's first flight, to look into it when the handshake fails.
KEPT_FLIGHT = 32 * 1024


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What makes two contexts different. Versions are keys of `VERSIONS`; `ca_file` None trusts the system's bundle."""

    ca_file: Path | None = None
    alpn: tuple[str, ...] = ()
    min_version: str = "1.2"
    max_version: str = "1.3"
    certificate_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class VerifyError:
    """One complaint of the verification: `number` is an X509_V_ERR code, `depth` 0 the leaf."""

    number: int
    depth: int


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


@dataclass(slots=True)
class _Handshake:
    """What the verify callback collects for one connection."""

    errors: list[VerifyError] = field(default_factory=list)


class Contexts:
    """The contexts of the process, made on first use; a changed file (CA, certificate, key) makes a new one."""

    def __init__(self) -> None:
        self._contexts: dict[TlsSettings, tuple[tuple[int, ...], SSL.Context]] = {}

    def get(self, settings: TlsSettings) -> SSL.Context:
        """The context for `settings`. OSError where a file cannot be read or does not hold what it should."""
        stamp = tuple(
            path.stat().st_mtime_ns
            for path in (settings.ca_file, settings.certificate_file, settings.key_file)
            if path is not None
        )
        kept = self._contexts.get(settings)
        if kept is None or kept[0] != stamp:
            try:
                kept = self._contexts[settings] = (stamp, _make_context(settings))
            except SSL.Error as error:
                raise OSError("; ".join(_words(error)) or "no certificate or key found") from error
        return kept[1]

    def close(self) -> None:
        """Forget them all."""
        self._contexts.clear()


def _make_context(settings: TlsSettings) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(VERSIONS[settings.min_version])
    context.set_max_proto_version(VERSIONS[settings.max_version])
    if settings.min_version in ("1.0", "1.1"):
        context.set_cipher_list(b"DEFAULT:@SECLEVEL=0")  # their signatures use SHA-1: refused above level 0
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_IGNORE_UNEXPECTED_EOF)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify(SSL.VERIFY_PEER, _collect)
    if settings.ca_file is None:
        context.set_default_verify_paths()
    else:
        context.load_verify_locations(os.fspath(settings.ca_file))
    if settings.alpn:
        context.set_alpn_protos([name.encode("ascii") for name in settings.alpn])
    if settings.certificate_file is not None:
        context.use_certificate_chain_file(os.fspath(settings.certificate_file))
        context.use_privatekey_file(os.fspath(settings.key_file or settings.certificate_file))
        context.check_privatekey()
    return context


def _collect(connection: SSL.Connection, _certificate: crypto.X509, number: int, depth: int, _held: int) -> bool:
    """The verify callback: note the error and go on, so that one handshake tells all of them. It must not raise."""
    if number:
        connection.get_app_data().errors.append(VerifyError(number, depth))
    return True


class TlsStream:
    """A TLS connection over another stream; implements `prober.wire.stream.Stream` once `handshake` returned."""

    __slots__ = ("_below", "_flight", "_received", "_state", "connection")

    def __init__(self, below: Stream, context: SSL.Context, server_name: str | None) -> None:
        self._below = below
        self._state = _Handshake()
        self._flight = b""
        self._received = 0
        self.connection = SSL.Connection(context, None)
        self.connection.set_app_data(self._state)
        if server_name:
            self.connection.set_tlsext_host_name(server_name.encode("idna"))
        self.connection.set_connect_state()

    @property
    def times(self) -> Times | None:
        """Those of the stream below."""
        return times_of(self._below)

    @property
    def verify_errors(self) -> tuple[VerifyError, ...]:
        """Every complaint of this handshake's verification, in the order they were found."""
        return tuple(self._state.errors)

    @property
    def alpn(self) -> str | None:
        """The protocol chosen by the server (RFC 7301), None if it chose none."""
        return self.connection.get_alpn_proto_negotiated().decode("ascii", "replace") or None

    def chain_pem(self) -> bytes:
        """The certificates that the server sent, leaf first, as PEM."""
        chain = self.connection.get_peer_cert_chain() or ()
        return b"".join(crypto.dump_certificate(crypto.FILETYPE_PEM, certificate) for certificate in chain)

    async def handshake(self) -> None:
        """Finish the handshake. Raises TlsError, or the OSError of the stream below."""
        while True:
            try:
                self.connection.do_handshake()
            except SSL.WantReadError:
                await self._flush()
                await self._feed_handshake()
            except (SSL.Error, SSL.ZeroReturnError) as error:
                await self._flush_quietly()
                raise TlsError(_words(error), self._flight) from error
            else:
                await self._flush()
                return

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
                raise TlsAlert("; ".join(_words(error)) or type(error).__name__) from error

    async def send(self, data: bytes) -> None:
        """See Stream.send."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.connection.send(view) :]
            except SSL.Error as error:
                raise TlsAlert("; ".join(_words(error)) or type(error).__name__) from error
            await self._flush()

    def close(self) -> None:
        """See Stream.close. No close_notify is sent: nobody waits for the answer."""
        self._below.close()

    async def _flush(self) -> None:
        """Send what OpenSSL has written into the memory BIO."""
        while True:
            try:
                pending = self.connection.bio_read(65536)
            except SSL.WantReadError:
                return
            await self._below.send(pending)

    async def _flush_quietly(self) -> None:
        """Tell the peer our alert if the connection still takes it."""
        try:
            await self._flush()
        except OSError:
            return


def _words(error: Exception) -> tuple[str, ...]:
    """OpenSSL's reason strings of an error, without library and function names."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return tuple(str(entry[2]) for entry in entries if len(entry) > 2 and entry[2])
