"""The axes of a probe: its combinations, where each of their values was written, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prober.config.errors import Loc
from prober.config.kinds import PRESET_PATHS
from prober.config.matrix import Combination, combine, product_of
from prober.config.nodes import Document
from prober.config.parts import Demand, Target
from prober.config.schema import Defaults, Exclude, Include, ProbeEntry
from prober.config.words import suggest
from prober.reasons import Family, Kind

_COMMON = ("target", "path", "family")
_DNS = ("name", "type", "transport", "server")
_SETTINGS = frozenset({"interval", "timeout", "budget", "expect"})
#: Before the position of an include entry: the key under which a combination remembers that the entry was added.
_ADDED = "+"

Targets = Mapping[str, Target | None]
"""A target with problems of its own is None."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One combination: words of the file by axis, who asks for its family, the include entries that change it."""

    values: Combination
    demand: Demand
    added: tuple[int, ...] = ()
    """Positions of include entries that set interval, timeout, budget or expect, the last one first."""


@dataclass(frozen=True, slots=True)
class Axes:
    """The combinations of a probe, with the axes that stand in the file: `where` finds a value again."""

    loc: Loc
    values: Mapping[str, Sequence[object]]
    include: tuple[Include, ...] = ()
    chosen: tuple[Chosen, ...] = ()

    def where(self, key: str, value: object) -> Loc:
        """The place of one value of a combination."""
        if value in self.values.get(key, ()):
            position = self.values[key].index(value)
            return (*self.loc, position) if self.loc[-1] == "targets" else (*self.loc, key, position)
        for position, entry in enumerate(self.include):
            if getattr(entry, key) == value:
                return (*self.loc, "include", position, key)
        return self.loc


class AxesReader:
    """Reads the axes of one probe. What is wrong is reported, and left out.

    Every combination has a path and a family, whether they are axes in the file or not: without a `path` axis those of
    each target, without `family` the families of the probe, which are both under `auto`.
    """

    def __init__(self, document: Document, loc: Loc, entry: ProbeEntry, defaults: Defaults, targets: Targets) -> None:
        self._document = document
        self._loc = loc
        self._entry = entry
        self._kind = entry.kind
        self._targets = targets
        self._allowed = _COMMON + _DNS if entry.kind is Kind.DNS else _COMMON
        own = "families" in entry.model_fields_set
        wanted = entry.families if own else defaults.families
        self._families: Sequence[Family] = tuple(Family) if wanted is None else wanted
        self._demand: Demand = "auto" if wanted is None else "strict" if own else "wish"

    def read(self, data: Any) -> Axes:
        """The axes of the probe whose plain data this is: those of `matrix`, or the one that `targets` is."""
        return self._matrix(data["matrix"]) if "matrix" in self._entry.model_fields_set else self._simple()

    def _simple(self) -> Axes:
        loc = (*self._loc, "targets")
        axes = {"target": self._known(loc, self._distinct(loc, self._entry.targets))} if self._entry.targets else {}
        if not self._entry.targets and self._kind is not Kind.KUBERNETES:
            wanted = "a matrix with names to ask for, or targets" if self._kind is Kind.DNS else "targets, or a matrix"
            self._document.report(self._loc, f"the probe has nothing to probe: it needs {wanted}")
            return Axes(loc, {})
        return Axes(loc, axes, (), self._chosen(self._complete(self._products(axes)), axes))

    def _matrix(self, data: Any) -> Axes:
        matrix, loc = self._entry.matrix, (*self._loc, "matrix")
        if self._entry.targets:
            message = "either targets or a matrix: put the targets on its target axis"
            self._document.report(loc, message, key=True)
        axes = self._axes(loc, data)
        self._check_subject(loc, axes)
        products = self._complete([c for c in self._products(axes) if self._has_subject(c)])
        for position, item in enumerate(matrix.exclude):
            self._check_exclude((*loc, "exclude", position), _given(item), products)
        includes = [self._include((*loc, "include", n), item, n) for n, item in enumerate(matrix.include)]
        grown, alone = combine(products, [_given(item) for item in matrix.exclude], includes)
        beside = [c for c in alone if self._check_alone(loc, c)]
        strict = tuple(c for c in beside if "family" in c)
        chosen = (
            *self._chosen(grown, axes),
            *self._chosen(self._complete(strict), axes, "strict"),
            *self._chosen(self._complete([c for c in beside if "family" not in c]), axes),
        )
        return Axes(loc, axes, matrix.include, chosen)

    def _axes(self, loc: Loc, data: Any) -> dict[str, Sequence[object]]:
        """The axes in the order of the file."""
        axes: dict[str, Sequence[object]] = {}
        for key in (key for key in data if key in _COMMON + _DNS):
            if key in self._allowed:
                axes[key] = self._distinct((*loc, key), getattr(self._entry.matrix, key))
            else:
                message = f"only kind dns has the axis {key}, this is kind {self._kind}"
                self._document.report((*loc, key), message, key=True)
        if "target" in axes:
            axes["target"] = self._known((*loc, "target"), axes["target"])
        return axes

    def _products(self, axes: Mapping[str, Sequence[object]]) -> list[Combination]:
        """The product of the axes; `kind: kubernetes` has something to probe without any."""
        return [{}] if not axes and self._kind is Kind.KUBERNETES else product_of(axes)

    def _complete(self, combinations: Sequence[Combination]) -> list[Combination]:
        """The combinations with a path and a family each, where they have none yet."""
        return [
            c | ({} if path is None else {"path": path}) | {"family": family}
            for c in combinations
            for path in self._paths(c)
            for family in ([c["family"]] if "family" in c else self._families)
        ]

    def _paths(self, combination: Combination) -> Sequence[object]:
        """The paths that a combination means; [None] where there is nothing to choose from."""
        if "path" in combination:
            return [combination["path"]]
        if "target" in combination:
            target = self._targets.get(str(combination["target"]))
            return [None] if target is None else list(target.paths)
        return PRESET_PATHS if self._kind is Kind.KUBERNETES else [None]

    def _chosen(
        self, combinations: Sequence[Combination], axes: Mapping[str, object], demand: Demand | None = None
    ) -> tuple[Chosen, ...]:
        if demand is None:
            demand = "strict" if "family" in axes else self._demand
        return tuple(self._choose(combination, demand) for combination in combinations)

    def _choose(self, combination: Combination, demand: Demand) -> Chosen:
        marks = [key for key in combination if key.startswith(_ADDED)]
        if not marks:
            return Chosen(combination, demand)
        added = sorted((int(key[1:]) for key in marks), reverse=True)
        include = self._entry.matrix.include
        changes = tuple(n for n in added if include[n].model_fields_set & _SETTINGS)
        return Chosen({k: v for k, v in combination.items() if k not in marks}, demand, changes)

    def _distinct(self, loc: Loc, values: Sequence[object]) -> list[object]:
        """The values of an axis; each repetition is reported."""
        seen: dict[object, None] = {}
        for position, value in enumerate(values):
            if value in seen:
                self._document.report((*loc, position), f'"{value}" is there twice')
            seen[value] = None
        return list(seen)

    def _known(self, loc: Loc, names: Sequence[object]) -> list[object]:
        """The names that are targets; the others are reported."""
        for position, name in enumerate(names):
            if name not in self._targets:
                self._document.report((*loc, position), f'no target "{name}"{suggest(name, self._targets)}')
        return [name for name in names if name in self._targets]

    def _check_subject(self, loc: Loc, axes: Mapping[str, object]) -> None:
        """What is probed has to be one of the axes, if there are any."""
        if "name" in axes and "target" in axes:
            self._document.report((*loc, "name"), "either names or targets: a dns:// URL has its name", key=True)
        elif axes and not self._has_subject(axes):
            missing = "name or target" if self._kind is Kind.DNS else "target"
            self._document.report(loc, f"the matrix has no {missing} axis")

    def _has_subject(self, combination: Mapping[str, object]) -> bool:
        """Whether a combination says what is probed, and says it once."""
        subjects = combination.keys() & {"name", "target"}
        return len(subjects) == 1 or (not subjects and self._kind is Kind.KUBERNETES)

    def _check_exclude(self, loc: Loc, given: Combination, products: Sequence[Combination]) -> None:
        """An exclude entry has to exclude something, and not everything."""
        before = len(self._document.problems)
        if not given:
            self._document.report(loc, "an empty entry would exclude everything")
        for key, value in given.items():
            known = dict.fromkeys(c[key] for c in products if key in c)
            if products and not known:
                message = f"{key} is no axis of this matrix (its axes: {', '.join(products[0])})"
                self._document.report((*loc, key), message, key=True)
            elif products and value not in known:
                near = suggest(value, map(str, known))
                self._document.report((*loc, key), f'"{value}" is not on the axis {key}: this excludes nothing{near}')
        matched = any(given.items() <= c.items() for c in products)
        if products and not matched and len(self._document.problems) == before:
            self._document.report(loc, "no combination has all these values: this excludes nothing")

    def _include(self, loc: Loc, entry: Include, position: int) -> Combination:
        """The axis values of an include entry, and its mark; what can't be included is reported."""
        given = _given(entry)
        if not entry.model_fields_set:
            self._document.report(loc, "an empty entry includes nothing")
        for key in sorted(given.keys() - set(self._allowed)):
            self._document.report((*loc, key), f"only kind dns has the axis {key}", key=True)
        if "target" in given and given["target"] not in self._targets:
            name = given.pop("target")
            self._document.report((*loc, "target"), f'no target "{name}"{suggest(name, self._targets)}')
        return {key: value for key, value in given.items() if key in self._allowed} | {f"{_ADDED}{position}": True}

    def _check_alone(self, loc: Loc, combination: Combination) -> bool:
        """Whether an include entry that fits no combination can be one of its own."""
        if self._has_subject(combination):
            return True
        (position,) = (key[1:] for key in combination if key.startswith(_ADDED))
        message = "fits no combination, and says not what to probe by itself"
        self._document.report((*loc, "include", int(position)), message)
        return False


def _given(entry: Exclude) -> Combination:
    """The axis values of an entry."""
    return {key: value for key in (*_COMMON, *_DNS) if (value := getattr(entry, key)) is not None}
