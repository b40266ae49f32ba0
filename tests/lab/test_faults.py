"""The catalogue as data: closed words, plain sentences, and a helpful error for a name that is not in it."""

from __future__ import annotations

import re

import pytest

from prober.lab.faults import FAULTS, Fault, known
from prober.lab.switches import Switches
from prober.reasons import COMMON_FAILURES, REASONS, Layer, Reason


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_blames_a_reason_that_its_layer_has(fault: Fault) -> None:
    assert fault.reason in (*REASONS[fault.layer], *COMMON_FAILURES)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_says_one_plain_sentence_and_names_its_cells(fault: Fault) -> None:
    assert re.fullmatch(r"[A-Za-z].*[^.]\.", fault.says)
    assert len(fault.says) <= 110
    assert fault.cells


def test_the_catalogue_covers_most_reasons_of_the_layers_that_loopback_can_break() -> None:
    covered = {(fault.layer, fault.reason) for fault in FAULTS.values()}
    assert len(covered) >= 40
    assert {layer for layer, _ in covered} == set(Layer) - {Layer.ICMP}


def test_a_misspelt_name_is_refused_with_the_name_that_was_meant() -> None:
    with pytest.raises(KeyError, match=r"unknown fault 'tls-expird' \(did you mean tls-expired\?\)"):
        known("tls-expird")
    with pytest.raises(KeyError, match="unknown fault 'zzz'"):
        Switches().turn("zzz", True)
    with pytest.raises(KeyError):
        Switches().on("zzz")


def test_a_bare_pattern_is_a_probe_and_one_with_slashes_a_cell() -> None:
    fault = Fault("x", "X.", Layer.TCP, Reason.REFUSED, ("web", "edge/*/proxied/*"))
    assert fault.shows_in("web/web-api/service/ipv4")
    assert fault.shows_in("edge/web-api/proxied/ipv6")
    assert not fault.shows_in("edge/web-api/ingress/ipv6")
    assert not fault.shows_in("web-l4/web-api/service/ipv4")


def test_switches_are_independent() -> None:
    switches = Switches()
    switches.turn("http-503", True)
    switches.turn("tls-expired", True)
    switches.turn("http-503", False)
    assert [name for name, on in switches.state().items() if on] == ["tls-expired"]
    assert switches.among("tls-") == {"tls-expired"}
    assert switches.first("http-503", "tls-expired") == "tls-expired"
