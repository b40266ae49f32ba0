"""Which echo socket a run gets: a shared one, but never for long the one that was used for its address before.

Packet filters and NAT remember a flow by addresses and identifier (conntrack: for 30 s after its last packet). On one
socket for life, an echo every few seconds would go on through a policy that everybody else has met, and over a
translation that nobody else gets any more. A socket has its identifier for life: so a run to an address that this one
was used for gets another socket if it is no longer new, and with it a flow of its own, as a connection is. That is a
socket for each interval, or two a second, whatever the number of addresses.
"""

from __future__ import annotations

import asyncio

from prober.reasons import Family
from prober.wire.icmp import EchoSocket

#: Seconds for which runs to one address may share a flow: less than an interval is as a rule.
FLOW = 0.5


class Pinger:
    """The echo sockets of the process: one per family, and those before it until their requests are done."""

    def __init__(self) -> None:
        self._sockets: dict[Family, EchoSocket] = {}
        self._asked: dict[Family, set[str]] = {}
        """To which addresses a run went on the family's socket."""
        self._retired: set[EchoSocket] = set()

    def socket(self, family: Family, address: str = "") -> EchoSocket:
        """The socket of `family` on the running loop, for a run to `address`.

        NotPermittedError, or OSError where the family is missing.
        """
        loop = asyncio.get_running_loop()
        known = self._sockets.get(family)
        if known is not None and known.loop is not loop:
            known.close()
            known = None
        if known is None or (address in self._asked[family] and loop.time() - known.opened >= FLOW):
            opened = EchoSocket(family)
            if known is not None:
                self._retire(known)
            known, self._asked[family] = opened, set()
            self._sockets[family] = opened
        self._asked[family].add(address)
        return known

    def close(self) -> None:
        """Close every socket."""
        while self._sockets:
            self._sockets.popitem()[1].close()
        while self._retired:
            self._retired.pop().close()

    def _retire(self, known: EchoSocket) -> None:
        known.retire()
        self._retired = {each for each in (*self._retired, known) if not each.closed}
