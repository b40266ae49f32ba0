"""The http rung of a kubernetes probe: one GET of the API server, with the Pod's token if one is mounted.

Without a token 200, 401 and 403 each prove DNS, Service, TLS and API server; with one 401 is a fault.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from prober.layers.base import Ascent, Failed
from prober.layers.http import authority, bearer, compose, exchange, judge
from prober.layers.http_judge import complaint
from prober.reasons import Reason
from prober.wire.http import Call

ALIVE_ANONYMOUS: Final = frozenset({200, 401, 403})
ALIVE_WITH_TOKEN: Final = frozenset({200, 403})
#: A failed check of /livez and /readyz, one per line: `[-]etcd failed: reason withheld`.
_FAILED_CHECK = re.compile(rb"^\[-\](\S{1,100})", re.MULTILINE)
_CHECKS_SHOWN = 20


async def request(ascent: Ascent) -> None:
    """GET `kubernetes.resource` and hold the answer against what proves the path, or against `expect:`."""
    options = ascent.cell.options.kubernetes
    token = read_token(options.token_file)
    asked = {} if token is None else {"authorization": bearer(ascent, token, f"$(cat {options.token_file})")}
    ascent.evidence["token"] = token is not None
    call = Call("GET", "https", authority(ascent), options.resource, list(compose(ascent, asked).items()))
    record, overlong = await exchange(ascent, call)
    good = ALIVE_ANONYMOUS if token is None else ALIVE_WITH_TOKEN
    failure = complaint(ascent.cell.expect, record, good=good, overlong=overlong)
    if record.status == 403 and token is not None:
        ascent.evidence["note"] = f"alive, but this token may not get {options.resource}"
    elif failure is not None and record.status is not None and record.status >= 500:
        failing = [name.decode("utf-8", "replace") for name in _FAILED_CHECK.findall(record.body)]
        if failing:
            ascent.evidence["failing"] = failing[:_CHECKS_SHOWN]
    judge(ascent, record, failure)


def read_token(file: Path) -> str | None:
    """The token in `file` as of now: it is rotated. None where there is no such file, or nothing in it."""
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(Reason.INTERNAL, f"cannot read the token {file}: {type(error).__name__}") from error
