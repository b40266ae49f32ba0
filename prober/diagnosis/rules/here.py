"""Rules for connections that this place itself does not open: ports, files, sources, rights. Pure data."""

from __future__ import annotations

from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.diagnosis.row import Row
from prober.reasons import Layer, Reason


def _no_files(facts: Facts) -> bool:
    return facts.evidence.get("errno") in ("EMFILE", "ENFILE")


def _no_source(facts: Facts) -> bool:
    return facts.evidence.get("errno") == "EADDRNOTAVAIL"


ROWS = (
    Row(
        Layer.TCP, Reason.NO_LOCAL_PORT, Code.LOCAL_PORTS_EXHAUSTED,
        "This place has no free local port for a connection to {where}.",
        "Too many connections from here to that address, open or in TIME_WAIT: ss -s, and "
        "net.ipv4.ip_local_port_range. The target has nothing to do with it.",
    ),
    Row(
        Layer.TCP, Reason.NOT_PERMITTED, Code.FILES_EXHAUSTED,
        "The prober has no file descriptor left for a connection to {where}.",
        "ulimit -n of the container, against the number of cells that run at once; `prober doctor` shows the limit. "
        "The target has nothing to do with it.",
        when=_no_files,
    ),
    Row(
        Layer.TCP, Reason.NOT_PERMITTED, Code.SOURCE_MISSING,
        "This place has no address {source} that a connection to {where} could come from.",
        "ip addr in this Pod: the address of tcp.source has to be its own. Was it copied from another node, or has the "
        "Pod moved? Nothing has left the machine.",
        when=_no_source,
    ),
    Row(
        Layer.TCP, Reason.NOT_PERMITTED, Code.CONNECT_NOT_PERMITTED,
        "This place does not let the prober connect to {where}: the kernel refused the call itself.",
        "A rule in the OUTPUT chain of this Pod or node, an eBPF program of the CNI on connect(2), or a seccomp "
        "profile: nothing has left the machine.",
    ),
)  # fmt: skip
