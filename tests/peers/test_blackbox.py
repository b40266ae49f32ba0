"""Parity with blackbox_exporter: of the same target both say the same, and where it only says no, we say why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from benchmarks._peer import NAMES, Peer, find_peer, serve_peer
from prober.lab.certificates import CertificateFiles
from prober.reasons import Family, Kind, Layer, Reason
from tests.support.cells import FAMILIES, has_ipv6
from tests.support.parity import ROWS
from tests.support.scenarios import Place
from tests.support.tools import require_tool

#: Where the peer (0.23) says no to what is well, and why: there its word is not compared with ours.
DEFECTS = {("grpc", Family.IPV6): "too many colons in address: its gRPC check dials IPv6 addresses without brackets"}
#: Whoever cannot be sent to at all: which way depends on the machine's routes.
_NOWHERE = (Reason.UNREACHABLE, Reason.PROHIBITED, Reason.TIMEOUT)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def peer(files: CertificateFiles) -> Iterator[Peer]:
    """The peer with a module for each row and family."""
    program = find_peer() or require_tool(NAMES[0])
    families = [family for family in Family if family is Family.IPV4 or has_ipv6()]
    modules = {
        f"{name}-{family}": row.its_module(Place(family, files)) for name, row in ROWS.items() for family in families
    }
    with serve_peer(program, modules, None) as running:
        yield running


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ROWS)
async def test_both_say_the_same_and_we_say_why(name: str, family: Family, peer: Peer, files: CertificateFiles) -> None:
    row, place = ROWS[name], Place(family, files)
    async with row.serve(place) as port:
        run = await place.climb(row.our_cell(place, port), found=row.kind not in (Kind.DNS, Kind.ICMP))
        module, target = f"{name}-{family}", row.its_target(place, port)
        samples = await asyncio.to_thread(peer.probe, module, target)
        if bool(samples["probe_success"]) != run.ok and (name, family) not in DEFECTS:
            pytest.fail(f"{run.outcomes}\n{await asyncio.to_thread(peer.explain, module, target)}")
    blame = run.blame and (run.blame.layer, run.blame.reason)
    if row.address:
        assert blame in [(Layer.ICMP, reason) for reason in _NOWHERE]
    else:
        assert blame == row.blame, run.outcomes


def test_the_table_is_broad() -> None:
    """Every kind that both can do, well and broken."""
    assert len(ROWS) >= 50
    for kind in set(Kind) - {Kind.KUBERNETES}:
        assert {row.blame is None for row in ROWS.values() if row.kind is kind} == {True, False}
