"""A fit as bytes, to be kept beside the baseline that it was made of; and a process that makes many. Pure but for that.

The bytes are arrays of numbers behind a head of JSON: nothing in them can run.
"""

from __future__ import annotations

import io
import json
import os
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import IO, Any, Final, get_type_hints

import numpy as np

from prober.baseline.fit import Fit, NotEnough, fit
from prober.baseline.packed import unpack
from prober.baseline.sketch import Floats

#: To be raised whenever a fit of the same hours comes out differently, or is written differently.
VERSION: Final = 2
#: How much the process stands back for the one that measures (nice(2)).
NICE: Final = 10
_HEAD: Final = struct.Struct("<I")
#: What an array is called in the head.
_ARRAY: Final = "~"


def pack_fit(one: Fit) -> bytes:
    """The bytes of a fit, some 4 kB. Its tables are as fine as banks keep them (float16)."""
    psi, rank, tail = (table.astype(np.float16) for table in (one.tables.psi, one.tables.rank, one.tables.tail))
    one = replace(one, tables=replace(one.tables, psi=psi, rank=rank, tail=tail))
    arrays: list[Floats] = []
    text = json.dumps(_apart(one, arrays), separators=(",", ":")).encode()
    return _HEAD.pack(len(text)) + text + b"".join(array.tobytes() for array in arrays)


def unpack_fit(data: bytes) -> Fit:
    """What `pack_fit` gave. ValueError for anything else."""
    try:
        (size,) = _HEAD.unpack_from(data)
        reader = _Arrays(data, _HEAD.size + size)
        found: Fit = reader.together(Fit, json.loads(data[_HEAD.size : reader.at]))
        if reader.at != len(data):
            raise ValueError("of another length")
    except (struct.error, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"no fit: {error}") from error
    return found


def _apart(value: Any, arrays: list[Floats]) -> Any:
    """As JSON has it, arrays beside."""
    if is_dataclass(value):
        return {field.name: _apart(getattr(value, field.name), arrays) for field in fields(value)}
    if isinstance(value, np.ndarray):
        told = value.astype(value.dtype.newbyteorder("<"))
        arrays.append(told)
        return {_ARRAY: told.dtype.str, "shape": told.shape}
    if isinstance(value, Mapping):
        return dict(value)
    return value.item() if isinstance(value, np.generic) else value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


class _Arrays:
    """Reads the arrays that the head tells, one after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def together(self, kind: Any, told: Any) -> Any:
        """A value of this type."""
        if isinstance(kind, type) and is_dataclass(kind):
            hints = _hints(kind)
            if told.keys() != hints.keys():
                raise ValueError("of other parts")
            return kind(**{name: self.together(hint, told[name]) for name, hint in hints.items()})
        if isinstance(told, dict) and _ARRAY in told:
            return self._array(np.dtype(told[_ARRAY]), tuple(told["shape"]))
        return tuple(told) if isinstance(told, list) else told

    def _array(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Floats:
        if dtype.kind not in "fi":
            raise ValueError("not numbers")
        found = np.frombuffer(self.data, dtype, int(np.prod(shape)), self.at).reshape(shape)
        self.at += found.nbytes
        if not np.isfinite(found).all():
            raise ValueError("not finite")
        return found.astype(dtype.newbyteorder("="))


def fit_packed(hours: bytes) -> tuple[bytes, str]:
    """The fit of packed hours, as bytes; or nothing, and why there is none."""
    try:
        return pack_fit(fit(unpack(hours))), ""
    except NotEnough as error:
        return b"", str(error)
    except (ValueError, np.linalg.LinAlgError) as error:
        return b"", f"its hours are damaged: {error}"


def write_frames(out: IO[bytes], frames: Iterable[bytes]) -> None:
    """Each behind its length."""
    for frame in frames:
        out.write(_HEAD.pack(len(frame)))
        out.write(frame)


def join_frames(*frames: bytes) -> bytes:
    """In one piece."""
    out = io.BytesIO()
    write_frames(out, frames)
    return out.getvalue()


def split_frames(data: bytes) -> list[bytes]:
    """What `join_frames` gave. ValueError where it is cut."""
    return list(read_frames(io.BytesIO(data)))


def read_frames(source: IO[bytes]) -> Iterator[bytes]:
    """What `write_frames` wrote, until the end. ValueError where it is cut."""
    while head := source.read(_HEAD.size):
        frame = source.read(_HEAD.unpack(head)[0]) if len(head) == _HEAD.size else b""
        if len(head) < _HEAD.size or len(frame) < _HEAD.unpack(head)[0]:
            raise ValueError("cut")
        yield frame


def main() -> None:
    """Packed hours come on stdin; of each its fit goes to stdout, and why there is none."""
    os.nice(NICE)
    for hours in read_frames(sys.stdin.buffer):
        done, why = fit_packed(hours)
        write_frames(sys.stdout.buffer, (done, why.encode()))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
