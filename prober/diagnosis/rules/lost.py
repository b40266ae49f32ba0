"""Rules for a timeout on an open connection whose segments got lost: by what the kernel counted meanwhile. Pure data.

They come before the rows that blame the peer's silence: a peer that was not heard, or not reached, is not silent.
"""

from __future__ import annotations

from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.diagnosis.row import Row
from prober.reasons import Layer, Reason

#: layer → what was asked for, as the sentence has it.
_ASKED = {
    Layer.PROXY: "CONNECT {goal}",
    Layer.TLS: "the TLS handshake",
    Layer.HTTP: "the HTTP request",
    Layer.GRPC: "the gRPC call",
}


def _gap(facts: Facts) -> bool:
    return bool(facts.evidence.get("behind_gap"))


def _unheard(facts: Facts) -> bool:
    return bool(facts.evidence.get("unacknowledged")) and bool(facts.evidence.get("retransmits"))


def _rows(layer: Layer, asked: str) -> tuple[Row, Row]:
    return (
        Row(
            layer, Reason.TIMEOUT, Code.ANSWER_LOST,
            f"{{where}} answers {asked}, but a segment of the answer is lost: {{behind}} behind it came, and that one "
            "had not after {took}.",
            "Full-size packets that vanish where smaller ones pass are an MTU's: compare the MTU of Pods, nodes and "
            "overlay, and whether ICMP (fragmentation needed, packet too big) gets through; an icmp probe with `size` "
            "and `dont_fragment` finds the size. Else a lossy path: compare the loss of an icmp train.",
            "the peer is alive, and small packets come back", _gap,
        ),
        Row(
            layer, Reason.TIMEOUT, Code.REQUEST_LOST,
            f"TCP to {{where}} opens, but nothing that is sent for {asked} is acknowledged: {{again}} sent again in "
            "{took}.",
            "Something on the way takes a handshake and drops what follows: a firewall or middlebox that looks into "
            "the data, a connection tracked on one of two ways only, an MTU that is too small on the way there. "
            "Capture on both nodes: where does the segment end?",
            "the port is open", _unheard,
        ),
    )  # fmt: skip


ROWS = tuple(row for layer, asked in _ASKED.items() for row in _rows(layer, asked))
