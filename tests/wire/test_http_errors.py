"""Which reason an error of the stream has, and whom the first bytes of a peer betray: tables."""

from __future__ import annotations

import errno

import pytest

from prober.reasons import Reason
from prober.wire.http.errors import broken_by, not_http, peer_speaks
from prober.wire.tls.stream import TlsAlert


@pytest.mark.parametrize(("error", "reason"), [
    (ConnectionResetError(errno.ECONNRESET, "reset"), Reason.RESET),
    (BrokenPipeError(errno.EPIPE, "pipe"), Reason.CLOSED),
    (TimeoutError(errno.ETIMEDOUT, "timed out"), Reason.TIMEOUT),
    (OSError(errno.EHOSTUNREACH, "no route"), Reason.RESET),
    (TlsAlert("tlsv13 alert certificate required"), Reason.CLIENT_CERTIFICATE),
    (TlsAlert("tlsv1 alert internal error"), Reason.CLOSED),
])  # fmt: skip
def test_every_error_of_the_stream_has_a_reason(error: OSError, reason: Reason) -> None:
    assert broken_by(error).reason is reason


@pytest.mark.parametrize(("first", "name"), [
    (b"HTTP/1.1 400 Bad Request\r\n", "HTTP/1.x"),
    (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
    (b"220 mail.example.com ESMTP\r\n", "SMTP or FTP"),
    (b"\x15\x03\x01\x00\x02\x02\x46", "TLS"),
    (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00", "HTTP/2"),
    (b"-ERR unknown command\r\n", "Redis or POP3"),
    (b"hello", None),
    (b"", None),
])  # fmt: skip
def test_the_first_bytes_tell_the_protocol(first: bytes, name: str | None) -> None:
    assert peer_speaks(first) == name
    other_version = name is not None and name.startswith("HTTP/")
    assert not_http("HTTP/9", first).reason is (Reason.VERSION if other_version else Reason.PROTOCOL)
    assert not_http("HTTP/9", first).evidence.get("peer_speaks") == name
