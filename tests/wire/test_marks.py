"""Options of a socket are set where they differ, and go back to the system's own."""

from __future__ import annotations

import errno
import socket

import pytest

from prober.wire import marks
from prober.wire.errqueue import LINUX
from prober.wire.marks import PLAIN, Marks, discovery_of, mark
from tests.support.cells import FAMILIES, Family


def options_of(sock: socket.socket) -> tuple[int, int, int]:
    level, hops, traffic_class, discover = marks._options(sock)
    return sock.getsockopt(level, hops), sock.getsockopt(level, traffic_class), sock.getsockopt(level, discover)


@pytest.mark.skipif(not LINUX, reason="IP_MTU_DISCOVER is Linux's")
@pytest.mark.parametrize("family", FAMILIES)
def test_marks_are_set_and_taken_back(family: Family) -> None:
    number = socket.AF_INET6 if family is Family.IPV6 else socket.AF_INET
    with socket.socket(number, socket.SOCK_DGRAM) as sock:
        before, discovery = options_of(sock), discovery_of(sock)
        asked = Marks(ttl=7, dscp=46, whole=True)
        mark(sock, asked, discovery=discovery)
        assert options_of(sock) == (7, 184, 3)
        mark(sock, PLAIN, asked, discovery=discovery)
        assert options_of(sock) == before


def test_elsewhere_nothing_promises_to_go_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "LINUX", False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        mark(sock, Marks(ttl=7))
        with pytest.raises(OSError, match="needs Linux") as refused:
            mark(sock, Marks(whole=True))
    assert refused.value.errno == errno.ENOPROTOOPT
