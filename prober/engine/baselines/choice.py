"""Which recording of a file is a vantage's own."""

from __future__ import annotations

from collections.abc import Sequence

from prober.baseline.labels import checked_label
from prober.baseline.values import Recording


def chosen(recordings: Sequence[Recording], vantage: str) -> Recording:
    """The recording that is for this vantage: its own, or the only one. ValueError where nobody
    can tell, or where one cannot be a baseline."""
    for one in recordings:
        checked_label(one.label)
    own = [one for one in recordings if one.origin.vantage == vantage]
    if len(own) == 1:
        return own[0]
    if len(recordings) == 1:
        return recordings[0]
    names = ", ".join(sorted({one.origin.vantage for one in recordings}))
    raise ValueError(f"it has {len(recordings)} recordings (of {names}), and not one of vantage {vantage}")
