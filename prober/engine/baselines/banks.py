"""Which series are in which bank: what comes and goes is moved between blocks, what is remembered moves with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from prober.baseline.bank import Bank
from prober.baseline.fit import Fit
from prober.baseline.memory import Name, Remembered, RowState, remembered, restore
from prober.baseline.values import SeriesKey

#: Rows of a bank: so many are judged at once, in some ms.
ROWS: Final = 256


class Known(NamedTuple):
    """What a series is judged against."""

    baseline: str
    """Label and version."""
    fit: Fit


class Banks:
    """All banks, and which series each has."""

    def __init__(self) -> None:
        self.banks: list[Bank] = []

    def __iter__(self) -> Iterator[Bank]:
        return iter(self.banks)

    @property
    def size(self) -> int:
        """Series that are judged."""
        return sum(map(len, self.banks))

    def arrange(self, wanted: Mapping[SeriesKey, Known], before: Mapping[Name, RowState]) -> None:
        """Judge these series from now on, each against what is told; `before` has what is remembered of some that come
        anew. May be done in a thread while others look at the banks: they see those of before until it is done."""
        keep: list[Bank] = []
        moved: Remembered = {}
        rest = dict(wanted)
        for bank in self.banks:
            if all(key in wanted and wanted[key].baseline == bank.baseline for key in bank.keys):
                keep.append(bank)
                for key in bank.keys:
                    del rest[key]
            else:
                moved |= remembered((bank,))
        coming: dict[str, list[SeriesKey]] = {}
        for key, known in rest.items():
            coming.setdefault(known.baseline, []).append(key)
        made = []
        for name, keys in coming.items():
            self._fill_up(name, keys, keep, moved)
            for at in range(0, len(keys), ROWS):
                part = keys[at : at + ROWS]
                bank = Bank(part, [wanted[key].fit for key in part], name)
                restore(bank, before)
                restore(bank, moved)
                made.append(bank)
        self.banks = [*keep, *made]

    @staticmethod
    def _fill_up(name: str, keys: list[SeriesKey], keep: list[Bank], moved: Remembered) -> None:
        """Let a bank that has room share its rows' place with those that come."""
        short = next((bank for bank in keep if bank.baseline == name and len(bank) < ROWS), None)
        if short is not None:
            keep.remove(short)
            moved |= remembered((short,))
            keys.extend(short.keys)
