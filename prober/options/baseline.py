"""The block `baseline:` what is remembered of latencies, and what is shown of it."""

from __future__ import annotations

from typing import Literal

from prober.options.base import Duration, Options

_DAY = 86_400.0


class RecordOptions(Options):
    """`record:` the first baseline, by itself."""

    after: Duration = 2 * _DAY
    """Healthy time that is recorded, once there is so much of it; at least 24h, a week is better."""
    label: str
    """Its name, as `prober baseline record --label` gives one."""


class BaselineSettings(Options):
    """`baseline:` latencies against what was usual: see docs/baselines.md."""

    enabled: bool = True
    """`false`: nothing is kept, compared or exported."""
    retention: Duration = 14 * _DAY
    """How long the hours are kept that no baseline is made of; at least 24h."""
    metrics: Literal["alarming", "all"] = "alarming"
    """Series of `/metrics`: those of what is not as it was, or those of every layer of every cell."""
    record: RecordOptions | None = None
    """Record the first baseline without being told, once all is healthy for long enough. Later ones are always asked
    for: a baseline is never learned anew silently."""


#: The block where the file has none.
NO_WISHES = BaselineSettings()
