"""The reported times are the network's: a loop that is held up does not read as a slow server."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from time import perf_counter

import pytest

from prober.engine.climb import climb
from prober.layers.base import Kit
from prober.model import Cell, Endpoint, Outcome, Run
from prober.reasons import Family, Kind, Layer
from prober.wire import core, stamps, tcp
from tests.support.cells import FAMILIES, LOOPBACK, has_ipv6, make_cell
from tests.support.delayed import NAME, Delayed, serve_late

DELAY = 0.02
SPIN = 0.15
#: What a reported time may have above the server's own delay: less than a spin, for the machine may be busy.
SLACK = 0.06


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delayed]:
    addresses = tuple(LOOPBACK.values()) if has_ipv6() else (LOOPBACK[Family.IPV4],)
    with serve_late(DELAY, tmp_path_factory.mktemp("late"), addresses) as servers:
        yield servers


@pytest.fixture
async def kit() -> AsyncIterator[Kit]:
    kit = Kit()
    kit.get(stamps.StampKeeper)
    yield kit
    await kit.close()


@contextlib.asynccontextmanager
async def held_up() -> AsyncIterator[None]:
    """An event loop whose every turn takes SPIN seconds."""

    async def spin() -> None:
        while True:
            until = perf_counter() + SPIN
            while perf_counter() < until:
                pass
            await asyncio.sleep(0)

    spinning = asyncio.create_task(spin())
    try:
        yield
    finally:
        spinning.cancel()


def tcp_cell(late: Delayed, family: Family) -> Cell:
    return make_cell(Kind.TCP, "tcp", LOOPBACK[family], late.ports["http", LOOPBACK[family]], family=family, timeout=10)


def https_cell(late: Delayed, family: Family, version: str) -> Cell:
    options = {"http": {"version": version}, "tls": {"ca_file": str(late.ca_file), "server_name": NAME}}
    address = LOOPBACK[family]
    return make_cell(
        Kind.HTTP, "https", address, late.ports["https", address], family=family, timeout=10, options=options
    )


def tls_1_2_cell(late: Delayed, family: Family) -> Cell:
    options = {"tls": {"ca_file": str(late.ca_file), "server_name": NAME, "max_version": "1.2"}}
    address = LOOPBACK[family]
    return make_cell(Kind.TLS, "tls", address, late.ports["https", address], family=family, timeout=10, options=options)


def proxied_cell(late: Delayed, family: Family) -> Cell:
    address = LOOPBACK[family]
    proxy = Endpoint("http", address, late.ports["http", address])
    return make_cell(Kind.HTTP, "http", NAME, 80, family=family, timeout=10, proxy=proxy)


def dns_cell(late: Delayed, family: Family, transport: str = "tcp") -> Cell:
    address = LOOPBACK[family]
    options = {"dns": {"transport": transport}, "resolver": {"timeout": "5s"}}
    service = "dns" if transport == "tcp" else "dns-udp"
    return make_cell(
        Kind.DNS, "dns", address, late.ports[service, address], family=family, timeout=10, options=options,
        resource="web.example.",
    )  # fmt: skip


def grpc_cell(late: Delayed, family: Family) -> Cell:
    address = LOOPBACK[family]
    return make_cell(Kind.GRPC, "grpc", address, late.ports["grpc", address], family=family, timeout=10)


#: name → cell, and its layers that wait for one late flight.
CELLS = {
    "tcp": (tcp_cell, []),
    "http/1.1": (lambda late, family: https_cell(late, family, "1.1"), [Layer.TLS, Layer.HTTP]),
    "tls/1.2": (tls_1_2_cell, [Layer.TLS]),  # two flights each way (RFC 5246 section 7.3)
    "http/2": (lambda late, family: https_cell(late, family, "2"), [Layer.TLS, Layer.HTTP]),
    "proxy": (proxied_cell, [Layer.PROXY, Layer.HTTP]),
    "dns": (dns_cell, [Layer.DNS]),
    "grpc": (grpc_cell, [Layer.GRPC]),
    "dns over udp": (lambda late, family: dns_cell(late, family, "udp"), [Layer.DNS]),
}


async def climb_held_up(late: Delayed, cell: Cell, kit: Kit) -> tuple[Run, dict[Layer, Outcome], Counter[str]]:
    """The run, its outcomes that have a time, and what each layer's flights were really delayed by."""
    await climb(cell, kit)  # imports, contexts
    late.delays()
    async with held_up():
        (run,) = await climb(cell, kit)
    assert run.ok, run.outcomes
    true = Counter[str]()
    for _, flight, seconds in late.delays():
        true[flight] += seconds
    return run, {outcome.layer: outcome for outcome in run.outcomes if outcome.seconds is not None}, true


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", CELLS)
async def test_a_layer_takes_what_the_server_and_the_wire_took(
    late: Delayed, kit: Kit, family: Family, name: str
) -> None:
    make, waiting = CELLS[name]
    run, timed, true = await climb_held_up(late, make(late, family), kit)
    assert {layer: outcome.evidence["clock"] for layer, outcome in timed.items()} == dict.fromkeys(timed, "kernel")
    for layer, outcome in timed.items():
        delay = true[layer.value] if layer in waiting else 0.0
        assert delay <= (outcome.seconds or 0.0) < delay + SLACK, layer
        assert outcome.evidence["local_seconds"] >= SPIN / 2 or layer in (Layer.TCP, Layer.DNS)
    assert sum(outcome.seconds or 0.0 for outcome in timed.values()) < run.seconds


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", ["http/1.1", "proxy", "dns"])
async def test_once_the_core_was_lost_on_the_way_into_the_kernel_sends_count_from_their_leaving(
    late: Delayed, kit: Kit, family: Family, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock before each send is read SPIN too early, as if the core had been lost right after."""
    make, waiting = CELLS[name]
    monkeypatch.setattr(tcp, "WATCHING", core.Watch())
    monkeypatch.setattr(tcp, "perf_counter", lambda: perf_counter() - SPIN)
    cell = make(late, family)
    (unwarned,) = await climb(cell, kit)
    assert tcp.WATCHING.on
    late.delays()
    (watching,) = await climb(cell, kit)
    true = Counter[str]()
    for _, flight, seconds in late.delays():
        true[flight] += seconds
    for before, after in zip(unwarned.outcomes, watching.outcomes, strict=True):
        if after.layer in waiting:
            assert before.evidence["local_seconds"] == 0.0  # all of its time was taken for the network's
            assert after.evidence["local_seconds"] > 0.0
            assert after.evidence["clock"] == "kernel"
            assert 0.0 <= (after.seconds or 0.0) - true[after.layer.value] < SLACK


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", [name for name in CELLS if name not in ("tcp", "grpc", "dns over udp")])
async def test_without_stamps_the_user_clock_serves_and_the_outcome_says_so(
    late: Delayed, kit: Kit, family: Family, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "stamp_receipt", lambda _socket: None)
    monkeypatch.setattr(tcp, "stamp_both_ways", lambda _socket: False)
    make, waiting = CELLS[name]
    _, timed, _ = await climb_held_up(late, make(late, family), kit)
    for layer in waiting:
        assert timed[layer].evidence["clock"] == "user"
        assert (timed[layer].seconds or 0.0) > SPIN / 2  # the loop's own time: nobody can tell it from the network's


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("transport", ["tls", "https"])
async def test_an_encrypted_question_takes_what_its_flights_took(
    late: Delayed, kit: Kit, family: Family, transport: str
) -> None:
    address = LOOPBACK[family]
    options = {
        "dns": {"transport": transport, "http_version": "1.1"},
        "tls": {"ca_file": str(late.ca_file), "server_name": NAME, "alpn": ["dot"] if transport == "tls" else []},
        "resolver": {"timeout": "5s"},
    }
    cell = make_cell(Kind.DNS, "dns", address, late.ports["https", address], family=family, timeout=10, options=options,
                     resource="web.example.")  # fmt: skip
    _, timed, true = await climb_held_up(late, cell, kit)
    outcome, delay = timed[Layer.DNS], true["tls"] + true["dns"]
    assert outcome.evidence["clock"] == "kernel"
    assert 2 * DELAY <= delay <= (outcome.seconds or 0.0) < delay + SLACK


async def test_without_tcp_info_the_connect_is_on_the_user_clock(
    late: Delayed, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "LINUX", False)
    for cell, layer in ((tcp_cell(late, Family.IPV4), Layer.TCP), (dns_cell(late, Family.IPV4), Layer.DNS)):
        (run,) = await climb(cell, kit)
        assert run.ok
        assert {o.evidence["clock"] for o in run.outcomes if o.layer is layer} == {"user"}


async def test_the_phases_of_http_are_the_kernels_and_make_up_the_layers_time(late: Delayed, kit: Kit) -> None:
    for version in ("1.1", "2"):
        run, timed, true = await climb_held_up(late, https_cell(late, Family.IPV4, version), kit)
        assert list(run.phases) == ["request", "first_byte", "transfer"]
        assert true["http"] <= run.phases["first_byte"] < true["http"] + SLACK
        assert run.phases["request"] + run.phases["transfer"] < SLACK
        assert sum(run.phases.values()) == pytest.approx(timed[Layer.HTTP].seconds)


async def test_a_clock_that_was_stepped_is_not_believed(
    late: Delayed, kit: Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the second answer on the wall clock is an hour ahead of what it was."""
    true, real = stamps.Instant.now, []

    def stepped() -> stamps.Instant:
        real.append(true())
        ahead = 3_600_000_000_000 if len(real) > 2 else 0
        return stamps.Instant(real[-1].wall_ns + ahead, real[-1].monotonic)

    cell = https_cell(late, Family.IPV4, "1.1")
    await climb(cell, kit)
    monkeypatch.setattr(stamps.Instant, "now", stepped)
    (run,) = await climb(cell, kit)
    clocks = {outcome.layer: outcome.evidence.get("clock") for outcome in run.outcomes}
    assert clocks == {Layer.DNS: None, Layer.TCP: "kernel", Layer.TLS: "kernel", Layer.HTTP: "user"}
    assert all((outcome.seconds or 0.0) < run.seconds for outcome in run.outcomes)


async def test_the_keeper_holds_its_socket_until_the_kit_is_closed() -> None:
    kit = Kit()
    keeper = kit.get(stamps.StampKeeper)
    held = keeper._socket
    assert held is not None
    assert held.getsockopt(1, 35) == 1
    await kit.close()
    assert held.fileno() == -1
