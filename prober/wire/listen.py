"""Listening sockets from `HOST:PORT`, in both families where the machine has both."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence

_BACKLOG = 128


class ListenError(Exception):
    """The address cannot be listened on; the text says why and what to do. `usage`: it is no address at all."""

    def __init__(self, text: str, *, usage: bool = False) -> None:
        super().__init__(text)
        self.usage = usage


def parse_listen(listen: str) -> tuple[str, int]:
    """Host and port of `:9790`, `0.0.0.0:9790`, `[::1]:9790` or `localhost:9790`; an empty host is every address.

    ListenError for anything else. Port 0 lets the kernel choose.
    """
    host, colon, port = listen.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535 or (":" in host and not bracketed):
        raise ListenError(f"cannot listen on {listen!r}: write HOST:PORT, :PORT or [IPv6]:PORT", usage=True)
    return host.strip("[]"), int(port)


def bind(listen: str) -> list[socket.socket]:
    """Listening sockets for `listen`: one dual-stack socket for every address, else one per address of the host.

    ListenError where the form is wrong, the name does not resolve or the address is taken.
    """
    host, port = parse_listen(listen)
    if not host:
        return [_bind_any(port, listen)]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ListenError(f"cannot listen on {listen}: {error.strerror}") from error
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((family, str(sockaddr[0])) for family, _, _, _, sockaddr in found):
            sockets.append(_open(family, address, port))
            port = port or sockets[0].getsockname()[1]
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise ListenError(_why(error, listen)) from error
    return sockets


def urls(sockets: Sequence[socket.socket]) -> list[str]:
    """The base URL of each socket as a person on this machine would type it."""
    shown = []
    for sock in sockets:
        host, port = sock.getsockname()[:2]
        host = "localhost" if host in ("::", "0.0.0.0") else f"[{host}]" if ":" in host else host  # noqa: S104 - compared
        shown.append(f"http://{host}:{port}")
    return list(dict.fromkeys(shown))


def _bind_any(port: int, listen: str) -> socket.socket:
    """Every address of both families (IPV6_V6ONLY off, ipv6(7)); of IPv4 alone where the kernel has no IPv6."""
    try:
        return _open(socket.AF_INET6, "::", port, dual=True)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise ListenError(_why(error, listen)) from error
    try:
        return _open(socket.AF_INET, "0.0.0.0", port)  # noqa: S104 - the metrics port is meant to be reached
    except OSError as error:
        raise ListenError(_why(error, listen)) from error


def _open(family: int, address: str, port: int, *, dual: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not dual))
        sock.bind((address, port))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _why(error: OSError, listen: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {listen}: the port is in use (choose another with --listen HOST:PORT)"
    if error.errno == errno.EACCES:
        return f"cannot listen on {listen}: not permitted (ports below 1024 need CAP_NET_BIND_SERVICE)"
    return f"cannot listen on {listen}: {error.strerror}"
