"""A comparison and what it is of, and the three ways to show it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from prober.baseline.compare import Comparison
from prober.baseline.values import Origin
from prober.cli.baseline.sides import Side


@dataclass(frozen=True, slots=True)
class Report:
    """What changed from one side to the other."""

    before: Side
    after: Side
    comparison: Comparison
    by: tuple[str, ...] = ()
    """Kinds of rows beside those of the layers."""
    urls: tuple[str, ...] = ()
    """The probers that were named."""
    steps: bool = True
    """Whether to say what to do next."""

    def show(self, output: str) -> None:
        """As `text`, `json` or `markdown`, on stdout."""
        from prober.cli.machine import emit

        if output == "json":
            from prober.cli.baseline.compared_json import as_json

            emit(json.dumps(as_json(self), ensure_ascii=False))
        elif output == "markdown":
            from prober.cli.baseline.compared_markdown import as_markdown

            emit(as_markdown(self))
        else:
            from prober.cli.baseline.compared_text import tell
            from prober.cli.screen import Screen

            tell(Screen(), self)

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Where the vantages of the later side were, and what ran there."""
        return tuple(one.origin for one in self.after.recordings)

    @property
    def one_sided(self) -> tuple[int, int]:
        """How many series only the earlier side has, and how many only the later one; of vantages that both have."""
        alone = len(self.before.recordings) == len(self.after.recordings) == 1
        keys = [
            {("" if alone else one.origin.vantage, key) for one in side.recordings for key in one.series}
            for side in (self.before, self.after)
        ]
        return len(keys[0] - keys[1]), len(keys[1] - keys[0])

    @property
    def rows_by(self) -> list[tuple[str, str]]:
        """The kinds that were asked for, and what there is to say of each that has no rows: "" of others."""
        return [
            (kind, "" if kind == "series" or kind in self.comparison.parts else f"all series are of one {kind}")
            for kind in dict.fromkeys(self.by)
        ]
