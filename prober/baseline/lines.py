"""Lines of JSON from a file that anyone may have made: bounded, and every field checked."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zlib
from typing import Any, NoReturn

#: Bounds of what is read, far above what a prober writes: whoever sends a file must not fill the memory.
MOST_BYTES = 1 << 29
LONGEST_LINE = 1 << 22
MOST_COUNT = 1 << 40
#: Unix seconds, far ahead.
LATEST = 1 << 40
#: Control characters, separators of lines, halves of characters, and what turns the direction of writing.
_NOT_PLAIN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]")


class BadFile(ValueError):
    """A file that cannot be read: the line (from 1), and what is wrong there."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line
        self.what = what


def plain(text: str) -> bool:
    """Whether a text can be shown as it is: a terminal obeys control characters."""
    return _NOT_PLAIN.search(text) is None


class Lines:
    """The lines of a file, one after another, with their number and the sum of those since the last head."""

    def __init__(self, data: bytes) -> None:
        self._file = gzip.GzipFile(fileobj=io.BytesIO(data))
        self._bytes = 0
        self._digest = hashlib.sha256()
        self.number = 0
        self.sum = ""
        """Of the lines between the last one that ended a recording and this one, in hex."""

    def next(self) -> dict[str, Any] | None:
        """The next line, an object; None at the end. BadFile."""
        self.number += 1
        try:
            line = self._file.readline(LONGEST_LINE + 1)
        except (OSError, EOFError, zlib.error) as error:
            self.bad(f"not gzip, or damaged, or cut: {error}")
        self._bytes += len(line)
        if len(line) > LONGEST_LINE or self._bytes > MOST_BYTES:
            self.bad(f"more than {LONGEST_LINE} bytes in a line, or {MOST_BYTES} in all")
        if not line:
            return None
        if not line.endswith(b"\n"):
            self.bad("the file ends within a line")
        self.sum = self._digest.hexdigest()
        self._digest.update(line)
        return self._object(line)

    def end(self) -> None:
        """This line ended a recording."""
        self._digest = hashlib.sha256()

    def bad(self, what: str) -> NoReturn:
        """Raise BadFile for this line."""
        raise BadFile(self.number, what)

    def _object(self, line: bytes) -> dict[str, Any]:
        try:
            value = json.loads(line, parse_constant=_no_constant)
        except RecursionError:
            self.bad("nested too deeply")
        except ValueError as error:
            self.bad(f"not JSON: {error}")
        if not isinstance(value, dict):
            self.bad("not a JSON object")
        return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


class Fields:
    """The fields of one object, each taken once and checked; one that is left over is refused."""

    def __init__(self, lines: Lines, value: object, where: str = "") -> None:
        if not isinstance(value, dict):
            lines.bad(f"{where.rstrip('.')}: not an object")
        self._lines, self._left, self._where = lines, dict(value), where

    def any(self, name: str) -> Any:
        """What the field has. BadFile: it is missing; likewise below."""
        if name not in self._left:
            self.bad(name, "missing")
        return self._left.pop(name)

    def text(self, name: str, *, empty: bool = False) -> str:
        """A text that is not empty, unless it may be."""
        value = self.any(name)
        if not isinstance(value, str) or not (value or empty):
            self.bad(name, "not a text")
        if not plain(value):
            self.bad(name, "control characters")
        return value

    def moment(self, name: str) -> float:
        """Unix seconds."""
        value = self.any(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
            self.bad(name, "not a time, in Unix seconds")
        return float(value)

    def integer(self, name: str, least: int, most: int) -> int:
        """An integer within these bounds."""
        return self.bounded(name, self.any(name), least, most)

    def bounded(self, name: str, value: object, least: int, most: int) -> int:
        """The same, of a value that is at hand."""
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.bad(name, f"not an integer from {least} to {most}")
        return value

    def texts(self, name: str) -> dict[str, str]:
        """An object of texts."""
        inner = Fields(self._lines, self.any(name), f"{self._where}{name}.")
        return {checked: inner.text(checked, empty=True) for checked in inner.names()}

    def counts(self, name: str, value: object) -> dict[str, int]:
        """A value at hand, which has to be an object of counts above 0."""
        inner = Fields(self._lines, value, f"{self._where}{name}.")
        return {checked: inner.integer(checked, 1, MOST_COUNT) for checked in inner.names()}

    def names(self) -> list[str]:
        """The names of the fields that are left."""
        for name in self._left:
            if not name or not plain(name):
                self.bad(repr(name), "not a name")
        return list(self._left)

    def done(self) -> None:
        """Refuse what was not taken."""
        for name in self._left:
            self.bad(repr(name), "unknown")

    def bad(self, name: str, what: str) -> NoReturn:
        """Raise BadFile for this field."""
        self._lines.bad(f"{self._where}{name}: {what}")
