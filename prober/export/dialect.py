"""The text formats of a scrape, and templates of what prometheus_client's encoders write in each.

A template is made by the encoder itself from samples whose label values and values are marks; the marks are then cut
out. So what comes out of a template is by construction what the encoder would write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import nan

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from prober.export.collector import One, add_samples, metric_of
from prober.export.series import IDENTITY, Family, Labels, Shape

_COMMENT = re.compile("^#.*\n", re.MULTILINE)
_MARK = re.compile("\0(\\d+)\0| NaN(?=\n)")


class _Numbers(dict[float, str]):
    """Numbers as the formats write them. Counts are kept, up to a bound; the rest is written anew each time."""

    def __missing__(self, value: float) -> str:
        text: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # the library leaves it untyped
        if float(value).is_integer() and len(self) < 100_000:
            self[value] = text
        return text


_NUMBERS = _Numbers()


@dataclass(frozen=True, slots=True)
class Template:
    """The samples that all accounts of one shape have in one family, with holes for labels and values.

    `pieces` is the text between the holes, with a None for each hole. Each sample has the same holes: one for each
    label of `order` (positions in the account's labels), then one for the value.
    """

    pieces: list[str | None]
    order: tuple[int, ...]
    samples: int

    def fill(self, labels: Sequence[str], values: Iterable[float]) -> str:
        """The lines of an account. `labels`: their values as the formats write them; `values`: one for each sample."""
        pieces = self.pieces.copy()
        step = 2 * len(self.order) + 2
        for hole, position in enumerate(self.order):
            pieces[2 * hole + 1 :: step] = [labels[position]] * self.samples
        pieces[step - 1 :: step] = map(_NUMBERS.__getitem__, values)
        return "".join(pieces)  # type: ignore[arg-type]  # no None is left: every hole has been filled


class Dialect:
    """One format with one escaping scheme for names, as negotiated."""

    def __init__(self, accept: str) -> None:
        try:
            encode, content_type = choose_encoder(accept)
        except TypeError:  # a version that is no number: the oldest format is what everybody reads
            encode, content_type = choose_encoder("")
        self.content_type: str = content_type
        self._encode: Callable[[Collector], bytes] = encode
        self.end = self._encode(One())
        """What closes an exposition: `# EOF` in OpenMetrics."""

    def encode(self, collector: Collector) -> bytes:
        """All metrics of a collector, without the end."""
        text = self._encode(collector)
        return text[: len(text) - len(self.end)]

    def header(self, family: Family) -> bytes:
        """HELP and TYPE of a family."""
        return self.encode(One(metric_of(family)))

    def lines(self, metric: Metric) -> str:
        """The sample lines of a metric, without HELP and TYPE."""
        return _COMMENT.sub("", self.encode(One(metric)).decode())

    def template(self, family: Family, shape: Shape, const: Labels) -> Template:
        """The template of the samples that an account of `shape` has in `family`."""
        metric = metric_of(family)
        marks = [f"\0{position}\0" for position in range(len(IDENTITY[family.owner]))]
        samples = len(family.rows(shape))
        add_samples(metric, family, shape, marks, [nan] * samples, const)
        text = self.lines(metric)
        pieces: list[str | None] = []
        order: list[int] = []
        end = 0
        for mark in _MARK.finditer(text):
            if mark[1] is None:
                pieces += (text[end : mark.start() + 1], None)
            else:
                pieces += (text[end : mark.start()], None)
                order.append(int(mark[1]))
            end = mark.end()
        pieces.append(text[end:])
        return Template(pieces, tuple(order[: len(marks)]), samples)

    def writes_like(self, other: Dialect) -> bool:
        """Whether both write the same sample lines, whatever they write around them."""
        return self._witness() == other._witness()

    def _witness(self) -> str:
        metric = Metric("a_metric", "", "gauge")
        metric.add_sample("a_metric", {"a_label": 'a "value"\\\n'}, 0.5)
        return self.lines(metric)
