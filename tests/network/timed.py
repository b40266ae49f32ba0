"""Climbs through the delay tool: each layer's reported time beside the tool's own record of its exchange.

The tool holds packets on the node of the vantage, each way. In its record of an exchange are its own errors and the
server's time; what a reported time has beside it is the vantage's own link, and the error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from prober.reasons import Family
from tests.network.lab import plan, probes
from tests.network.lab.conversation import Conversation, Exchange, conversations
from tests.network.lab.delayed import DelayTool, Record
from tests.network.lab.isolation import FILES
from tests.network.lab.plan import VANTAGE
from tests.network.lab.process import PROBER, LabProcess

#: Seconds by which a time may be less: the kernel gives the tool microseconds, and the prober rounds to them.
ROUNDING = 0.00002
CONFIG = "timing.yaml"
#: Seconds that all climbs together may take.
PATIENCE = 120.0
#: Where packets of the vantage are held: each passes there once in either direction.
PLACE = plan.CLIENT.node.name


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
    done = lab.run("client", *command, env=VANTAGE, timeout=PATIENCE)
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


def climb_held_up(lab: LabProcess, delay: float, *pinned: str, count: int = 1) -> list[Timed]:
    """Every layer of every case in both families, one climb after the other, each way held for `delay` seconds."""
    with DelayTool(lab.command(PLACE)) as tool:
        tool.hold(delay)
        runs = climb(lab, CASES, "--jobs", "1", "--count", str(count), timeout=4.0, pinned=pinned)
        spoken = spoken_meanwhile(tool.record())
    assert [run["probe"] for run in runs if not run["ok"]] == []
    said, seen = [(run["address"], run["port"]) for run in runs], [(each.server, each.port) for each in spoken]
    assert said == seen, [f"{one} but {other}" for one, other in zip_longest(said, seen) if one != other]
    return [layer for run, each in zip(runs, spoken, strict=True) for layer in timed(run, each)]


def spoken_meanwhile(record: Record) -> list[Conversation]:
    """All that the vantage began, in its order."""
    assert record.lost == 0
    return conversations(record.passages, {plan.CLIENT.address(family) for family in Family})
