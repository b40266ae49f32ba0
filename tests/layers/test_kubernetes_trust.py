"""Whom a kubernetes probe trusts: by name and by address, and through the rotation of authority and token."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from prober.config.load import load_text
from prober.config.matrix import expand
from prober.engine.climb import climb
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.layers.base import Kit
from prober.model import Vantage
from prober.reasons import Family, Kind, Reason
from tests.support.cells import FAMILIES, make_cell
from tests.support.http import Peer, response, says, serving
from tests.support.nameserver import dns_server, zone

NAME = "kubernetes.default.svc"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


IP_NAMES = ["127.0.0.1", "::1"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("names", "server_name", "reason"), [
    ([NAME, *IP_NAMES], None, None),
    ([NAME], None, Reason.NAME_MISMATCH),
    ([NAME], NAME, None),
    (IP_NAMES, NAME, Reason.NAME_MISMATCH),
])  # fmt: skip
async def test_by_address_the_certificate_has_to_carry_the_address_or_the_servers_name(
    files: CertificateFiles, tmp_path: Path, family: Family, names: list[str], server_name: str | None,
    reason: Reason | None,
) -> None:  # fmt: skip
    tls = {} if server_name is None else {"server_name": server_name}
    async with serving(says(response()), family, make_context(files, names, alpn=[])) as server:
        cell = make_cell(
            Kind.KUBERNETES, "https", server.address, server.port, family=family,
            options={"kubernetes": {"token_file": str(tmp_path / "token"), "ca_file": str(files.ca_file)}, "tls": tls},
        )  # fmt: skip
        (run,) = await climb(cell, Kit())
    assert (run.blame and run.blame.reason) == reason, run.outcomes


@pytest.mark.parametrize("family", FAMILIES)
async def test_the_presets_two_ways_reach_the_same_server_under_the_same_name(
    files: CertificateFiles, tmp_path: Path, family: Family
) -> None:
    """By name through DNS, by address as KUBERNETES_SERVICE_HOST says it; SNI and Host are the name's in both."""
    text = f"""
probes:
  - name: apiserver
    kind: kubernetes
    resolver: {{servers: ["SERVER"], search: [], ndots: 1}}
    kubernetes: {{ca_file: "{files.ca_file}", token_file: "{tmp_path}/token"}}
"""
    context, seen = make_context(files, [NAME], alpn=[]), list[object]()
    context.sni_callback = lambda _tls, name, _context: seen.append(name)
    records = {(f"{NAME}.", "A"): ["127.0.0.1"], (f"{NAME}.", "AAAA"): ["::1"]}
    async with serving(says(response()), family, context) as server, dns_server(family, zone(records)) as names:
        vantage = Vantage("here", families=(family,), api_server=(server.address, server.port))
        config = load_text(text.replace("SERVER", names.where), "probes.yaml", {})
        cells = [replace(cell, endpoint=replace(cell.endpoint, port=server.port)) for cell in expand(config, vantage)]
        runs = [run for cell in cells for run in await climb(cell, Kit())]
    assert [cell.path for cell in cells] == ["name", "ip"]
    assert [run.ok for run in runs] == [True, True], runs
    assert [run.outcomes[0].result for run in runs] == ["ok", "skipped"]
    assert seen == [NAME, NAME]
    assert all(f"\r\nhost: {NAME}:".encode() in head for head in server.heads)


async def test_a_rotated_authority_and_token_count_from_the_next_run_on(tmp_path: Path) -> None:
    """The kubelet swaps both while the prober runs: the same cell and kit, no reload."""
    old, new = (CertificateFiles(folder) for folder in (tmp_path / "old", tmp_path / "new") if folder.mkdir() is None)
    mounted = tmp_path / "ca.crt"
    tokens: list[bytes] = []

    async def handler(peer: Peer) -> None:
        head = await peer.read_head()
        tokens.append(head.partition(b"Bearer ")[2].partition(b"\r\n")[0])
        await peer.send(response())

    kit, reasons = Kit(), list[object]()
    async with serving(handler, tls=make_context(new, [NAME], alpn=[])) as server:
        cell = make_cell(
            Kind.KUBERNETES, "https", NAME, server.port,
            options={"kubernetes": {"token_file": str(tmp_path / "token"), "ca_file": str(mounted)}},
        )  # fmt: skip
        for authority, token in ((old, "first"), (new, "second"), (new, "third"), (old, "fourth")):
            mounted.write_bytes(authority.ca_file.read_bytes())
            (tmp_path / "token").write_text(token)
            (run,) = await climb(cell, kit, found=[(server.address, server.port)])
            reasons.append(run.blame and (run.blame.layer, run.blame.reason))
    await kit.close()
    assert [reason is None for reason in reasons] == [False, True, True, False], reasons
    assert reasons[0] == reasons[3]
    assert tokens == [b"second", b"third"]
