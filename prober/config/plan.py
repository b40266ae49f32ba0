"""What a configuration costs before it is deployed: cells, probes, packets and connections per second. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prober.addresses import is_literal, literal_family, parse_server
from prober.model import Cell
from prober.options import PAIR, Profile
from prober.reasons import Kind, Layer
from prober.round_trips import Trips, expected, per_query

#: Packets of one layer when all goes well, both directions, acknowledgements counted. Retransmissions are not.
PACKETS: Mapping[Layer, int] = {
    Layer.TCP: 7,  # SYN, SYN-ACK, ACK; FIN and ACK both ways (RFC 9293 sections 3.5 and 3.6)
    Layer.PROXY: 4,  # CONNECT, its answer, an ACK for each
    Layer.TLS: 9,  # hello, three segments of server flight, Finished, session ticket, ACKs (RFC 8446 section 2)
    Layer.HTTP: 4,  # request and answer of one segment each, an ACK for each
    Layer.GRPC: 8,  # prefaces and SETTINGS (4), request and answer (4)
}
_STREAM_QUERY = PACKETS[Layer.TCP] + 4
#: A question and its answer: a datagram each, or a connection with both and their ACKs.
QUERY_PACKETS: Mapping[str, int] = {
    "udp": 2,
    "tcp": _STREAM_QUERY,
    "tls": _STREAM_QUERY + PACKETS[Layer.TLS],
    "https": _STREAM_QUERY + PACKETS[Layer.TLS],
}
#: What a Pod's resolv.conf has unless the probe says otherwise (dnsPolicy: ClusterFirst).
NDOTS, SUFFIXES = 5, 3
#: That a C library asks at most (MAXNS).
MAX_SERVERS = 3

_LOOKUPS = (
    f"a lookup asks one question per name tried; a name with fewer dots than ndots ({NDOTS} unless the probe says so) "
    f"and no trailing dot tries every suffix of the search list ({SUFFIXES} unless the probe says so) and itself"
)
ASSUMPTIONS: tuple[str, ...] = (
    "every layer holds, nothing is retransmitted, both directions and acknowledgements are counted",
    _LOOKUPS,
    "asked as musl, every question goes to all servers at once (to one unless resolver.servers names more)",
    "an answer fits into one segment, a certificate chain into three",
    "what redirects, STARTTLS, WebSockets and reflection take beside is not counted",
    "a path to endpoints or to all addresses of a name counts as one address: multiply by how many there are",
)


@dataclass(frozen=True, slots=True)
class Rate:
    """How many cells, and what they make in a second together."""

    cells: int = 0
    probes_per_second: float = 0.0
    packets_per_second: float = 0.0
    connections_per_second: float = 0.0

    def __add__(self, other: Rate) -> Rate:
        return Rate(
            self.cells + other.cells,
            self.probes_per_second + other.probes_per_second,
            self.packets_per_second + other.packets_per_second,
            self.connections_per_second + other.connections_per_second,
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """The rates of all cells together and of each probe; `open_ended` cells climb to as many addresses as there are."""

    total: Rate
    by_probe: Mapping[str, Rate]
    open_ended: int


def plan(cells: Iterable[Cell]) -> Plan:
    """The plan of `cells`; what is assumed is in `ASSUMPTIONS`."""
    total, by_probe, open_ended = Rate(), dict[str, Rate](), 0
    for cell in cells:
        rate = rate_of(cell)
        total += rate
        by_probe[cell.probe] = by_probe.get(cell.probe, Rate()) + rate
        open_ended += cell.endpoint.service is not None or cell.endpoint.addresses == "all"
    return Plan(total, by_probe, open_ended)


def rate_of(cell: Cell) -> Rate:
    """What one cell makes in a second."""
    queries, transport = _queries(cell)
    ladder = cell.ladder
    packets = queries * QUERY_PACKETS[transport]
    packets += 2 * cell.options.icmp.count if Layer.ICMP in ladder else 0
    packets += sum(2 * ((step.send is not None) + (step.expect is not None)) for step in cell.options.tcp.steps)
    packets += sum(PACKETS[layer] for layer in ladder if layer in PACKETS)
    connections = (Layer.TCP in ladder) + (queries if transport != "udp" else 0)
    return Rate(1, 1 / cell.interval, packets / cell.interval, connections / cell.interval)


def _queries(cell: Cell) -> tuple[int, str]:
    """Questions of one run, every server's counted, and the transport they take."""
    names, transport = _names(cell)
    return names * (_questions(cell) if cell.kind is Kind.DNS else 1) * _asked_at_once(cell), transport


def _names(cell: Cell) -> tuple[int, str]:
    """Names that one run asks for at most, one after the other, and the transport that their questions take."""
    resolver, endpoint = cell.options.resolver, cell.endpoint
    if cell.kind is Kind.DNS:
        asked = cell.options.dns.transport
        transport = resolver.transport if asked == "udp" else asked
        searched = cell.options.dns.search if cell.options.dns.search is not None else not endpoint.host
        return _tried(cell, endpoint.resource) if searched else 1, transport
    host = endpoint.first_hop[0]
    if endpoint.service is not None or is_literal(host):
        return 0, resolver.transport
    return _tried(cell, host), resolver.transport


def floor_of(cell: Cell) -> tuple[tuple[Trips, ...], tuple[int, int]]:
    """The round trips that every run of `cell` waits for: those of each layer above dns, and for its name the fewest
    and the most (the whole search list)."""
    names, transport = _names(cell)
    each = per_query(transport)
    return expected(cell), (min(names, 1) * each, names * each)


def _questions(cell: Cell) -> int:
    """Questions for each name: two for a pair, and two more where its other sockets are tried beside."""
    if cell.options.dns.type != PAIR:
        return 1
    return 4 if cell.options.dns.sockets == "both" else 2


def _asked_at_once(cell: Cell) -> int:
    """Servers that get each question: one, but for musl."""
    resolver = cell.options.resolver
    if resolver.profile != (Profile.MUSL,) or (cell.kind is Kind.DNS and cell.endpoint.host):
        return 1
    families = [literal_family(parse_server(server)[0]) for server in resolver.servers]
    asked = sum(cell.kind is not Kind.DNS or family is cell.family for family in families)
    return min(max(asked, 1), MAX_SERVERS)


def _tried(cell: Cell, name: str) -> int:
    """Names that are asked for before the last of the search list has failed."""
    resolver = cell.options.resolver
    ndots = NDOTS if resolver.ndots is None else resolver.ndots
    if name.endswith(".") or name.count(".") >= ndots:
        return 1
    return 1 + (SUFFIXES if resolver.search is None else len(resolver.search))
