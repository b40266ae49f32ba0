"""What machines and tickets are given: an event a line, and a summary in Markdown. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from prober.baseline.rolling import Share, Standing, View
from prober.cli.baseline.moments import told_span, told_zone
from prober.cli.watch.picture import Picture, headline, verdict
from prober.cli.watch.rows import FAILED_HEAD, HEAD, failed_rows, rows
from prober.units import rfc3339_at


class Events:
    """`begin`, then `node` for each that moved, `block` with all standings, `verdict` for each that is another one."""

    def __init__(self) -> None:
        self._said: dict[View, str] = {}
        self._notes: tuple[str, ...] = ()
        self._block: int | None = None
        self._began = False

    def of(self, picture: Picture) -> Iterator[str]:
        """What is new since the last time, as JSON."""
        if not self._began:
            yield _event("begin", picture, change=picture.change, since=rfc3339_at(picture.since), **_nodes(picture))
        for moved in picture.moved:
            yield _event("node", picture, node=moved.node, before=moved.before.value, side=moved.now.value)
        for note in picture.notes:
            if note not in self._notes:
                yield _event("note", picture, says=note)
        if picture.block is not None and picture.block != self._block:
            standings = [_standing(one) for one in picture.standings]
            yield _event("block", picture, block=rfc3339_at(picture.block), **_nodes(picture), standings=standings)
        for one in picture.standings:
            said, before = verdict(one), self._said.get(one.view)
            self._said[one.view] = said
            if said != before and (one.found is not None or before is not None):
                yield _event("verdict", picture, **_standing(one), before=before)
        self._notes, self._block, self._began = picture.notes, picture.block, True

    @staticmethod
    def end(picture: Picture, code: int) -> str:
        """The last one."""
        return _event("end", picture, exit=code, regressed=picture.regressed, says=headline(picture), **_nodes(picture))


def _event(event: str, picture: Picture, **fields: object) -> str:
    told_fields = {"event": event, "at": rfc3339_at(picture.now), **fields}
    return json.dumps(told_fields, ensure_ascii=False, separators=(",", ":"))


def _nodes(picture: Picture) -> dict[str, object]:
    return {"changed": sorted(picture.changed), "control": sorted(picture.control)}


def _standing(one: Standing) -> dict[str, Any]:
    """Ratios as they are; null for what is not known."""
    view, found, size = one.view, one.found, one.difference
    return {
        "layer": view.layer,
        "to_nodes": view.to_nodes,
        "part": {view.part: view.name} if view.part else None,
        "verdict": verdict(one),
        "level": None if found is None else found.level.value,
        "direction": None if found is None else found.direction.value,
        "onset": None if found is None else rfc3339_at(found.onset),
        "changed": _finite(one.changed),
        "control": _finite(one.control),
        "difference": None if size is None else {
            "change": _finite(size.change), "lower": _finite(size.lower), "upper": _finite(size.upper),
        },
        "blocks": one.blocks,
        "smallest": _finite(one.smallest),
        "failed": dict(zip(("changed", "control"), map(_share, one.failed), strict=True)),
    }  # fmt: skip


def _share(share: Share) -> Mapping[str, object]:
    lower, upper = share.interval
    return {"failed": share.failed, "runs": share.runs, "lower": lower, "upper": upper}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def markdown(picture: Picture) -> str:
    """For the ticket of the change."""
    lines = [f"## {_cell(picture.change)}", "", f"{headline(picture)[:1].upper()}{headline(picture)[1:]}.", ""]
    lines.append(
        f"{picture.progress.capitalize()}; {told_span(picture.since, picture.until)} {told_zone(picture.now)}."
    )
    if picture.differ:
        lines.append(f"Changed against control: {picture.differ}.")
    lines += ["", *_table(HEAD, [row for _, row in rows(picture, indent="")])]
    if failed := [row for _, row in failed_rows(picture)]:
        lines += ["", *_table(FAILED_HEAD, failed)]
    if picture.notes:
        lines += ["", *(f"- {note}" for note in picture.notes)]
    return "\n".join(lines) + "\n"


def _table(head: tuple[str, ...], body: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in body:
        yield f"| {' | '.join(map(_cell, row))} |"


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|")
