"""Where the fabric loses 30 % of all packets, in both directions and families, what is slow has its reason as evidence.

Two delay tools, one on each node, hold packets shortly on either side of the fabric and keep their record: on the node
of the vantage all that it sends, on that of the server all that the server sends. Each cell has a port of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from prober.reasons import Family
from tests.network.lab import plan, probes
from tests.network.lab.conversation import Conversation, conversations
from tests.network.lab.delayed import DelayTool
from tests.network.lab.isolation import FILES
from tests.network.lab.process import LabProcess
from tests.network.timed import climb

#: Seconds each way, in each of the two tools: by as much is the first to send again the one that has sent first.
DELAY = 0.005
#: Seconds: without a loss no connect takes as long (a SYN is sent again after 1 s), and no other exchange (data with
#: nothing behind it is sent again after 200 ms).
CONNECT, EXCHANGE = 0.9, 0.19
#: Seconds that a time may have beside what passed the node, and those that rounding may take from it.
SLACK, ROUNDING = 0.01, 0.00002
TIMEOUT = 4.0
COPIES = range(10)
#: kind → its server, its URL, the first of its ports, and where the server's Pod redirects them to.
KINDS = {
    "tcp": (plan.WEB2, "tcp://{}", 20000, plan.HTTP),
    "tls": (plan.WEB2, "tls://{}", 21000, plan.HTTPS),
    "http": (plan.WEB2, "http://{}/health", 22000, plan.HTTP),
    "dns": (plan.DNS, "dns://{}/web.app.svc.cluster.local.", 23000, 53),
}
CONFIG = "loss.yaml"
_VANTAGE = {plan.CLIENT.address(family) for family in Family}
_PORTS = "table inet copies {{ chain c {{ type nat hook prerouting priority dstnat; {}; }}; }}"


def config() -> str:
    """Ten cells of each kind and family."""
    targets, listed = ["targets:"], ["probes:"]
    for family in Family:
        for kind, (pod, url, first, _) in KINDS.items():
            host = pod.address(family) if family is plan.V4 else f"[{pod.address(family)}]"
            names = [f"{kind}-{family}-{copy}" for copy in COPIES]
            targets += [f'  {name}: {{paths: {{pod: {{url: "{url.format(f"{host}:{first + copy}")}"}}}}}}'
                        for copy, name in zip(COPIES, names, strict=True)]  # fmt: skip
            listed.append(f"  - {{name: {kind}-{family}, kind: {kind}, targets: [{', '.join(names)}]}}")
    tls = f"tls: {{ca_file: {probes.CA_FILE}, server_name: {probes.APP}}}, dns: {{transport: tcp}}"
    return "\n".join([f"defaults: {{interval: 30s, timeout: {TIMEOUT:g}s, {tls}}}", *targets, *listed, ""])


@contextmanager
def many_ports(lab: LabProcess) -> Iterator[None]:
    """Each server is at the ports of its kind's copies as well."""
    pods = {pod.name: [each for each in KINDS.values() if each[0] is pod] for pod in (plan.WEB2, plan.DNS)}
    for name, kinds in pods.items():
        rules = [f"tcp dport {first}-{first + len(COPIES)} redirect to :{port}" for _, _, first, port in kinds]
        lab.run(name, "nft", _PORTS.format("; ".join(rules)))
    try:
        yield
    finally:
        for name in pods:
            lab.run(name, "nft", "delete table inet copies")


class Lossy(NamedTuple):
    """A run, and its connection as the vantage's node saw it, and the server's (None: it saw nothing of it)."""

    run: dict[str, Any]
    near: Conversation
    far: Conversation | None

    def layer(self, name: str) -> dict[str, Any] | None:
        """The outcome of a layer that was climbed."""
        layers: list[dict[str, Any]] = self.run["layers"]
        return next((each for each in layers if each["layer"] == name and each["result"] != "skipped"), None)

    @property
    def answered_again(self) -> bool:
        """The server sent some data again, of which its kernel alone knows."""
        return self.far is not None and self.far.repeated(back=True) > 0


@pytest.fixture(scope="module")
def lossy(lab: LabProcess) -> list[Lossy]:
    lab.file(CONFIG).write_text(config(), encoding="ascii")
    lab.ask(fault="l3-loss30", on=True)
    try:
        with many_ports(lab), DelayTool(lab.command("node1")) as near, DelayTool(lab.command("node2")) as far:
            for tool in (near, far):
                tool.hold(DELAY)
            done = lab.prober("once", "-c", str(FILES / CONFIG), "-o", "ndjson", "--jobs", "30")
            seen = [{(each.port, each.server): each for each in conversations(tool.record().passages, _VANTAGE)}
                    for tool in (near, far)]  # fmt: skip
    finally:
        lab.ask(fault="l3-loss30", on=False)
    assert not done.stderr
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    return [Lossy(run, seen[0][at], seen[1].get(at)) for run in runs for at in [(run["port"], run["address"])]]


def test_a_slow_connect_has_its_retransmits_as_evidence_and_one_without_is_fast(lossy: list[Lossy]) -> None:
    connects = [(each, layer) for each in lossy if (layer := each.layer("tcp")) is not None]
    assert len(lossy) == len(KINDS) * len(Family) * len(COPIES)
    for each, layer in connects:
        slow = layer["seconds"] > CONNECT
        assert slow == (layer["evidence"]["retransmits"] > 0), each
        assert layer["result"] == "ok" or slow
    assert len({layer["seconds"] > CONNECT for _, layer in connects}) == 2


def test_the_retransmits_of_a_connect_are_those_that_passed_the_node(lossy: list[Lossy]) -> None:
    for each in lossy:
        if (layer := each.layer("tcp")) is not None:
            assert layer["evidence"]["retransmits"] == each.near.syns - 1, each


def explained(evidence: dict[str, Any]) -> bool:
    return any(evidence.get(name) for name in ("retransmits", "out_of_order", "unacknowledged"))


@pytest.mark.parametrize("layer", ["tls", "http", "dns"])
def test_a_slow_exchange_is_explained_unless_only_its_answer_was_lost(lossy: list[Lossy], layer: str) -> None:
    """Of an answer that was lost as a whole, or to its end, nobody but the server's kernel can know."""
    climbed = [(each, found) for each in lossy if (found := each.layer(layer)) is not None]
    slow = [(each, found) for each, found in climbed if found["seconds"] > EXCHANGE]
    for each, found in slow:
        assert explained(found["evidence"]) or each.answered_again, each
    assert any(explained(found["evidence"]) for _, found in slow)
    for each, found in climbed:
        if not each.near.repeated() and not each.answered_again:
            assert found["seconds"] < EXCHANGE, each
            assert not explained(found["evidence"]), each


def test_what_is_said_to_be_sent_again_was_sent_again(lossy: list[Lossy]) -> None:
    for each in lossy:
        counts = [layer["evidence"].get("retransmits", 0) for layer in each.run["layers"]]
        assert sum(counts) <= each.near.repeated(), each


@pytest.mark.parametrize("layer", ["tls", "http"])
def test_no_loss_is_taken_for_local_time(lossy: list[Lossy], layer: str) -> None:
    """A segment that fills a gap comes after those behind it, whose stamps are older."""
    for each in lossy:
        if (found := each.layer(layer)) is not None and found["result"] == "ok":
            assert found["evidence"]["local_seconds"] < EXCHANGE, each


def test_an_answer_is_there_once_its_last_missing_segment_has_come(lossy: list[Lossy]) -> None:
    """However often it was lost: what http takes is held against the tool on the vantage's node."""
    answered = [(each, found) for each in lossy if (found := each.layer("http")) and found["result"] == "ok"]
    assert answered
    for each, found in answered:
        exchange = each.near.exchange(0)
        assert found["seconds"] >= exchange.complete - ROUNDING, each
        assert exchange.beside(found["seconds"], ROUNDING) < SLACK, each


@pytest.mark.parametrize(
    ("fault", "said", "not_said"),
    [
        ("mtu-blackhole", {"out_of_order", "behind_gap"}, {"unacknowledged"}),
        ("fw-data-lost", {"retransmits", "unacknowledged"}, {"behind_gap"}),
        ("tls-hang", set(), {"behind_gap", "unacknowledged"}),
    ],
)
def test_a_timeout_tells_a_lost_answer_from_a_lost_request_and_from_silence(
    lab: LabProcess, fault: str, said: set[str], not_said: set[str]
) -> None:
    lab.ask(fault=fault, on=True)
    try:
        runs = climb(lab, ["tls"], timeout=1.0)
    finally:
        lab.ask(fault=fault, on=False)
    for run in runs:
        assert run["blame"] == {"layer": "tls", "reason": "timeout"}
        evidence = run["layers"][-1]["evidence"]
        assert evidence.keys() >= said, run
        assert not evidence.keys() & not_said, run
