"""The shape of a rule: for a layer's reason, which verdict, in which words. Pure data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prober.diagnosis.codes import Code
from prober.diagnosis.facts import Facts
from prober.reasons import Layer, Reason

Condition = Callable[[Facts], bool]


@dataclass(frozen=True, slots=True)
class Row:
    """One rule. The texts are templates over the words of `Facts`; the first row whose `when` holds decides.

    `says` is one sentence for whoever is on call; `proves` is what the very failure shows to be fine ("" where it
    shows nothing); `next_check` is what to look at next, honest about what one vantage cannot tell apart.
    """

    layer: Layer
    reason: Reason
    code: Code
    says: str
    next_check: str
    proves: str = ""
    when: Condition | None = None
