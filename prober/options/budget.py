"""The block `budget:` how long a layer may take, in each run or as a quantile of many."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Final, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from prober.options.base import DURATION_SCHEMA, Duration, Options

Quantile = Literal["p50", "p75", "p90", "p95", "p99", "p99.9"]
#: The quantiles that a budget may name, in rising order → the share of the runs that lies below.
QUANTILES: Final[Mapping[str, float]] = {name: round(float(name[1:]) / 100, 6) for name in get_args(Quantile)}
#: The key of what each run by itself is held against.
EACH: Final = "each"

#: Seconds that a quantile is judged over.
WINDOW: Final = 3600
#: Seconds that it may go back where an hour has too few runs.
LONGEST_WINDOW: Final = 24 * WINDOW
#: Runs without which not even a median is known.
_FEWEST: Final = 20


def runs_needed(share: float) -> int:
    """Runs without which the quantile that has `share` (0 to 1) of them below it is not known."""
    return max(_FEWEST, math.ceil(round(1 / (1 - share), 6)))


def _limits(value: object) -> object:
    """A duration alone stands for `each`."""
    return value if isinstance(value, dict) else {EACH: value}


#: `each` or a quantile → seconds.
Limits = Annotated[
    dict[Literal["each", Quantile], Duration],
    Field(min_length=1),
    BeforeValidator(_limits),
    WithJsonSchema(
        {
            "anyOf": [
                DURATION_SCHEMA,
                {
                    "type": "object",
                    "propertyNames": {"enum": [EACH, *QUANTILES]},
                    "additionalProperties": DURATION_SCHEMA,
                    "minProperties": 1,
                },
            ]
        }
    ),
]


class Budget(Options):
    """`budget:` the longest that a layer may take: a duration for each run (a layer that held but took longer fails
    with `over_budget`), or a mapping of quantiles of the runs of the last hour, `{p50: 1ms, p99: 5ms}`, with `each`
    beside them for both."""

    dns: Limits | None = None
    icmp: Limits | None = None
    tcp: Limits | None = None
    proxy: Limits | None = None
    tls: Limits | None = None
    http: Limits | None = None
    grpc: Limits | None = None
    total: Limits | None = None
    """All layers together; the slowest one gets the blame."""
