"""What a running prober says of regressions and broken budgets, for `prober explain`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from prober.cli.asking import NoAnswer, Refused, address_of, ask

_PATH = "/api/v1/regressions"
_UNKNOWN = 404


@dataclass(frozen=True, slots=True)
class Changes:
    """As sentences: what somebody has to look at, and what is only to be noted; and suspects that may be chance."""

    pressing: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()
    suspects: int = 0


def changes_of(url: str, target: str | None, *, timeout: float) -> Changes:
    """What the prober at `url` says, of this target or of all. None of it where it is an older one; where it does not
    say, that is told on stderr."""
    path = _PATH if target is None else f"{_PATH}?{urlencode({'target': target})}"
    try:
        return _read(json.loads(ask(url, path, timeout=timeout)))
    except Refused as error:
        why = "" if error.status == _UNKNOWN else str(error)
    except NoAnswer as error:
        why = error.why
    except (KeyError, TypeError, ValueError) as error:
        why = f"something else answers there ({error!r})"
    if why:
        print(f"prober: {address_of(url, path)}: {why}", file=sys.stderr)
    return Changes()


def _read(told: Mapping[str, Any]) -> Changes:
    pressing = [str(one["says"]) for one in told["summary"] if one["pages"]]
    noted = [str(one["says"]) for one in told["summary"] if not one["pages"] and one["level"] == "confirmed"]
    rest = [one for one in told["summary"] if not one["pages"] and one["level"] != "confirmed"]
    budgets = [str(one["says"]) for one in told["budgets"]]
    return Changes((*pressing, *budgets), tuple(noted), sum(len(one["series"]) for one in rest))
