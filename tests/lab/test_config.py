"""The demo configuration: the loader takes it, every kind is in it, and every fault has a cell to show in."""

from __future__ import annotations

from pathlib import Path

import pytest

from prober.config.load import load_text
from prober.config.matrix import expand
from prober.lab.config import Ports, Setting, demo_config
from prober.lab.faults import FAULTS, Fault
from prober.lab.lab import Lab
from prober.model import Cell, Vantage
from prober.reasons import Family, Kind, Layer

PORTS = Ports(dns=5301, web=8001, ingress=8002, proxy=8003, grpc=8004, grpcs=8005, api=8006, forbidden=8007)


def cells_of(ipv6: bool) -> tuple[Cell, ...]:
    text = demo_config(Setting(PORTS, ipv6, Path("/tmp/lab dir/ca.crt"), Path("/tmp/lab dir/token")))
    families = (Family.IPV4, Family.IPV6) if ipv6 else (Family.IPV4,)
    vantage = Vantage("test", families=families, resolver_families=families)
    return expand(load_text(text, "probes.yaml", env={}), vantage)


CELLS = cells_of(ipv6=True)


def test_the_demo_is_small_enough_to_watch_and_has_every_kind_in_both_families() -> None:
    assert 20 <= len(CELLS) <= 40
    assert {cell.kind for cell in CELLS} == set(Kind)
    for kind in Kind:
        assert {cell.family for cell in CELLS if cell.kind is kind} == set(Family)


def test_paths_with_blanks_survive() -> None:
    with_tls = [cell.options for cell in CELLS if Layer.TLS in cell.ladder]
    assert {"/tmp/lab dir/ca.crt"} == {str(options.tls.ca_file or options.kubernetes.ca_file) for options in with_tls}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_every_fault_has_cells_that_climb_its_layer(fault: Fault) -> None:
    shown = [cell for cell in CELLS if fault.shows_in(cell.id)]
    assert shown
    assert all(fault.layer in cell.ladder for cell in shown)
    assert all(any(Fault("", "", fault.layer, fault.reason, (p,)).shows_in(c.id) for c in CELLS) for p in fault.cells)


def test_without_ipv6_the_demo_probes_over_ipv4_alone_and_every_other_fault_still_shows() -> None:
    cells = cells_of(ipv6=False)
    assert {cell.family for cell in cells} == {Family.IPV4}
    assert {cell.options.resolver.servers for cell in cells} == {("127.0.0.1:5301",)}
    hidden = [name for name, fault in FAULTS.items() if not any(fault.shows_in(cell.id) for cell in cells)]
    assert hidden == ["dns-no-aaaa"]


async def test_a_running_lab_gives_its_configuration_as_text_and_as_a_file(lab: Lab) -> None:
    assert lab.config_path.read_text() == lab.config_text
    assert load_text(lab.config_text, "probes.yaml").probes
    assert set(lab.faults) == set(FAULTS)
    assert not any(lab.faults.values())


async def test_a_lab_leaves_nothing_behind() -> None:
    async with Lab() as lab:
        await lab.set_fault("http-503", True)
        assert lab.faults["http-503"]
        with pytest.raises(KeyError, match="did you mean http-503"):
            await lab.set_fault("http-530", True)
    assert not lab.config_path.parent.exists()


async def test_a_fault_that_this_machine_cannot_have_is_refused_with_the_reason(lab: Lab) -> None:
    lab.unavailable = {"http-503": "out of stock"}
    with pytest.raises(RuntimeError, match="http-503 is not available here: out of stock"):
        await lab.set_fault("http-503", True)
    await lab.set_fault("http-503", False)
