"""Listening sockets: what may be written for one, and both families where there are two."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
from collections.abc import Iterator

import pytest

from prober.wire import listen
from prober.wire.limits import raise_open_files
from prober.wire.listen import ListenError, bind, parse_listen, urls
from tests.support.cells import has_ipv6


@contextlib.contextmanager
def bound(text: str) -> Iterator[list[socket.socket]]:
    sockets = bind(text)
    try:
        yield sockets
    finally:
        for sock in sockets:
            sock.close()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        (":9790", "", 9790),
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("[::1]:0", "::1", 0),
        ("[::]:9790", "::", 9790),
        ("localhost:9790", "localhost", 9790),
    ],
)
def test_host_and_port(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == (host, port)


@pytest.mark.parametrize("text", ["", "9790", "localhost", "::1:9790", "localhost:", ":http", ":65536", ":-1", "[::1]"])
def test_anything_else_is_refused_with_the_form_that_is_right(text: str) -> None:
    with pytest.raises(ListenError, match=r"write HOST:PORT, :PORT or \[IPv6\]:PORT"):
        parse_listen(text)


def test_every_address_means_both_families() -> None:
    with bound(":0") as sockets:
        (sock,) = sockets
        port = sock.getsockname()[1]
        for address in ("127.0.0.1", *(["::1"] if has_ipv6() else [])):
            socket.create_connection((address, port), timeout=5).close()
        assert urls(sockets) == [f"http://localhost:{port}"]


def test_a_kernel_without_ipv6_still_serves_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    class NoIpv6(socket.socket):
        def __init__(self, family: int, kind: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "no such family")
            super().__init__(family, kind)

    monkeypatch.setattr(listen.socket, "socket", NoIpv6)
    with bound(":0") as (sock,):
        assert sock.family is socket.AF_INET


def test_a_name_binds_all_its_addresses_on_one_port() -> None:
    with bound("localhost:0") as sockets:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
        port = sockets[0].getsockname()[1]
        assert urls(sockets)[0] in (f"http://127.0.0.1:{port}", f"http://[::1]:{port}")


@pytest.mark.parametrize("host", ["", "127.0.0.1"])
def test_a_port_in_use_is_told_plainly(host: str) -> None:
    with bound(f"{host}:0") as (sock, *_):
        port = sock.getsockname()[1]
        with pytest.raises(ListenError, match=rf"cannot listen on {host}:{port}: the port is in use"):
            bind(f"{host}:{port}")


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(ListenError, match=r"cannot listen on 192\.0\.2\.1:0: "):
        bind("192.0.2.1:0")


def test_the_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
    try:
        assert raise_open_files() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
        assert raise_open_files() == before[1]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
