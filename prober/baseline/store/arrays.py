"""The shifts of one block as one small blob.

A byte of version, then zlib over the planes of bytes (all lowest bytes first, and so on) of five columns: ids, as the
gap to the one before, runs, failed, d, r. 32 bits each, little endian.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from prober.baseline.sketch import Ints
from prober.baseline.store.kinds import Shifts

_VERSION = 1
_COLUMNS = 5
_WIDTH = 4
Floats32 = npt.NDArray[np.float32]


def to_blob(ids: Ints, shifts: Shifts) -> bytes:
    """These shifts, of the series with these ids (one for each)."""
    order = np.argsort(ids)
    columns = (
        np.diff(ids[order], prepend=0).astype("<u4"),
        shifts.runs[order].astype("<u4"),
        shifts.failed[order].astype("<u4"),
        shifts.d[order].astype("<f4"),
        shifts.r[order].astype("<f4"),
    )
    planes = b"".join(c.view(np.uint8).reshape(-1, _WIDTH).T.tobytes() for c in columns)
    return bytes((_VERSION,)) + zlib.compress(planes, 6)


def from_blob(blob: bytes) -> tuple[Ints, Ints, Ints, Floats32, Floats32]:
    """Ids, runs, failed, d, r. ValueError where the blob is damaged or of another version."""
    if blob[:1] != bytes((_VERSION,)):
        raise ValueError("shifts of a version that is not known")
    try:
        data = np.frombuffer(zlib.decompress(blob[1:]), np.uint8)
    except zlib.error as error:
        raise ValueError(f"shifts are damaged: {error}") from error
    words = data.reshape(_COLUMNS, _WIDTH, -1).transpose(0, 2, 1).copy()
    gaps, runs, failed = (words[n].view("<u4")[:, 0].astype(np.int64) for n in range(3))
    d, r = (words[n].view("<f4")[:, 0].astype(np.float32) for n in (3, 4))
    return np.cumsum(gaps), runs, failed, d, r
