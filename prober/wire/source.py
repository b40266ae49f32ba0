"""The addresses that this place has of its own, as its kernel sees them."""

from __future__ import annotations

import errno
import socket

from prober.wire.tcp import family_of


def has_source(address: str) -> bool:
    """Whether this place has an address to reach the literal `address` from.

    Connecting a datagram socket sends nothing, but picks a source as TCP would. It tells the two meanings of
    EADDRNOTAVAIL apart: an IPv6 without any address of ours gives it as well as the lack of a local port (connect(2)).
    Where datagrams lack a local port too, that is EAGAIN, and says which of the two it is.
    """
    try:
        with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
            return sock.connect_ex((address, 9)) in (0, errno.EAGAIN)
    except OSError:
        return False


def is_own(address: str) -> bool:
    """Whether the literal `address` is one of this place's: only then may a socket be bound to it."""
    try:
        with socket.socket(family_of(address), socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
    except (OSError, ValueError):
        return False
    return True
