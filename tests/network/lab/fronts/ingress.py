"""What an ingress is told, whichever program it is: where to listen, what leads where, what becomes of the rest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prober.reasons import Family
from tests.network.lab.fronts.process import HERE, Front, Place
from tests.network.lab.plan import GRPC_HOST, WEB_HOST

CONNECT_TIMEOUT = 0.5  # seconds that an ingress waits for a connection to what is behind it
ANSWER_TIMEOUT = 0.8  # and for the answer: less than a probe waits for the ingress

Address = tuple[str, int]


def authority(address: Address) -> str:
    """`host:port`, IPv6 in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True)
class Side:
    """One listener, what is behind it in the same family, and what leads where. A fault is another value of a field."""

    listen: Address
    web: Address
    payments: Address
    hosts: Sequence[str] = (WEB_HOST, GRPC_HOST)
    """Those that have a route. As SNI any other name is refused, as Host it is not found."""
    strict_sni: bool = True
    """Without it whoever asks for an unknown name gets the certificate all the same."""
    http2: bool = True
    """h2 is among the protocols that its TLS offers."""
    grpc_over_http1: bool = False
    """It speaks HTTP/1.1 to the gRPC server, as an ingress does that was not told otherwise."""

    @property
    def family(self) -> Family:
        """The family of its clients."""
        return Family.IPV6 if ":" in self.listen[0] else Family.IPV4


@dataclass(frozen=True, slots=True)
class Routing:
    """The configuration of an ingress."""

    sides: Sequence[Side]
    certificate: Path
    """For both hosts: the chain as it is sent."""
    key: Path

    def changed(self, families: Collection[Family], **fields: Any) -> Routing:
        """The same with other values of these fields at the sides of `families`."""
        sides = [replace(side, **fields) if side.family in families else side for side in self.sides]
        return replace(self, sides=sides)


class Ingress(Front):
    """A front with a routing; give it another one and start it again."""

    def __init__(self, directory: Path, routing: Routing, place: Place = HERE) -> None:
        super().__init__(directory, place)
        self.routing = routing

    def listens(self) -> Sequence[Address]:
        """See Front."""
        return [side.listen for side in self.routing.sides]

    async def become(self, routing: Routing) -> None:
        """Start again with another routing. What happens to clients in between is their trouble."""
        self.routing = routing
        await self.restart()
