"""Verdicts on echo and connections: what the options and the evidence of icmp and tcp make of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from prober.diagnosis.codes import Code
from prober.model import Evidence
from prober.reasons import Family, Kind, Reason
from tests.diagnosis.test_run import HELD, verdict
from tests.support.cells import make_cell

LARGE = {"icmp": {"size": 1472, "dont_fragment": True, "ttl": 3, "count": 20}}
V6: dict[str, Any] = {"family": Family.IPV6, "options": LARGE}
ROUTER = {"from": "10.0.0.1"}
SERVICE = "10.96.12.7"


@pytest.mark.parametrize(
    ("cell", "reason", "evidence", "code", "words"),
    [
        ({}, Reason.TIMEOUT, {"sent": 20, "received": 17, "loss": 0.15}, Code.PACKET_LOSS, "17 of 20 echo requests"),
        ({}, Reason.TIMEOUT, {"sent": 20, "received": 0}, Code.PING_SILENT, "(20 sent)"),
        ({}, Reason.UNREACHABLE, {"icmp": "11/0", **ROUTER}, Code.HOPS_EXHAUSTED, "10.0.0.1 dropped"),
        (V6, Reason.UNREACHABLE, {"icmp": "3/0", **ROUTER}, Code.HOPS_EXHAUSTED, "3 hops were used up (ICMP 3/0)"),
        ({}, Reason.UNREACHABLE, {"icmp": "3/0", **ROUTER}, Code.NO_ROUTE, "10.0.0.1 has no IPv4 route for echo"),
        ({}, Reason.UNREACHABLE, {"errno": "ENETUNREACH"}, Code.NO_ROUTE, "This place has no IPv4 route for echo"),
        ({}, Reason.UNREACHABLE, {"icmp": "3/3", **ROUTER}, Code.PORT_REJECTED, "10.0.0.1 rejects echo"),
        (V6, Reason.UNREACHABLE, {"icmp": "1/4", **ROUTER}, Code.PORT_REJECTED, "port unreachable (ICMP 1/4)"),
        ({}, Reason.UNREACHABLE, {"icmp": "3/1", "from_here": True, **ROUTER}, Code.NEIGHBOUR_MISSING, "own link"),
        ({}, Reason.UNREACHABLE, {"icmp": "3/1", **ROUTER}, Code.NEIGHBOUR_MISSING, "10.0.0.1 cannot find 10.96.12.7"),
        ({}, Reason.PROHIBITED, {"icmp": "3/13", **ROUTER}, Code.PATH_PROHIBITED, "says 10.0.0.1 (ICMP 3/13)"),
        ({}, Reason.PROHIBITED, {"errno": "EPERM"}, Code.PATH_PROHIBITED, "This place itself does not let echo"),
        ({}, Reason.TOO_BIG, {"icmp": "3/4", "mtu": 1400, **ROUTER}, Code.MTU_EXCEEDED,
         "1472 bytes (1500 with its headers) does not fit the path to 10.96.12.7: 10.0.0.1 lets packets of 1400 bytes"),
        (V6, Reason.TOO_BIG, {"errno": "EMSGSIZE", "mtu": 1500}, Code.MTU_EXCEEDED,
         "1472 bytes (1520 with its headers) does not leave this place whole: the device here lets packets of 1500"),
    ],
)  # fmt: skip
def test_a_failed_echo_says_what_was_met(
    cell: dict[str, Any], reason: Reason, evidence: Evidence, code: Code, words: str
) -> None:
    made = make_cell(Kind.ICMP, "icmp", "web.example", **({"options": LARGE} | cell))
    found = verdict(made, dns=HELD, icmp=(reason, evidence))
    assert found.code == code
    assert words in found.says


@pytest.mark.parametrize(
    ("reason", "evidence", "code", "words"),
    [
        (Reason.TIMEOUT, {"retransmits": 2}, Code.PATH_SILENT, "with 2 SYNs retransmitted"),
        (Reason.UNREACHABLE, {"icmp": "11/0", **ROUTER}, Code.HOPS_EXHAUSTED, "10.0.0.1 dropped the SYN"),
        (Reason.UNREACHABLE, {"icmp": "3/1", **ROUTER}, Code.NEIGHBOUR_MISSING, "on the link of 10.0.0.1"),
        (Reason.UNREACHABLE, {"icmp": "3/1", "from_here": True, **ROUTER}, Code.NEIGHBOUR_MISSING, "own link"),
        (Reason.REJECTED, {"icmp": "3/3", "from_here": True, **ROUTER}, Code.PORT_REJECTED, "This place itself"),
        (Reason.NOT_PERMITTED, {"errno": "EADDRNOTAVAIL", "source": "10.9.9.9"}, Code.SOURCE_MISSING, "10.9.9.9"),
        (Reason.NOT_PERMITTED, {"errno": "EPERM"}, Code.CONNECT_NOT_PERMITTED, "refused the call"),
        (
            Reason.TIMEOUT,
            {"step": 2, "received": "-LOADING"},
            Code.TCP_NO_ANSWER,
            "step 2 of the dialogue got “-L",
        ),
        (Reason.TIMEOUT, {"step": 1}, Code.TCP_NO_ANSWER, "step 1 of the dialogue got silence"),
        (Reason.WRONG_ANSWER, {"step": 1, "received": "421"}, Code.TCP_WRONG_ANSWER, "ended with “421”"),
        (Reason.RESET, {"step": 3}, Code.CONNECTION_RESET, "reset it at step 3"),
        (Reason.RESET, {}, Code.CONNECTION_RESET, "while it was being opened"),
    ],
)
def test_a_failed_connection_says_how_far_it_came(reason: Reason, evidence: Evidence, code: Code, words: str) -> None:
    found = verdict(make_cell(Kind.TCP, "tcp", "web.example", 25), dns=HELD, tcp=(reason, evidence))
    assert found.code == code
    assert words in found.says


@pytest.mark.parametrize(
    ("reason", "code", "words"),
    [
        (Reason.TIMEOUT, Code.PATH_SILENT, "externalTrafficPolicy: Local"),
        (Reason.REFUSED, Code.PORT_CLOSED, "kube-proxy is behind"),
        (Reason.REJECTED, Code.SERVICE_WITHOUT_ENDPOINTS, "EndpointSlices of the Service behind the port"),
    ],
)
@pytest.mark.parametrize(("path", "port"), [("nodeport", 443), ("edge", 30443)])
def test_a_node_port_is_known_by_the_path_or_by_its_range(
    path: str, port: int, reason: Reason, code: Code, words: str
) -> None:
    cell = replace(make_cell(Kind.TCP, "tcp", "192.0.2.7", port), path=path)
    found = verdict(cell, dns=HELD, tcp=(reason, {}))
    assert found.code == code
    assert words in found.next_check


def test_a_port_of_that_range_behind_a_service_or_on_a_pod_is_no_node_port() -> None:
    for path, host in (("service", "10.96.0.80"), ("pod", "10.42.2.12"), ("edge", "web.app.svc")):
        cell = replace(make_cell(Kind.TCP, "tcp", host, 30443), path=path)
        found = verdict(cell, dns=HELD, tcp=(Reason.TIMEOUT, {}))
        assert "NodePort" not in found.says + found.next_check


@pytest.mark.parametrize(
    ("sender", "says"),
    [("10.42.1.1", "has no ready endpoint: 10.42.1.1 answers"), (SERVICE, "rejects in its own name")],
)
def test_a_service_that_rejects_in_its_own_name_may_have_endpoints(sender: str, says: str) -> None:
    """The nodes' ICMP errors are their own; those from behind the Service are translated back to its address."""
    cell = replace(make_cell(Kind.TCP, "tcp", SERVICE, 80), path="service")
    found = verdict(cell, dns=HELD, tcp=(Reason.REJECTED, {"icmp": "3/3", "from": sender}))
    assert found.code == Code.SERVICE_WITHOUT_ENDPOINTS
    assert says in found.says


@pytest.mark.parametrize(
    ("evidence", "code", "words"),
    [
        ({"out_of_order": 1, "behind_gap": 1104}, Code.ANSWER_LOST, "1 segment behind it came, and that one had not"),
        ({"retransmits": 4, "unacknowledged": 1}, Code.REQUEST_LOST, "4 segments sent again"),
        ({"retransmits": 1, "out_of_order": 2}, None, ""),  # all of it came in the end, and then nothing more
        ({"unacknowledged": 1}, None, ""),  # sent a moment ago
    ],
)
@pytest.mark.parametrize(
    ("kind", "scheme", "layer", "silent"),
    [
        (Kind.TLS, "tls", "tls", Code.TLS_SILENT),
        (Kind.HTTP, "http", "http", Code.HTTP_SILENT),
        (Kind.GRPC, "grpc", "grpc", Code.GRPC_SILENT),
    ],
)
def test_a_peer_that_was_not_reached_or_not_heard_is_not_called_silent(
    kind: Kind, scheme: str, layer: str, silent: Code, evidence: Evidence, code: Code | None, words: str
) -> None:
    outcomes: dict[str, Any] = {"dns": HELD, "tcp": HELD, layer: (Reason.TIMEOUT, evidence)}
    found = verdict(make_cell(kind, scheme, "web.example", 8443), **outcomes)
    assert found.code == (code or silent)
    assert words in found.says
