"""What people may be shown: no secret, and no control character that would steer their terminal. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from prober.model import Evidence

#: C0, DEL and C1, line separators, and what turns the direction of writing (UAX #9).
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

#: What nothing can be hidden in, and most of what is measured.
_PLAIN: Final = frozenset({int, float, bool, type(None)})


def redact(evidence: Evidence, hidden: Mapping[str, str]) -> Evidence:
    """`evidence` with every hidden value replaced by what may be shown (`${VAR}`), keys untouched.

    Much of it was sent by the far side: control characters (terminal escapes in a certificate's name, say) become `?`.
    """
    return {key: value if type(value) in _PLAIN else _redact_value(value, hidden) for key, value in evidence.items()}


def redact_text(text: str, hidden: Mapping[str, str]) -> str:
    """Hidden values of eight characters or more are replaced anywhere, shorter ones where they stand as a word.

    The longest goes first: one that holds another is hidden whole.
    """
    for value in sorted(hidden, key=len, reverse=True):
        shown = hidden[value]
        if len(value) >= 8:
            text = text.replace(value, shown)
        elif value in text:
            text = re.sub(rf"(?<![\w-]){re.escape(value)}(?![\w-])", shown.replace("\\", r"\\"), text)
    return text


def _redact_value(value: Any, hidden: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        shown = value if value.isprintable() else _CONTROL.sub("?", value)
        return redact_text(shown, hidden) if hidden else shown
    if isinstance(value, list):
        return [_redact_value(item, hidden) for item in value]
    if isinstance(value, dict):
        return {key: _redact_value(item, hidden) for key, item in value.items()}
    return value
