"""What a fault is: how it is put in, and what has to be seen of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prober.reasons import Family, Kind, Layer, Reason

if TYPE_CHECKING:
    from tests.network.lab.lab import Lab

#: The order of a signature's letters.
KINDS = (Kind.ICMP, Kind.TCP, Kind.TLS, Kind.HTTP, Kind.GRPC, Kind.DNS, Kind.KUBERNETES)
#: Each letter, as a legend says it.
LETTERS: Mapping[str, str] = {
    "+": "ok", "S": "slow: over its budget", "T": "timeout", "R": "refused or rejected",
    "U": "other error at connect: unreachable, prohibited, no local port, not permitted", "X": "any other failure",
    "P": "partly: some of the runs fail", "b": "blocked by a lower layer",
}  # fmt: skip
#: Runs of each cell in which a fault that strikes every second one, by chance, is as good as certain to show.
MANY = 16

Inject = Callable[["Lab", Sequence[Family]], AbstractAsyncContextManager[object]]


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the catalogue."""

    name: str
    says: str
    """What is wrong, in one plain sentence."""
    to_blame: str
    """Who, in the words of on-call people."""
    signature: str
    """What each kind sees, a letter for each of `KINDS`."""
    blame: Mapping[Layer, tuple[Reason, ...]]
    """Layer → the reasons for which it may fail; a run whose letter is no `+` has to blame one of these."""
    inject: Inject
    """Puts it in for the families given, and takes it out at its end."""
    path: str = "pod"
    """The path on which the signature is seen."""
    families: tuple[Family, ...] = tuple(Family)
    """The families in which it is tried."""
    per_family: bool = True
    """Whether each family is tried alone: the cells of the other one have to stay green meanwhile. What only both can
    have is tried in both at once, and what an application does, which knows no family, to save time."""
    by_name: Mapping[Layer, tuple[Reason, ...]] = field(default_factory=dict)
    """What a cell may blame beside, that first asks the cluster's DNS where to go."""
    runs: int = 1
    """How often each cell has to be climbed for the signature to show: chance takes many."""
    note: str = ""
    """What a reader of the table has to know beside."""
