"""The values of one exchange: what is asked, and what came of it so far. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Version = Literal["1.1", "2"]
#: Field lines as sent: names in lower case, values as bytes.
Fields = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `target` is `/path?query`; `fields` holds exactly what is sent, `host` among it.

    For HTTP/2 `host` becomes `:authority` and the fields of a connection are left out (RFC 9113 section 8.2.2).
    """

    method: str
    scheme: str
    authority: str
    target: str
    fields: Fields
    body: bytes = b""


@dataclass(slots=True)
class Record:
    """What an exchange did, filled as it goes, so that a broken or cancelled one leaves what it had.

    Times are of `time.perf_counter`: `began` writing, `sent` the last byte of the request, `first` segment of the
    response, `ended` with the last one of the body; of the kernel's clock where `kernel` says so (a stream that keeps
    `times`). `limit` is the most bytes of body taken; None: any number.
    """

    limit: int | None = None
    began: float | None = None
    sent: float | None = None
    first: float | None = None
    ended: float | None = None
    kernel: bool = False
    status: int | None = None
    version: str | None = None
    fields: Fields = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    size: int = 0
    """Bytes of body taken from the wire, kept in `body` or handed on."""
    rest: bytes = b""
    """What came behind a switch of protocols (101)."""
    informational: list[int] = field(default_factory=list)
    """The 1xx statuses that came before the response."""

    def values(self, name: str) -> list[str]:
        """Every value of the response's field `name` (any case), in order."""
        wanted = name.lower().encode("latin-1", "replace")
        return [value.decode("utf-8", "replace") for key, value in self.fields if key == wanted]

    def value(self, name: str) -> str | None:
        """The first value of the response's field `name`, None where it has none."""
        wanted = name.lower().encode("latin-1", "replace")
        return next((value.decode("utf-8", "replace") for key, value in self.fields if key == wanted), None)

    def phases(self) -> dict[str, float]:
        """Seconds of the phases that came to their end: `request`, `first_byte`, `transfer`; disjoint.

        A response that begins before the request has ended has a `first_byte` of 0.
        """
        began, sent, first, ended = self.began, self.sent, self.first, self.ended
        phases: dict[str, float] = {}
        if began is not None and sent is not None:
            phases["request"] = max(0.0, sent - began)
        if sent is not None and first is not None:
            phases["first_byte"] = max(0.0, first - sent)
        if first is not None and ended is not None:
            phases["transfer"] = max(0.0, ended - (first if sent is None else max(first, sent)))
        return phases

    @property
    def seconds(self) -> float | None:
        """From the first byte of the request to the last of the response; None where the exchange has not ended."""
        if self.began is None or self.ended is None:
            return None
        return max(self.ended, self.sent or self.ended, self.first or self.ended) - self.began
