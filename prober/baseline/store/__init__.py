"""Where baselines are kept: one SQLite file, or memory. Pure persistence: nothing is judged here."""

from prober.baseline.store.kinds import (
    Active,
    BaselineInfo,
    Block,
    Recorded,
    Refused,
    Retention,
    Shifts,
    State,
    StoreFailed,
    UnknownBaseline,
    WindowRefused,
    Wishes,
)
from prober.baseline.store.store import FILE, Store

__all__ = [
    "FILE",
    "Active",
    "BaselineInfo",
    "Block",
    "Recorded",
    "Refused",
    "Retention",
    "Shifts",
    "State",
    "Store",
    "StoreFailed",
    "UnknownBaseline",
    "WindowRefused",
    "Wishes",
]
