"""HTTP/1.1 servers and proxies that mean harm."""

from __future__ import annotations

import gzip

from tests.support.hostile import SHORT, Hostile, K, L, R, drips, floods, says
from tests.support.threaded import Talk

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
_ZEROS = gzip.compress(bytes(64 * 1024 * 1024))
_BOMB = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_ZEROS) + _ZEROS


def _http(talk: Talk, reason: R | None, **more: object) -> Hostile:
    return Hostile(K.HTTP, "http", talk, None if reason is None else (L.HTTP, reason), **more)  # type: ignore[arg-type]  # passed on


def _proxy(talk: Talk, reason: R, timeout: float = 3.0) -> Hostile:
    return Hostile(K.TLS, "tls", talk, (L.PROXY, reason), timeout, more={"proxied": True})


PEERS = {
    "endless header fields": _http(floods(b"X-Filler: aaaaaaaaaaaaaaaa\r\n", OK), R.PROTOCOL),
    "one endless header field": _http(floods(b"a", OK + b"X: "), R.PROTOCOL),
    "an endless status line": _http(floods(b"a", b"HTTP/1.1 200 "), R.PROTOCOL),
    "a head that drips": _http(drips(b"X-Filler: a\r\n", beginning=OK), R.TIMEOUT, timeout=SHORT),
    "a status line that drips": _http(drips(OK + b"X: " + b"y" * 9999), R.TIMEOUT, timeout=SHORT),
    "an endless body": _http(floods(b"a" * 1000, OK + b"\r\n"), R.BODY),
    "an endless body that may be large": _http(
        floods(b"a" * 1000, OK + b"\r\n"), R.BODY, options={"http": {"max_body": 8 * 1024 * 1024}}
    ),
    "a body that drips": _http(drips(b".", beginning=OK + b"\r\n"), R.TIMEOUT, timeout=SHORT),
    "a length of a quintillion": _http(
        says([OK + b"Content-Length: 1000000000000000000\r\n\r\nabc"]), R.TIMEOUT, timeout=SHORT
    ),
    "tiny chunks": _http(floods(b"1\r\na\r\n", CHUNKED), R.PROTOCOL),
    "an endless chunk extension": _http(floods(b"x=y;", CHUNKED + b"5;"), R.PROTOCOL),
    "endless trailers": _http(floods(b"X: y\r\n", CHUNKED + b"0\r\n"), R.PROTOCOL),
    "endless 1xx": _http(floods(b"HTTP/1.1 103 Early Hints\r\n\r\n"), R.PROTOCOL),
    "garbage": _http(floods(bytes(range(256))), R.PROTOCOL),
    "empty lines": _http(floods(b"\r\n"), R.PROTOCOL),
    "64 MiB of zeros as 64 KiB of gzip": _http(says([_BOMB]), None),
    "a proxy's endless head": _proxy(floods(b"X-Filler: aaaaaaaaaaaaaaaa\r\n", OK), R.PROXY_FAILED),
    "a proxy's endless field": _proxy(floods(b"a", OK + b"X: "), R.PROXY_FAILED),
    "a proxy's endless 1xx": _proxy(floods(b"HTTP/1.1 100 Continue\r\n\r\n"), R.PROXY_FAILED),
    "a proxy's garbage": _proxy(floods(bytes(range(256))), R.PROXY_FAILED),
    "a proxy's head that drips": _proxy(drips(b"X-Filler: a\r\n", beginning=OK), R.TIMEOUT, SHORT),
    "a proxy's 1xx that drip": _proxy(drips(b"HTTP/1.1 100 Continue\r\n\r\n"), R.TIMEOUT, SHORT),
}
