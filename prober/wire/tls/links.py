"""The chain of a connection as links that are parsed once: what a probe meets at every run costs one look-up each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from OpenSSL import SSL

from prober.wire.tls import openssl
from prober.wire.tls.certificates import Link

#: Certificates that are kept: those of a few thousand different servers.
MAX_LINKS = 8192


class Links:
    """The certificates that servers have shown, each parsed once; a part of the kit."""

    def __init__(self) -> None:
        self._links: dict[bytes, Link] = {}

    def sent(self, connection: SSL.Connection) -> tuple[Link, ...]:
        """The chain as `connection`'s peer sent it, leaf first. ValueError where one of them can't be read."""
        return self._all(openssl.sent_chain(connection))

    def verified(self, connection: SSL.Connection) -> tuple[Link, ...]:
        """The chain that the verification made of it, as far as it came."""
        return self._all(openssl.verified_chain(connection))

    def _all(self, pointers: Iterable[Any]) -> tuple[Link, ...]:
        found = []
        for pointer in pointers:
            mark = openssl.mark(pointer)
            link = self._links.get(mark)
            if link is None:
                if len(self._links) >= MAX_LINKS:
                    self._links.clear()
                link = self._links[mark] = Link(openssl.certificate(pointer))
            found.append(link)
        return tuple(found)

    def close(self) -> None:
        """Forget them all."""
        self._links.clear()
