"""What only several values of the block `baseline:` together can get wrong, and its label."""

from __future__ import annotations

from typing import Any

from prober.config import words
from prober.config.nodes import Document
from prober.options import BaselineSettings

#: Seconds: less than a day has no daily swing to tell from a change.
SHORTEST = 86_400


def check_baseline(document: Document, data: dict[str, Any], settings: BaselineSettings) -> None:
    """Report what cannot be: too short, longer than what is kept, a label that can be none. `data` is the block as it
    stands in the file."""
    if settings.retention < SHORTEST:
        document.report(("baseline", "retention"), "{} is too short: at least 24h")
    record = settings.record
    if record is None:
        return
    place = ("baseline", "record")
    if record.after < SHORTEST:
        document.report((*place, "after"), "{} is too short: at least 24h")
    elif record.after > settings.retention:
        document.report((*place, "after"), "never recorded: nothing is kept for so long (baseline.retention)")
    try:
        words.refuse_variable(data["record"]["label"])
        words.check_name(record.label)
    except ValueError as error:
        document.report((*place, "label"), str(error))
