"""Probes: from the entries of a file to squares, and what only a probe's keys together can get wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prober.config import squares
from prober.config.axes import Axes, AxesReader, Chosen
from prober.config.blocks import check_blocks, check_expect
from prober.config.dns_blocks import unused
from prober.config.errors import Loc
from prober.config.messages import validate
from prober.config.nodes import Document
from prober.config.parts import Probe, Square, Target
from prober.config.schema import Defaults, ProbeEntry
from prober.config.settings import BLOCK_LAYERS, Asked, Settings, settle, uses
from prober.config.substitute import Filled
from prober.config.words import suggest
from prober.model import climbs
from prober.options import KindOptions
from prober.options.budget import LONGEST_WINDOW, QUANTILES, runs_needed
from prober.reasons import LADDERS, Kind, Layer


@dataclass(frozen=True, slots=True)
class Known:
    """What the file has beside its probes. A target with problems of its own is None."""

    defaults: Defaults
    targets: Mapping[str, Target | None]


def read_probe(document: Document, position: int, data: object, known: Known) -> Probe | None:
    """The probe at `position` from its plain `data`. None where it has problems: they are then in the document."""
    loc: Loc = ("probes", position)
    entry = validate(document, loc, data, ProbeEntry)
    if entry is None:
        _check_references(document, loc, data, known.targets)
        return None
    before = len(document.problems)
    axes = AxesReader(document, loc, entry, known.defaults, known.targets).read(data)
    reading = _Reading(document, loc, entry, known, axes)
    made = reading.squares()
    if reading.complete:
        _check_use(document, loc, entry, made)
        _check_ids(document, loc, made)
        if not made and len(document.problems) == before:
            document.report((*loc, "matrix"), "no combination is left of the matrix")
    if len(document.problems) > before:
        return None
    return Probe(entry.name, entry.kind, entry.vantages, made, entry.baseline)


def _check_references(document: Document, loc: Loc, data: object, targets: Mapping[str, Target | None]) -> None:
    """Targets that a probe names which is not read any further."""
    names = data.get("targets") if isinstance(data, dict) else None
    for position, name in enumerate(names if isinstance(names, list) else ()):
        if isinstance(name, str) and not isinstance(name, Filled) and name not in targets:
            document.report((*loc, "targets", position), f'no target "{name}"{suggest(name, targets)}')


@dataclass(slots=True)
class _Reading:
    """One probe on its way to squares. `complete` as long as every target it needs is known."""

    document: Document
    loc: Loc
    entry: ProbeEntry
    known: Known
    axes: Axes
    complete: bool = True
    settled: dict[tuple[int, ...], Settings] = field(default_factory=dict)

    def squares(self) -> tuple[Square, ...]:
        """The squares of every combination, in order."""
        self._settings(())
        made = [square for chosen in self.axes.chosen if (square := self._square(chosen)) is not None]
        return tuple(one for square in made for one in squares.by_profile(self.entry.kind, square))

    def _square(self, chosen: Chosen) -> Square | None:
        settings = self._settings(chosen.added)
        job = squares.Job(self.document, self.entry, self.known.defaults, self.loc, self.axes, chosen, settings)
        if "name" in chosen.values:
            return squares.of_name(job)
        if "target" not in chosen.values:
            return squares.of_api_server(job)
        target = self.known.targets.get(str(chosen.values["target"]))
        if target is None:
            self.complete = False
            return None
        return squares.of_target(job, target)

    def _settings(self, added: tuple[int, ...]) -> Settings:
        """The settings of the probe, as the include entries at these positions change them."""
        if added not in self.settled:
            includes = tuple(((*self.axes.loc, "include", n), self.axes.include[n]) for n in added)
            asked = Asked(self.loc, self.entry, self.known.defaults, includes)
            settings = self.settled[added] = settle(self.document, asked)
            check_expect(self.document, asked, settings)
            check_blocks(self.document, asked, settings)
        return self.settled[added]


def _check_use(document: Document, loc: Loc, entry: ProbeEntry, made: Iterable[Square]) -> None:
    """Blocks and budgets that no climb of this probe has a use for."""
    climbed = {layer for square in made for layer in climbs(entry.kind, square.endpoint)}
    if entry.kind is Kind.DNS:
        for keys, message in unused(entry, tuple(made)):
            document.report((*loc, *keys), message, key=True)
    for block in sorted(entry.model_fields_set & set(KindOptions.model_fields)):
        if not uses(entry.kind, block):
            document.report((*loc, block), f"kind {entry.kind} has no use for this block", key=True)
        elif climbed and entry.kind is not Kind.DNS and block in BLOCK_LAYERS and BLOCK_LAYERS[block] not in climbed:
            document.report((*loc, block), f"no path of this probe climbs {block}: its URLs have no {block}", key=True)
    for key in sorted(entry.budget.model_fields_set):
        if key != "total" and key not in (climbed or LADDERS[entry.kind]):
            ladder = ", ".join(layer for layer in Layer if layer in (climbed or LADDERS[entry.kind]))
            message = f"this probe never climbs {key} (it climbs {ladder})"
            document.report((*loc, "budget", key), message, key=True)
    _check_known(document, loc, entry, made)


def _check_known(document: Document, loc: Loc, entry: ProbeEntry, made: Iterable[Square]) -> None:
    """Quantiles of the probe's own budget that too few runs would be there for."""
    fixed = [square for square in made if square.endpoint.service is None and square.endpoint.addresses == "one"]
    runs = min((int(LONGEST_WINDOW / square.interval) for square in fixed), default=None)
    for layer, limits in entry.budget.model_dump(exclude_none=True).items():
        for quantile in limits:
            needed = runs_needed(QUANTILES[quantile]) if quantile in QUANTILES else 0
            if runs is not None and runs < needed:
                message = f"never known: {quantile} takes {needed} runs in a day, and there will be {runs}"
                document.report((*loc, "budget", layer, quantile), message, key=True)


def _check_ids(document: Document, loc: Loc, made: Iterable[Square]) -> None:
    """Cells that would have one id: the same target, path and family twice."""
    seen: set[tuple[str, str, str]] = set()
    for square in made:
        key = (square.target, square.path, square.family)
        if key in seen:
            document.report((*loc, "matrix"), f"two combinations make the same cell {'/'.join(key)}")
            return
        seen.add(key)
