"""Who would connect where: the two libraries' orders, by hand and against the libraries themselves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from prober.options import Profile
from prober.wire.dns.destinations import order, sources
from tests.support.libc import musl_program, why_no_glibc
from tests.support.netns import run_in_namespace, why_not

ULA_POD = {"2001:db8:9::1": "fd00:1::5", "fd00:1::9": "fd00:1::5", "192.0.2.1": "10.9.0.5", "10.96.0.1": "10.9.0.5"}


@pytest.mark.parametrize("profile", list(Profile))
def test_a_pod_with_ula_addresses_goes_to_global_names_over_ipv4(profile: Profile) -> None:
    assert order(profile, ["2001:db8:9::1", "192.0.2.1"], ULA_POD) == ["192.0.2.1", "2001:db8:9::1"]


def test_for_a_ula_service_the_libraries_differ() -> None:
    assert order(Profile.GLIBC, ["10.96.0.1", "fd00:1::9"], ULA_POD) == ["fd00:1::9", "10.96.0.1"]
    assert order(Profile.MUSL, ["fd00:1::9", "10.96.0.1"], ULA_POD) == ["10.96.0.1", "fd00:1::9"]


@pytest.mark.parametrize("profile", list(Profile))
def test_an_address_without_a_way_to_it_comes_last(profile: Profile) -> None:
    assert order(profile, ["2001:db8::1", "192.0.2.1"], {"192.0.2.1": "10.0.0.1"}) == ["192.0.2.1", "2001:db8::1"]


@pytest.mark.parametrize("profile", list(Profile))
def test_scopes_count_before_precedence(profile: Profile) -> None:
    source = {"fe80::1": "2001:db8::5", "2001:db8::1": "2001:db8::5", "::1": "::1", "127.0.0.1": "127.0.0.1"}
    assert order(profile, ["fe80::1", "2001:db8::1"], source) == ["2001:db8::1", "fe80::1"]
    assert order(profile, ["127.0.0.1", "::1"], source) == ["::1", "127.0.0.1"]


def test_musl_hands_out_no_more_than_48() -> None:
    many = [f"192.0.2.{number}" for number in range(60)]
    assert order(Profile.MUSL, many, {}) == many[:48]
    assert len(order(Profile.GLIBC, many, {})) == 60


def test_the_kernel_says_which_source_an_address_has() -> None:
    assert sources(["127.0.0.1", "not an address"]) == {"127.0.0.1": "127.0.0.1", "not an address": None}


def test_the_libraries_themselves_hand_out_the_same_order(tmp_path: Path) -> None:
    if (reason := why_no_glibc() or why_not()) is not None:
        pytest.skip(reason)
    musl = str(musl_program(tmp_path)) if shutil.which("musl-gcc") else "-"
    cases = [json.loads(line) for line in run_in_namespace("against_order.py", musl).splitlines()]
    assert len(cases) == (25 if musl == "-" else 50)
    assert [(case["case"], case["prober"]) for case in cases] == [(case["case"], case["libc"]) for case in cases]
