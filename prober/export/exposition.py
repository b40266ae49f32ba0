"""`/metrics`: the text that prometheus_client would write, in slices, and mostly from what the last scrape left.

A scrape costs what has changed since the last one. It lets the event loop go on after each half millisecond of
work; what one account says is always of one moment, two accounts may be of different moments.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

from prometheus_client import CollectorRegistry

from prober.export.blocks import Blocks
from prober.export.collector import AccountCollector, Source
from prober.export.deflate import Body, Deflater, GzipBody, Part, PlainBody
from prober.export.dialect import Dialect
from prober.export.pace import Pace
from prober.export.selfmetrics import SelfMetrics


class Exposition:
    """Renders the metrics of the prober itself, of the cells, and of what is added later.

    `registry` has the same content for every other use of prometheus_client: slowly, and blocking.
    """

    def __init__(self, cells: Source, itself: SelfMetrics) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(itself.registry)
        self._itself = itself
        self._deflater = Deflater()
        self._usual = Dialect("")
        self._sources: list[tuple[Source, Blocks]] = []
        self.add(cells)

    def add(self, source: Source) -> None:
        """Render this as well from now on, behind what is there."""
        self.registry.register(AccountCollector(source))
        self._sources.append((source, Blocks(self._usual, source.const, self._deflater, keep=True)))

    async def render(self, accept: str, accept_encoding: str) -> tuple[dict[str, str], AsyncGenerator[bytes, None]]:
        """Headers and body for the values of `Accept` and `Accept-Encoding` (empty: not sent).

        The format is chosen as prometheus_client does it.
        """
        dialect = Dialect(accept)
        headers = {"Content-Type": dialect.content_type, "Vary": "Accept, Accept-Encoding"}
        if not accepts_gzip(accept_encoding):
            return headers, self._stream(dialect, PlainBody())
        headers["Content-Encoding"] = "gzip"
        return headers, self._stream(dialect, GzipBody())

    async def _stream(self, dialect: Dialect, body: Body) -> AsyncGenerator[bytes, None]:
        pace = Pace()
        for parts in self._parts(dialect):
            body.add(parts)
            if body.full:
                yield body.take()
            if pace.due:
                await pace.rest()
        yield body.end()

    def _parts(self, dialect: Dialect) -> Iterator[list[Part]]:
        usual = dialect.writes_like(self._usual)
        yield [self._deflater.part(dialect.encode(self._itself.registry))]
        for source, kept in tuple(self._sources):
            blocks = kept if usual else Blocks(dialect, source.const, self._deflater, keep=False)
            for family, accounts in source.families():
                yield [self._deflater.part(dialect.header(family))]
                yield from blocks.parts(family, accounts)
        yield [self._deflater.part(dialect.end)]


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether `Accept-Encoding` allows gzip (RFC 9110 section 12.5.3): by name or `*`, unless with a weight of 0."""
    weights = {}
    for item in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        weights[coding] = next((value[2:] for value in parameters if value.startswith("q=")), "1")
    weight = weights.get("gzip", weights.get("x-gzip", weights.get("*", "0")))
    return weight.strip("0.") != ""
