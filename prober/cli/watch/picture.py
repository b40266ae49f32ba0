"""How an upgrade stands at a moment, and the sentence that says it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prober.baseline.rolling import Standing, View
from prober.baseline.values import BLOCK, Direction, Level, Size
from prober.cli.baseline.moments import told, told_clock
from prober.cli.watch.sides import Moved
from prober.reasons import Layer
from prober.units import human_share

_HEIGHTS = {layer.value: number for number, layer in enumerate(Layer)}


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is told of an upgrade after a look."""

    change: str
    """What is changed, in the user's words."""
    since: float
    """Unix seconds: nothing was changed before; likewise below."""
    now: float
    block: int | None
    """The start of the last block that was judged."""
    changed: frozenset[str]
    control: frozenset[str]
    """Names of nodes."""
    differ: str
    """How the nodes of the two sides differ, as far as is known."""
    standings: tuple[Standing, ...]
    moved: tuple[Moved, ...] = ()
    """Since the look before."""
    notes: tuple[str, ...] = ()

    @property
    def layers(self) -> list[Standing]:
        """Whole layers, in the order in which they are climbed; the ways from nodes before those to them."""
        whole = [one for one in self.standings if not one.view.part]
        return sorted(whole, key=lambda one: (one.view.to_nodes, _HEIGHTS.get(one.view.layer, len(_HEIGHTS))))

    def parts(self, layer: View) -> list[Standing]:
        """Parts of a layer in which something was found."""
        return [
            one
            for one in self.standings
            if one.view.part and one.found is not None
            and (one.view.layer, one.view.to_nodes) == (layer.layer, layer.to_nodes)
        ]  # fmt: skip

    @property
    def compared(self) -> bool:
        """There was a block in which both sides were there."""
        return any(one.blocks for one in self.standings)

    @property
    def regressed(self) -> bool:
        """Something is confirmed to be slower."""
        return any(bad(one) for one in self.standings)

    @property
    def progress(self) -> str:
        """`12 of 50 nodes changed`."""
        whole = len(self.changed) + len(self.control)
        return f"{len(self.changed)} of {whole} node{'s' if whole != 1 else ''} changed"

    @property
    def until(self) -> float:
        """The end of what was judged."""
        return self.since if self.block is None else self.block + BLOCK


def bad(one: Standing) -> bool:
    """Confirmed, and slower."""
    return one.found is not None and one.found.level is Level.CONFIRMED and one.found.direction is Direction.REGRESSED


def name(view: View, *, both: bool) -> str:
    """`tcp`, `path ingress`; where both ways are told: `tcp from`, `tcp to`."""
    if view.part:
        return f"{view.part} {view.name}"
    return f"{view.layer} {'to' if view.to_nodes else 'from'}" if both else view.layer


def both_ways(picture: Picture) -> bool:
    """Whether there are ways to nodes as well as from them."""
    return len({one.view.to_nodes for one in picture.standings}) > 1


def verdict(one: Standing) -> str:
    """`no difference yet`, `suspect: slower`, `confirmed slower`, or that it cannot be told."""
    if not one.blocks:
        return "not compared yet"
    if one.found is None:
        return "no difference yet"
    way = "slower" if one.found.direction is Direction.REGRESSED else "faster"
    return f"confirmed {way}" if one.found.level is Level.CONFIRMED else f"suspect: {way}"


def more_failures(one: Standing) -> bool:
    """More runs fail on the changed side than the scatter of independent runs explains."""
    changed, control = one.failed
    return changed.runs > 0 and control.runs > 0 and changed.interval[0] > control.interval[1]


def clock(at: float, now: float) -> str:
    """`14:20`, with the day where it is another one."""
    return told_clock(at) if told(at).rsplit(" ", 1)[0] == told(now).rsplit(" ", 1)[0] else told(at)


def headline(picture: Picture) -> str:
    """What is found, worst first, and what is not; one sentence."""
    if not picture.compared:
        return "nothing to compare yet: there is no block in which changed nodes and control were both measured"
    found = [*_found(picture, bad), *_found(picture, lambda one: not bad(one))]
    found += [_failing(one) for one in picture.layers if more_failures(one)]
    both = both_ways(picture)
    calm = [one for one in picture.layers if one.found is None and not picture.parts(one.view)]
    same = _listed([name(one.view, both=both) for one in calm if one.blocks])
    unknown = _listed([name(one.view, both=both) for one in calm if not one.blocks])
    if not found:
        found.append("no difference between changed nodes and control yet")
    elif same:
        found.append(f"{same} as before")
    return "; ".join([*found, *([f"{unknown} not compared yet"] if unknown else [])])


def _found(picture: Picture, wanted: Callable[[Standing], bool]) -> list[str]:
    """Layers in which something is found; or, where nothing is in the whole layer, parts of it."""
    said = []
    for layer in picture.layers:
        told_of = [layer] if layer.found is not None else picture.parts(layer.view)
        said += [_sentence(one, picture.now) for one in told_of if wanted(one)]
    return said


def _sentence(one: Standing, now: float) -> str:
    """`tcp 3.1 % slower on the changed nodes since 14:20 (2.3–3.9 %), confirmed`."""
    if one.found is None or one.difference is None:
        return ""
    part = f" of {one.view.part} {one.view.name}" if one.view.part else ""
    where = f"{'to' if one.view.to_nodes else 'on'} the changed nodes"
    faster = one.found.direction is Direction.IMPROVED
    size, low, high = _percents(one.difference, faster=faster)
    sure = "confirmed" if one.found.level is Level.CONFIRMED else "suspected"
    since = clock(one.found.onset, now)
    way = "faster" if faster else "slower"
    return f"{one.view.layer}{part} {size} % {way} {where} since {since} ({low}–{high} %), {sure}"


def _percents(size: Size, *, faster: bool) -> tuple[str, str, str]:
    """The change and its bounds, in percent of the one way."""
    values = [(size.change, size.lower, size.upper), (size.change, size.upper, size.lower)][faster]
    change, low, high = (100 * (1 - one if faster else one - 1) for one in values)
    return _digits(abs(change)), _digits(low), _digits(high)


def _digits(percent: float) -> str:
    text = f"{percent:.0f}" if abs(percent) >= 9.95 else f"{percent:.1f}"
    return "0" if float(text) == 0 else text


def _failing(one: Standing) -> str:
    changed, control = (human_share(share.failed / share.runs) for share in one.failed)
    way = "to" if one.view.to_nodes else "on"
    return f"{one.view.layer} fails in {changed} of the runs {way} the changed nodes, in {control} on the control"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
