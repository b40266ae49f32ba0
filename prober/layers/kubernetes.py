"""The http rung of a kubernetes probe: one GET of the API server, with the Pod's token if one is mounted.

Without a token 200, 401 and 403 each prove DNS, Service, TLS and API server. With one, 401 is a fault of the token, and
403 of its rights: `system:public-info-viewer` lets every authenticated user get /livez, /readyz and /version.
"""

from __future__ import annotations

import json
import re
from itertools import islice
from pathlib import Path
from typing import Final

from prober.layers.base import Ascent, Failed
from prober.layers.excerpt import shown
from prober.layers.http.judge import complaint
from prober.layers.http.rung import authority, bearer, compose, exchange, judge
from prober.reasons import Reason
from prober.wire.http import Call, Record

ALIVE_ANONYMOUS: Final = frozenset({200, 401, 403})
ALIVE_WITH_TOKEN: Final = frozenset({200})
#: A failed check of /livez and /readyz, one per line: `[-]etcd failed: reason withheld`.
_FAILED_CHECK = re.compile(rb"^\[-\](\S{1,100})", re.MULTILINE)
_CHECKS_SHOWN: Final = 20
#: Bytes of body in which a `metav1.Status` is looked for: one is some hundred.
_STATUS_SIZE: Final = 16 * 1024


async def request(ascent: Ascent) -> None:
    """GET `kubernetes.resource` and hold the answer against what proves the path, or against `expect:`."""
    options = ascent.cell.options.kubernetes
    token = read_token(options.token_file)
    asked = {} if token is None else {"authorization": bearer(ascent, token, f"$(cat {options.token_file})")}
    ascent.evidence["token"] = token is not None
    call = Call("GET", "https", authority(ascent), ascent.cell.resource, list(compose(ascent, asked).items()))
    record, overlong = await exchange(ascent, call)
    good = ALIVE_ANONYMOUS if token is None else ALIVE_WITH_TOKEN
    failure = complaint(ascent.cell.expect, record, good=good, overlong=overlong)
    if record.status == 403 and token is not None:
        ascent.evidence["note"] = f"alive, but this token may not get {ascent.cell.resource}"
    _note_checks(ascent, record)
    if record.status != 200:
        _note_status(ascent, record)
    judge(ascent, record, failure)


def _note_checks(ascent: Ascent, record: Record) -> None:
    """How many checks of /livez and /readyz hold, and which fail: listed with `?verbose`, and wherever one fails."""
    holding = record.body.count(b"[+]")
    failing = [shown(ascent, found[1]) for found in islice(_FAILED_CHECK.finditer(record.body), _CHECKS_SHOWN)]
    if holding:
        ascent.evidence["checks"] = holding
    if failing:
        ascent.evidence["failing"] = failing


def _note_status(ascent: Ascent, record: Record) -> None:
    """Reason and message of a `metav1.Status`, in which the API server says why not."""
    if not record.body.startswith(b"{") or len(record.body) > _STATUS_SIZE:
        return
    try:
        status = json.loads(record.body)
    except (ValueError, RecursionError):
        return
    for key, kept in (("reason", "status_reason"), ("message", "message")):
        if isinstance(text := status.get(key), str) and text:
            ascent.evidence[kept] = shown(ascent, text)


def read_token(file: Path) -> str | None:
    """The token in `file` as of now: it is rotated. None where there is no such file, or nothing in it."""
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(Reason.INTERNAL, f"cannot read the token {file}: {type(error).__name__}") from error
