"""Limits of the handshake (ciphers, suites, groups, SNI), names and addresses, days left, every address of a name."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from OpenSSL import SSL

from prober.engine.climb import climb
from prober.lab.certificates import CertificateFiles
from prober.lab.tls import make_context
from prober.layers.base import Kit
from prober.model import Run
from prober.reasons import Family, Kind, Layer, Reason
from prober.round_trips import of_run
from prober.wire.tls.openssl import set_groups
from tests.support.cells import FAMILIES, LOOPBACK, make_cell
from tests.support.dns import name_server
from tests.support.staples import shaking
from tests.support.threaded import read_to_the_end, serve

NAME = "api.example.com"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return CertificateFiles(tmp_path_factory.mktemp("certificates"))


async def shake(
    port: int, ca_file: Path, family: Family = Family.IPV4, host: str = NAME, **tls: object
) -> Run:  # fmt: skip
    options = {"tls": {"ca_file": str(ca_file), **tls}}
    cell = make_cell(Kind.TLS, "tls", host, port, family=family, options=options)
    (run,) = await climb(cell, Kit(), found=[(LOOPBACK[family], port)])
    return run


def reason_of(run: Run) -> Reason | None:
    assert run.blame is None or run.blame.layer is Layer.TLS
    return None if run.blame is None else run.blame.reason


async def against(context: ssl.SSLContext, files: CertificateFiles, **tls: object) -> tuple[Run, Mapping[str, Any]]:
    with serve(Family.IPV4, read_to_the_end, context) as port:
        run = await shake(port, files.ca_file, **tls)
    return run, run.outcomes[-1].evidence


@pytest.mark.parametrize(
    ("tls", "version", "cipher"),
    [
        ({"ciphers": ["ECDHE-ECDSA-AES128-GCM-SHA256"], "max_version": "1.2"}, "TLSv1.2",
         "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ({"ciphers": ["ECDHE-ECDSA-AES256-GCM-SHA384"], "max_version": "1.2", "min_version": "1.0"}, "TLSv1.2",
         "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ({"ciphersuites": ["TLS_AES_128_GCM_SHA256"]}, "TLSv1.3", "TLS_AES_128_GCM_SHA256"),
        ({"ciphersuites": ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"], "min_version": "1.3"}, "TLSv1.3",
         None),
    ],
)  # fmt: skip
async def test_only_what_is_listed_is_offered(
    files: CertificateFiles, tls: dict[str, Any], version: str, cipher: str | None
) -> None:
    run, evidence = await against(make_context(files, [NAME]), files, **tls)
    assert run.ok, evidence
    assert evidence["version"] == version
    assert evidence["cipher"] == cipher or (cipher is None and evidence["cipher"] in tls["ciphersuites"])


@pytest.mark.parametrize("group", ["X25519", "P-256", "P-384"])
async def test_the_group_is_the_one_that_is_listed(files: CertificateFiles, group: str) -> None:
    run, evidence = await against(make_context(files, [NAME]), files, groups=[group])
    assert run.ok, evidence
    assert {"P-256": "secp256r1", "P-384": "secp384r1"}.get(group, group).lower() in evidence["group"].lower()


async def test_a_server_of_hybrid_groups_alone_is_met_where_they_are_asked_for(files: CertificateFiles) -> None:
    chain, key = files.leaf([NAME])
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate_chain_file(str(chain))
    context.use_privatekey_file(str(key))
    set_groups(context, b"X25519MLKEM768")

    with serve(Family.IPV4, shaking(context)) as port:
        plain = await shake(port, files.ca_file)
        hybrid = await shake(port, files.ca_file, groups=["X25519MLKEM768", "X25519"])
    assert reason_of(plain) is Reason.HANDSHAKE
    assert hybrid.ok, hybrid.outcomes[-1]
    assert hybrid.outcomes[-1].evidence["group"] == "X25519MLKEM768"


async def test_a_server_that_wants_another_group_first_is_one_round_trip_further(files: CertificateFiles) -> None:
    context = make_context(files, [NAME])
    context.set_ecdh_curve("prime256v1")
    for groups, trips in (["X25519", "P-256"], 2), (["P-256"], 1):
        run, evidence = await against(context, files, groups=groups)
        assert evidence.get("hello_retry", False) is (trips == 2), evidence
        assert of_run(run)[-1].count == trips


async def test_nothing_in_common_is_a_failed_handshake(files: CertificateFiles) -> None:
    context = make_context(files, [NAME])
    context.set_ecdh_curve("prime256v1")
    for tls in ({"ciphers": ["AES128-SHA"], "max_version": "1.2"}, {"groups": ["X448"]}):
        run, evidence = await against(context, files, **tls)
        assert reason_of(run) is Reason.HANDSHAKE, evidence


async def test_a_server_may_be_shown_to_refuse_what_is_weak(files: CertificateFiles) -> None:
    """A cipher without encryption or authentication is really offered, whatever OpenSSL thinks of it."""
    context = make_context(files, [NAME])
    for cipher in ("ECDHE-ECDSA-NULL-SHA", "ADH-AES128-SHA", "AECDH-AES128-SHA"):
        run, evidence = await against(context, files, ciphers=[cipher], max_version="1.2")
        assert reason_of(run) is Reason.HANDSHAKE, evidence
    context.set_ciphers("ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0")
    run, evidence = await against(context, files, ciphers=["ECDHE-ECDSA-NULL-SHA"], max_version="1.2")
    assert run.ok, evidence


async def test_a_handshake_that_we_cannot_even_begin_is_our_own_fault(files: CertificateFiles) -> None:
    """DSS suites of TLS 1.2 alone, and nothing but TLS 1.1 to offer them in."""
    tls = {"ciphers": ["DHE-DSS-AES256-GCM-SHA384"], "min_version": "1.1", "max_version": "1.1"}
    run, evidence = await against(make_context(files, [NAME]), files, **tls)
    assert run.ours, evidence
    assert evidence["openssl"] == ["no ciphers available"]


async def test_a_name_that_openssl_does_not_know_is_our_own_fault(files: CertificateFiles) -> None:
    for tls in ({"ciphers": ["NONE-SUCH"]}, {"ciphersuites": ["TLS_NONE_SUCH"]}, {"groups": ["P-255"]}):
        run, evidence = await against(make_context(files, [NAME]), files, **tls)
        assert run.ours
        assert f"tls.{next(iter(tls))}" in evidence["detail"]


async def test_without_sni_the_server_hears_no_name_and_the_certificate_is_held_against_it(
    files: CertificateFiles,
) -> None:
    context, asked = make_context(files, [NAME]), list[str | None]()
    context.sni_callback = lambda _sock, name, _context: asked.append(name)
    run, evidence = await against(context, files, sni=False)
    named, _ = await against(context, files)
    assert run.ok, evidence
    assert named.ok
    assert asked == [None, NAME]
    assert evidence["sni"] is False


@pytest.mark.parametrize("family", FAMILIES)
async def test_an_address_literal_is_held_against_the_addresses_of_the_certificate(
    files: CertificateFiles, family: Family
) -> None:
    address = LOOPBACK[family]
    with serve(family, read_to_the_end, make_context(files, [address])) as port:
        good = await shake(port, files.ca_file, family, host=address)
    with serve(family, read_to_the_end, make_context(files, [NAME])) as port:
        bad = await shake(port, files.ca_file, family, host=address)
    assert good.ok, good.outcomes[-1]
    assert good.outcomes[-1].evidence["names"] == [address]
    assert reason_of(bad) is Reason.NAME_MISMATCH


@pytest.mark.parametrize(
    ("least", "verify", "defects", "reason"),
    [
        (29, True, (), None),
        (31, True, (), Reason.EXPIRES_SOON),
        (31, False, ("tls-self-signed",), Reason.EXPIRES_SOON),
        (31, False, ("tls-expired",), Reason.EXPIRED),
        (31, True, ("tls-expired",), Reason.EXPIRED),
        (31, True, ("tls-wrong-name",), Reason.NAME_MISMATCH),
    ],
)
async def test_too_few_days_left_are_a_failure_where_it_is_asked_for(
    files: CertificateFiles, least: int, verify: bool, defects: tuple[str, ...], reason: Reason | None
) -> None:
    context = make_context(files, [NAME], frozenset(defects))
    run, evidence = await against(context, files, min_days_left=least, verify=verify)
    assert reason_of(run) is reason, evidence
    if reason is Reason.EXPIRES_SOON:
        assert "days are left, at least 31 are asked for" in evidence["detail"]


async def test_of_all_addresses_of_a_name_the_one_with_the_expired_certificate_is_named(
    files: CertificateFiles,
) -> None:
    good, old = make_context(files, [NAME]), make_context(files, [NAME], frozenset({"tls-expired"}))
    with (
        name_server({f"{NAME}.": "127.0.0.1 127.0.0.2"}) as dns,
        serve(Family.IPV4, read_to_the_end, good) as port,
        serve(Family.IPV4, read_to_the_end, old, at=("127.0.0.2", port)),
    ):
        resolver = {"servers": (f"127.0.0.1:{dns}",), "search": ()}
        options = {"tls": {"ca_file": str(files.ca_file)}, "resolver": resolver}
        runs = await climb(make_cell(Kind.TLS, "tls", NAME, port, options=options, addresses="all"), Kit())
    assert {run.address: reason_of(run) for run in runs} == {"127.0.0.1": None, "127.0.0.2": Reason.EXPIRED}
