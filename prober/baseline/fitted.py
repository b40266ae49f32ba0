"""A fit as bytes, to be kept beside the baseline that it was made of; and a process that makes many. Pure but for that.

The bytes are an array of numbers behind a head of JSON: nothing in them can run.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Final

import numpy as np

from prober.baseline.fit import Fit, Noise, NotEnough, fit
from prober.baseline.packed import unpack
from prober.baseline.response import MARKS, SHIFTS, Response
from prober.baseline.season import TERMS, Season
from prober.baseline.sketch import BINS
from prober.baseline.tables import Tables

#: To be raised whenever a fit of the same hours comes out differently, or is written differently.
VERSION: Final = 1
#: How much the process stands back for the one that measures (nice(2)).
NICE: Final = 10
_HEAD: Final = struct.Struct("<I")
_SHAPES: Final = (BINS, BINS, BINS, len(SHIFTS), MARKS, TERMS)


def pack_fit(one: Fit) -> bytes:
    """The bytes of a fit, some 7 kB."""
    head = {
        "slopes": [one.tables.psi_slope, one.tables.rank_slope],
        "swing": [one.season.swing, one.season.weekdays, one.season.weekends, one.season.well],
        "means": [one.psi_mean, one.rank_mean],
        "noise": [one.psi.deviation, one.psi.slow, one.rank.deviation, one.rank.slow],
        "numbers": [one.blocks, one.held],
        "failures": dict(one.failures),
        "quantiles": [one.p50, one.p99],
        "starts": list(one.starts),
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    tables = np.concatenate([one.tables.psi, one.tables.rank, one.tables.tail, one.shifts]).astype("<f4").tobytes()
    rest = np.concatenate([one.response.rank, one.response.marks, one.season.coefficients]).astype("<f8").tobytes()
    return _HEAD.pack(len(text)) + text + tables + rest


def unpack_fit(data: bytes) -> Fit:
    """What `pack_fit` gave. ValueError for anything else."""
    try:
        (size,) = _HEAD.unpack_from(data)
        head = json.loads(data[_HEAD.size : _HEAD.size + size])
        starts, at = tuple(head["starts"]), _HEAD.size + size
        narrow = np.frombuffer(data, "<f4", 3 * BINS + len(starts), at).astype(np.float32)
        psi, rank, tail, shifts = np.split(narrow, (BINS, 2 * BINS, 3 * BINS))
        wide = np.frombuffer(data, "<f8", sum(_SHAPES[3:]), at + narrow.nbytes).astype(np.float64)
        responses, marks, coefficients = np.split(wide, (len(SHIFTS), len(SHIFTS) + MARKS))
        if at + narrow.nbytes + wide.nbytes != len(data) or not (np.isfinite(narrow).all() and np.isfinite(wide).all()):
            raise ValueError("of another length, or not numbers")
        noise = head["noise"]
        noise, (psi_mean, rank_mean), (p50, p99) = head["noise"], head["means"], head["quantiles"]
        return Fit(
            tables=Tables(psi, rank, tail, *head["slopes"]),
            response=Response(responses, marks),
            season=Season(coefficients, *head["swing"]),
            psi_mean=psi_mean,
            rank_mean=rank_mean,
            psi=Noise(*noise[:2]),
            rank=Noise(*noise[2:]),
            blocks=head["numbers"][0],
            held=head["numbers"][1],
            failures=head["failures"],
            p50=p50,
            p99=p99,
            starts=starts,
            shifts=shifts,
        )
    except (struct.error, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no fit: {error}") from error


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
