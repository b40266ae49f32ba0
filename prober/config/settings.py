"""What a probe asks for once its defaults are filled in: timings, blocks, expectations, budgets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Generic, TypeVar

from prober.config.errors import Loc
from prober.config.nodes import Document
from prober.config.schema import Defaults, Include, ProbeEntry
from prober.options import Budget, Expect, KindOptions, Options
from prober.options.budget import EACH, QUANTILES
from prober.reasons import LADDERS, Kind, Layer

M = TypeVar("M", bound=Options)

#: Seconds.
SHORTEST_INTERVAL = 0.01

#: Block → the layer that reads it; `dns` and `kubernetes` belong to their kind alone.
BLOCK_LAYERS: Mapping[str, Layer] = {
    "icmp": Layer.ICMP,
    "tcp": Layer.TCP,
    "tls": Layer.TLS,
    "http": Layer.HTTP,
    "grpc": Layer.GRPC,
    "resolver": Layer.DNS,
}


@dataclass(frozen=True, slots=True)
class Stack(Generic[M]):
    """The same block as several places give it, the nearest first: what a nearer one says counts."""

    places: tuple[tuple[Loc, M], ...]

    def merged(self) -> M:
        """The block with each key from the nearest place that gives it, or its default."""
        giving = [block for _, block in self.places if block.model_fields_set]
        if len(giving) < 2:
            return giving[0] if giving else self.places[0][1]
        given: dict[str, Any] = {}
        for block in giving:
            given = {key: getattr(block, key) for key in block.model_fields_set} | given
        return giving[0].model_copy(update=given)

    def where(self, *keys: str | int) -> Loc:
        """The place of a key (and steps into it): where it is given, else where it could be."""
        depth = self.depth(str(keys[0]))
        return (*self.places[depth if depth < len(self.places) else 0][0], *keys)

    def depth(self, key: str) -> int:
        """How far away the place is that gives a key: 0 is the nearest, their number where none does."""
        given = (n for n, (_, block) in enumerate(self.places) if key in block.model_fields_set)
        return next(given, len(self.places))


@dataclass(frozen=True, slots=True)
class Asked:
    """The entries that say what one combination of a probe asks for."""

    loc: Loc
    probe: ProbeEntry
    defaults: Defaults
    includes: tuple[tuple[Loc, Include], ...] = ()
    """The include entries that were added to the combination, the last one first: it counts."""

    def outer(self) -> Stack[Any]:
        """For `interval` and `timeout`."""
        return Stack((*self.includes, (self.loc, self.probe), (("defaults",), self.defaults)))

    def block(self, name: str) -> Stack[Any]:
        """For one of the kind blocks: those of the defaults that the kind has no use for are left out."""
        own = ((*self.loc, name), getattr(self.probe, name))
        default = (("defaults", name), getattr(self.defaults, name))
        return Stack((own, default) if uses(self.probe.kind, name) else (own,))

    def expect(self) -> Stack[Expect]:
        """For `expect`."""
        included = tuple(((*loc, "expect"), entry.expect) for loc, entry in self.includes)
        return Stack((*included, ((*self.loc, "expect"), self.probe.expect)))

    def budget(self, *, defaults: bool = True) -> Stack[Any]:
        """For `budget`, with or without that of the defaults."""
        places: list[tuple[Loc, Options]] = [((*loc, "budget"), entry.budget) for loc, entry in self.includes]
        places.append(((*self.loc, "budget"), self.probe.budget))
        return Stack((*places, (("defaults", "budget"), self.defaults.budget)) if defaults else tuple(places))


@dataclass(frozen=True, slots=True)
class Settings:
    """What every cell of a combination has, whatever its path."""

    interval: float
    timeout: float
    options: KindOptions
    expect: Expect
    budget: Mapping[str, float]
    """What each run is held against."""
    quantile_budget: Mapping[str, Mapping[str, float]]
    servers: Mapping[str, str]
    """`resolver.named`."""
    questions: dict[tuple[str, str, bool | None], KindOptions] = field(default_factory=dict, compare=False)
    """The options of dns cells by type, transport and search: shared by all that ask the same."""

    def budget_for(self, layers: tuple[Layer, ...]) -> Mapping[str, float]:
        """The budgets that a climb of `layers` can keep or break."""
        return {key: seconds for key, seconds in self.budget.items() if key in layers or key == "total"}

    def quantile_budget_for(self, layers: tuple[Layer, ...]) -> Mapping[str, Mapping[str, float]]:
        """Likewise those on quantiles."""
        return {key: limits for key, limits in self.quantile_budget.items() if key in layers or key == "total"}


def uses(kind: Kind, block: str) -> bool:
    """Whether the longest ladder of `kind` has a use for `block`; kind dns speaks TLS without a rung of its own."""
    if kind is Kind.DNS and block == "tls":
        return True
    return BLOCK_LAYERS[block] in LADDERS[kind] if block in BLOCK_LAYERS else block == kind


def settle(document: Document, asked: Asked) -> Settings:
    """The settings of a combination; timings and budgets that can't be kept are reported."""
    outer = asked.outer()
    timings = {
        key: next(getattr(entry, key) for _, entry in outer.places if getattr(entry, key) is not None)
        for key in ("interval", "timeout")
    }
    expect = asked.expect().merged()
    each, quantiles = _budgets(asked.budget().merged())
    blocks = {name: asked.block(name).merged() for name in KindOptions.model_fields}
    servers = blocks["resolver"].named
    if servers:  # they are part of the cells that ask them, and of no others
        blocks["resolver"] = blocks["resolver"].model_copy(update={"named": {}})
    settings = Settings(timings["interval"], timings["timeout"], KindOptions(**blocks), expect, each,
                        {} if expect.failed else quantiles, servers)  # fmt: skip
    _check_timings(document, outer, settings)
    _check_budget(document, asked, settings)
    return settings


def _check_timings(document: Document, outer: Stack[Any], settings: Settings) -> None:
    seconds = {"interval": settings.interval, "timeout": settings.timeout}
    if settings.interval < SHORTEST_INTERVAL:
        document.report(outer.where("interval"), "{} is too short: at least 10ms")
    elif settings.timeout <= 0:
        document.report(outer.where("timeout"), "a timeout of nothing fails every run")
    elif settings.timeout > settings.interval:
        near = "timeout" if outer.depth("timeout") <= outer.depth("interval") else "interval"
        shown = {key: document.text(outer.where(key)) or f"{value:g}s" for key, value in seconds.items()}
        message = f"the timeout ({shown['timeout']}) is longer than the interval ({shown['interval']})"
        document.report(outer.where(near), message)


def _budgets(budget: Budget) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """What each run, and what the quantiles of many are held against, by layer."""
    each: dict[str, float] = {}
    quantiles: dict[str, dict[str, float]] = {}
    for layer, limits in budget.model_dump(exclude_none=True).items():
        if EACH in limits:
            each[layer] = limits[EACH]
        if of_many := {quantile: limits[quantile] for quantile in QUANTILES if quantile in limits}:
            quantiles[layer] = of_many
    return each, quantiles


def _check_budget(document: Document, asked: Asked, settings: Settings) -> None:
    """Budgets said by the probe itself: such as can be kept and broken, and not where a failure is expected."""
    own = asked.budget(defaults=False)
    given = own.merged().model_dump(exclude_none=True)
    if given and settings.expect.failed is not None:
        document.report(own.where(next(iter(given))), "a budget says nothing where a failure is expected")
        return
    for layer, limits in given.items():
        for key, seconds in limits.items():
            if seconds > settings.timeout:
                document.report(own.where(layer, key), "never broken: the timeout comes first")
        _check_quantiles(document, (*own.where(layer),), {name: limits[name] for name in QUANTILES if name in limits})


def _check_quantiles(document: Document, loc: Loc, limits: Mapping[str, float]) -> None:
    """No latency is nothing, and a higher quantile is never below a lower one."""
    for quantile, seconds in limits.items():
        if seconds <= 0:
            document.report((*loc, quantile), "never kept: nothing takes no time")
    for (low, less), (high, more) in pairwise(limits.items()):
        if more < less:
            shown = document.text((*loc, low))
            document.report((*loc, high), f"{{}} is less than what {low} may be ({shown}): no latencies are like that")
