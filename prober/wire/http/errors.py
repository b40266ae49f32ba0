"""How an exchange of HTTP can break: one exception, with its reason from the closed list. No I/O."""

from __future__ import annotations

import errno
from typing import Final

from prober.model import Evidence
from prober.reasons import Reason


class HttpBroken(Exception):
    """The exchange did not come to its end. `reason` is one of the http layer's, `evidence` plain JSON values."""

    def __init__(self, reason: Reason, detail: str, evidence: Evidence | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.evidence: Evidence = evidence or {}


#: What the errno of an open connection means. EPIPE: the peer had ended the stream before its RST came.
_ERRNO_REASONS: Final = {
    errno.EPIPE: Reason.CLOSED,
    errno.ESHUTDOWN: Reason.CLOSED,
    errno.ETIMEDOUT: Reason.TIMEOUT,
}
#: How other protocols begin that answer on a port where HTTP was expected.
_PREFIXES: Final = (
    (b"HTTP/", "HTTP/1.x"),
    (b"SSH-", "SSH"),
    (b"220 ", "SMTP or FTP"),
    (b"* OK", "IMAP"),
    (b"-ERR", "Redis or POP3"),
)
_SETTINGS = 4
_TLS_RECORDS = frozenset({20, 21, 22, 23})


def broken_by(error: OSError) -> HttpBroken:
    """What an error of the stream means. A TLS alert is known by its attributes: plain HTTP needs no OpenSSL."""
    alert = getattr(error, "alert", None)
    if alert is not None:
        wants_certificate = bool(getattr(error, "client_certificate", False))
        reason = Reason.CLIENT_CERTIFICATE if wants_certificate else Reason.CLOSED
        return HttpBroken(reason, f"TLS alert: {alert}", {"alert": str(alert)})
    number = error.errno or 0
    return HttpBroken(
        _ERRNO_REASONS.get(number, Reason.RESET),
        error.strerror or type(error).__name__,
        {"errno": errno.errorcode.get(number, str(number))},
    )


def peer_speaks(first: bytes) -> str | None:
    """The protocol that the first bytes of a peer belong to, None if they look like none we know."""
    for prefix, name in _PREFIXES:
        if first.startswith(prefix):
            return name
    if len(first) >= 2 and first[0] in _TLS_RECORDS and first[1] == 3:
        return "TLS"
    if len(first) >= 9 and first[3] == _SETTINGS and first[5:9] == bytes(4):
        return "HTTP/2"
    return None


def not_http(expected: str, first: bytes) -> HttpBroken:
    """The peer's first bytes are not `expected` (`HTTP/1.1`, `HTTP/2`): another version of HTTP, or no HTTP at all."""
    name = peer_speaks(first)
    if name is None:
        return HttpBroken(Reason.PROTOCOL, f"the peer does not speak {expected}")
    evidence: Evidence = {"peer_speaks": name}
    if name.startswith("HTTP/"):
        evidence["http_version"] = name.removeprefix("HTTP/")
    reason = Reason.VERSION if name.startswith("HTTP/") else Reason.PROTOCOL
    return HttpBroken(reason, f"the peer speaks {name}, not {expected}", evidence)
