"""The reported times are true: they are what the delay tool did to the packets, and what is slow under loss has its
retransmits as evidence.

The tool holds packets on the node of the vantage, each way: what a layer reports is held against the tool's own record
of that exchange, in which its errors and the server's time are contained. All are climbed one after the other by the
command line as it is shipped, in the vantage.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import pytest

from prober.reasons import Family
from tests.network.lab import plan, probes
from tests.network.lab.conversation import Conversation, Exchange, conversations
from tests.network.lab.delayed import DelayTool
from tests.network.lab.isolation import FILES
from tests.network.lab.lab import VANTAGE
from tests.network.lab.process import PROBER, LabProcess

#: Seconds, each way.
DELAYS = (0.001, 0.005, 0.02, 0.1)
#: Seconds that a time may have beside what the tool did: the vantage's own link, and what a busy machine makes of it.
SLACK = 0.005
#: The same for half of all times. It is 0.00005 s where nobody disturbs.
USUALLY = 0.0005
#: Seconds by which a time may be less: the kernel gives the tool microseconds, and the prober rounds to them.
ROUNDING = 0.00002
CONFIG = "timing.yaml"


class Part(NamedTuple):
    """An exchange of a conversation: the number of the vantage's data segment that begins it, and of the one that ends
    it, if the conversation goes on. None: the handshake; of a datagram the only exchange."""

    asked: int | None
    until: int | None = None

    def of(self, conversation: Conversation) -> Exchange:
        """What the tool did to it."""
        return conversation.handshake() if self.asked is None else conversation.exchange(self.asked, self.until)


class Case(NamedTuple):
    """A kind of probe: URL and options, and for each layer the exchanges that are its time."""

    kind: str
    url: str
    layers: Mapping[str, tuple[Part, ...]]
    options: str = ""


HANDSHAKE, FIRST = Part(None), Part(0)
_TCP = {"tcp": (HANDSHAKE,)}
#: What the vantage says over TLS 1.3: ClientHello, Finished, request.
_TLS = {**_TCP, "tls": (Part(0, until=1),)}
_HTTPS = {**_TLS, "http": (Part(2),)}
_NAME = f"tls: {{server_name: {probes.APP}}}"
_DNS = "dns://{dns}/web.app.svc.cluster.local."
CASES = {
    "icmp": Case("icmp", "icmp://{web}", {"icmp": (HANDSHAKE,)}),
    "tcp": Case("tcp", "tcp://{web}:8080", _TCP),
    "tls": Case("tls", "tls://{web}:8443", _TLS, _NAME),
    "http": Case("http", "http://{web}:8080/health", {**_TCP, "http": (FIRST,)}),
    "https-1": Case("http", "https://{web}:8443/health", _HTTPS, f'http: {{version: "1.1"}}, {_NAME}'),
    "https-2": Case("http", "https://{web}:8443/health", _HTTPS, f'http: {{version: "2"}}, {_NAME}'),
    "grpc": Case("grpc", "grpc://{web}:50051", {**_TCP, "grpc": (FIRST,)}),
    "dns": Case("dns", _DNS, {"dns": (HANDSHAKE,)}),
    "dns-tcp": Case("dns", _DNS, {"dns": (HANDSHAKE, FIRST)}, "dns: {transport: tcp}"),
}


def config(names: Iterable[str], *, timeout: float) -> str:
    """A probe for each of these cases and families, named `CASE-FAMILY`."""
    targets, listed = ["targets:"], ["probes:"]
    for family in Family:
        hosts = {"web": plan.WEB2.address(family), "dns": plan.DNS.address(family)}
        if family is plan.V6:
            hosts = {name: f"[{address}]" for name, address in hosts.items()}
        for name in names:
            case = CASES[name]
            targets.append(f'  {name}-{family}: {{paths: {{pod: {{url: "{case.url.format(**hosts)}"}}}}}}')
            options = f", {case.options}" if case.options else ""
            listed.append(f"  - {{name: {name}-{family}, kind: {case.kind}, targets: [{name}-{family}]{options}}}")
    head = f"defaults: {{interval: 30s, timeout: {timeout:g}s, tls: {{ca_file: {probes.CA_FILE}}}}}"
    return "\n".join([head, *targets, *listed, ""])


def climb(
    lab: LabProcess, names: Iterable[str], *options: str, timeout: float, pinned: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Runs of the shipped command line in the vantage."""
    lab.file(CONFIG).write_text(config(names, timeout=timeout), encoding="ascii")
    command = [*pinned, *PROBER, "once", "-c", str(FILES / CONFIG), "-o", "ndjson", *options]
    done = lab.run("client", *command, env=VANTAGE)
    assert not done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class Timed(NamedTuple):
    """A layer of a run, and what the tool did to its packets."""

    case: str
    family: Family
    layer: str
    seconds: float
    clock: str
    exchanges: tuple[Exchange, ...]

    @property
    def beside(self) -> float:
        """Seconds that are in the reported time, and not in what the tool did."""
        *before, last = self.exchanges
        return last.beside(self.seconds - sum(exchange.ends[-1] for exchange in before), ROUNDING)


def timed(run: dict[str, Any], conversation: Conversation) -> Iterator[Timed]:
    """The layers of a run that have a time."""
    name = run["probe"].rpartition("-")[0]
    for layer in run["layers"]:
        if (parts := CASES[name].layers.get(layer["layer"])) is not None:
            exchanges = tuple(part.of(conversation) for part in parts)
            yield Timed(name, Family(run["family"]), layer["layer"], layer["seconds"], layer["evidence"]["clock"],
                        exchanges)  # fmt: skip


def climb_held_up(lab: LabProcess, delay: float, *pinned: str) -> list[Timed]:
    """Every layer of every case in both families, one climb after the other, each way held for `delay` seconds."""
    with DelayTool(lab.command(plan.CLIENT.node.name)) as tool:
        tool.hold(delay)
        runs = climb(lab, CASES, "--jobs", "1", timeout=4.0, pinned=pinned)
        record = tool.record()
    assert [run["probe"] for run in runs if not run["ok"]] == []
    assert record.lost == 0
    spoken = conversations(record.passages, {plan.CLIENT.address(family) for family in Family})
    assert [(run["address"], run["port"]) for run in runs] == [(each.server, each.port) for each in spoken]
    return [layer for run, each in zip(runs, spoken, strict=True) for layer in timed(run, each)]


def assert_true(layers: Sequence[Timed]) -> None:
    for each in layers:
        assert -ROUNDING <= each.beside < SLACK, each
    assert median(each.beside for each in layers) < USUALLY


@pytest.fixture(scope="module", params=DELAYS, ids=lambda delay: f"{delay * 1e3:g}ms")
def held(lab: LabProcess, request: pytest.FixtureRequest) -> tuple[float, list[Timed]]:
    """The delay, and the layers."""
    return request.param, climb_held_up(lab, request.param)


def test_every_layer_of_every_kind_has_its_time_from_the_kernels_clock(held: tuple[float, list[Timed]]) -> None:
    _, layers = held
    expected = {(name, family, layer) for name, case in CASES.items() for family in Family for layer in case.layers}
    assert {(each.case, each.family, each.layer) for each in layers} == expected
    assert {each.clock for each in layers} == {"kernel"}


def test_a_layers_time_is_what_the_tool_did_to_its_packets(held: tuple[float, list[Timed]]) -> None:
    _, layers = held
    assert_true(layers)


def test_a_layers_time_has_the_way_there_and_back_for_each_of_its_exchanges(held: tuple[float, list[Timed]]) -> None:
    delay, layers = held
    for each in layers:
        assert 2 * delay * len(each.exchanges) <= each.seconds, each


def test_a_busy_neighbour_on_the_core_is_in_no_layers_time(lab: LabProcess) -> None:
    core = min(os.sched_getaffinity(0))
    pinned = ("taskset", "-c", str(core))
    with subprocess.Popen([*pinned, sys.executable, "-c", "while True: pass"]) as neighbour:
        try:
            assert_true(climb_held_up(lab, 0.005, *pinned))
        finally:
            neighbour.kill()


@pytest.mark.parametrize("family", Family)
def test_an_answer_takes_until_its_missing_segment_has_come(lab: LabProcess, family: Family) -> None:
    """The long first segment of the server's flight is held, the short one behind it passes and has the older stamp."""
    with DelayTool(lab.command(plan.CLIENT.node.name), match=["-m", "length", "--length", "1000:"]) as tool:
        tool.hold(0.05)
        (run,) = climb(lab, ["tls"], "--probe", f"tls-{family}", timeout=4.0)
        first, *_ = tool.record().passages  # the server sends it again meanwhile, and that is held too
    tls = run["layers"][-1]
    assert run["ok"]
    assert first.actual <= tls["seconds"] <= run["seconds"]
    assert tls["evidence"]["local_seconds"] < 0.05
    assert tls["evidence"]["out_of_order"] == 1
    assert tls["evidence"]["clock"] == "user"
