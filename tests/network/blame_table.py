"""`docs/blame.md` out of the catalogue: `python -m tests.network.blame_table` writes it, a test holds it to that.

What the catalogue says of a fault is what the parametrised test of that fault has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from prober.reasons import Family
from tests.network.lab.faults import FAULTS
from tests.network.lab.faults.fault import LETTERS, Fault

FILE = Path(__file__).parents[2] / "docs" / "blame.md"

_HEAD = """\
# Whom the prober blames

Each row is a fault put into a real dataplane: two nodes, a routed fabric, dual-stack Pods, a vxlan overlay,
kube-proxy's nftables, cluster DNS, an API server look-alike, nginx, Envoy, HAProxy and squid, all of it out of network
namespaces (`make lab`). The shipped `prober once -o ndjson` ran in a Pod, the application in a Pod on the other node,
over IPv4 and over IPv6. `tests/network/test_blame.py` proves each row, family by family. It also proves that no other
cell raises an alarm of its own: those of the other family are green, those of other paths are green or blame the same.

What was seen is one letter each for **icmp tcp tls http grpc dns kubernetes**, in this order, on the path of the row.

"""
_TAIL = """\

From one vantage a policy drop, a lost overlay peer and a dead Pod look the same: silence. Compare vantages (same node,
other node, outside), paths (Pod IP against Service) and families to tell them apart.
"""


def render(faults: Iterable[Fault] = tuple(FAULTS.values())) -> str:
    """The whole page."""
    return "".join(f"{line}\n" for line in _lines(list(faults)))


def _lines(faults: list[Fault]) -> Iterator[str]:
    yield _HEAD.rstrip("\n")
    yield ""
    yield " · ".join(f"`{letter}` {says}" for letter, says in LETTERS.items())
    yield ""
    yield "| fault | what is wrong | path | seen | blamed | whom that means |"
    yield "|---|---|---|---|---|---|"
    for fault in faults:
        yield f"| {' | '.join(_cells(fault))} |"
    yield from (f"- `{fault.name}`: {fault.note}" for fault in faults if fault.note)
    yield _TAIL.rstrip("\n")


def _cells(fault: Fault) -> Iterator[str]:
    only = f" ({fault.families[0]})" if len(fault.families) < len(Family) else ""
    yield f"`{fault.name}`{only}"
    yield fault.says
    yield fault.path
    yield f"`{fault.signature}`"
    yield "; ".join(f"{layer} {' or '.join(reasons)}" for layer, reasons in fault.blame.items()) or "nobody"
    yield fault.to_blame


def main() -> None:
    FILE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
