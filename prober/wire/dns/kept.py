"""What the asks of one lookup leave to each other: the ids of the questions, and UDP sockets that are still open."""

from __future__ import annotations

from prober.wire.datagram import DatagramSocket
from prober.wire.dns.message import Query, Sent, encode
from prober.wire.dns.resolver import Fresh


class Kept:
    """Messages by their question, and sockets by their place among the servers. A closed one is opened again."""

    __slots__ = ("_messages", "_sockets")

    def __init__(self) -> None:
        self._messages: dict[tuple[str, str], Sent] = {}
        self._sockets: dict[int, DatagramSocket] = {}

    def begin(self, fresh: Fresh) -> None:
        """Forget what the next ask does not take over."""
        if fresh is Fresh.ALL:
            self._messages.clear()
        if fresh is not Fresh.NOTHING:
            self.close()

    def message(self, query: Query, number: int | None = None) -> Sent:
        """The message of `query`, with the id that it had before if it had one; else as `encode` makes it."""
        asked = (query.name, query.type)
        known = self._messages.get(asked)
        if known is None:
            known = self._messages[asked] = encode(query, number)
        return known

    def remember(self, query: Query, sent: Sent) -> None:
        """`query` has been sent as `sent`, by somebody else."""
        self._messages[query.name, query.type] = sent

    def socket(self, place: int, query: Query) -> DatagramSocket:
        """The socket for the server at `place`. OSError as from DatagramSocket."""
        known = self._sockets.get(place)
        if known is None:
            known = self._sockets[place] = DatagramSocket(query.server.address, query.server.port)
        return known

    def close(self) -> None:
        """Close every socket."""
        for udp in self._sockets.values():
            udp.close()
        self._sockets.clear()
