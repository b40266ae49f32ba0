"""Peers that mean harm, over every kind that speaks to one: each climb ends by its deadline, for a reason of the closed
list, in bounded memory, and leaves the event loop to others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.reasons import Family
from tests.support.cells import FAMILIES, LOOPBACK
from tests.support.hostile import SHORT, Hostile, http1, http2, tls
from tests.support.hostile.dns import ANSWERS, hostile_server
from tests.support.measured import Climber
from tests.support.netns import run_in_namespace, why_not
from tests.support.threaded import serve

NAME = "api.example.com"
PEERS: dict[str, Hostile] = {**http1.PEERS, **http2.PEERS, **tls.PEERS}
#: Bytes that memory may grow by in one climb: a body at its default limit several times over.
MOST_MEMORY = 24 * 1024 * 1024
#: Seconds of CPU that the loop may be held for between two turns of another task; most take a tenth of it.
LONGEST_TURN = 0.25
#: The same for a name server: 64 KiB of plain records are 4000 to read.
LONGEST_READING = 0.5
#: Seconds past the deadline that a busy machine is given.
GRACE = 3.0
#: Bytes of evidence in one run.
MOST_EVIDENCE = 16 * 1024


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def child() -> Iterator[Climber]:
    running = Climber()
    yield running
    running.close()


def check_cost(seen: dict[str, Any], timeout: float, turn: float = LONGEST_TURN) -> None:
    assert seen["seconds"] < timeout + GRACE, seen
    assert seen["grown"] < MOST_MEMORY, seen
    assert seen["held"] < turn, seen
    assert seen["size"] < MOST_EVIDENCE, seen


def options_for(peer: Hostile, files: CertificateFiles) -> dict[str, Any]:
    options = dict(peer.options)
    if peer.scheme in ("tls", "https"):
        options["tls"] = {"ca_file": str(files.ca_file)}
    if peer.kind == "kubernetes":
        options["kubernetes"] = {"token_file": "/nonexistent/token"}
    return options


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", PEERS)
def test_a_hostile_peer_ends_no_climb_but_its_own(
    name: str, family: Family, child: Climber, files: CertificateFiles
) -> None:
    peer = PEERS[name]
    context = make_context(files, [NAME], alpn=["http/1.1"]) if peer.tls else None
    with serve(family, peer.talk, context) as port:
        seen = child.climb(
            kind=peer.kind, scheme=peer.scheme, host=NAME, address=LOOPBACK[family], port=port, family=family,
            timeout=peer.timeout, options=options_for(peer, files), **peer.more,
        )  # fmt: skip
    assert peer.allows(seen["blame"]), seen
    check_cost(seen, peer.timeout)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", tls.CHAINS)
def test_a_hostile_certificate_costs_no_more_than_a_handshake(
    name: str, family: Family, child: Climber, files: CertificateFiles, tmp_path: Path
) -> None:
    blame = tls.CHAINS[name]
    with serve(family, tls.answers_ok, tls.hostile_context(name, files, [NAME], tmp_path)) as port:
        seen = child.climb(
            kind="http", scheme="https", host=NAME, address=LOOPBACK[family], port=port, family=family, timeout=3.0,
            options={"tls": {"ca_file": str(files.ca_file)}},
        )  # fmt: skip
    assert Hostile("http", "https", tls.answers_ok, blame).allows(seen["blame"]), seen  # type: ignore[arg-type]  # its word
    check_cost(seen, 3.0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("transport", ["udp", "tcp", "tcp that drips"])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_hostile_name_server_ends_no_climb_but_its_own(
    name: str, transport: str, family: Family, child: Climber
) -> None:
    answer, reasons = ANSWERS[name]
    drip = transport.endswith("drips")
    timeout = SHORT if drip or name == "silence" else 3.0
    with hostile_server(family, answer, drip=drip) as port:
        seen = child.climb(
            kind="dns", scheme="dns", address=LOOPBACK[family], port=port, family=family, timeout=timeout,
            resource="web.c.", options={"dns": {"transport": transport[:3]}, "resolver": {"attempts": 1}},
        )  # fmt: skip
    reason = None if seen["blame"] is None else seen["blame"][1]
    allowed = ("timeout", "server_failure") if drip else (*reasons, "server_failure") if transport == "tcp" else reasons
    assert reason in allowed, seen
    check_cost(seen, timeout, LONGEST_READING)


def test_a_flood_of_echo_replies_to_somebody_else_ends_no_climb() -> None:
    """The right identifier and sequence number, the wrong token: nothing is counted, nothing is kept."""
    if (missing := why_not(tun=True)) is not None:
        pytest.skip(missing)
    lines = [json.loads(line) for line in run_in_namespace("far_flood.py").splitlines()]
    assert [line["family"] for line in lines] == ["ipv4", "ipv6"]
    for seen in lines:
        assert seen["blame"] == ["icmp", "timeout"]
        assert (seen["evidence"]["sent"], seen["evidence"]["received"]) == (5, 0)
        check_cost(seen, 1.0)
