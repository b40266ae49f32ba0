"""Hiding secrets: the one place that decides what a hidden value looks like to people. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from prober.model import Evidence


def redact(evidence: Evidence, hidden: Mapping[str, str]) -> Evidence:
    """`evidence` with every hidden value replaced by what may be shown (`${VAR}`), keys untouched."""
    return {key: _redact_value(value, hidden) for key, value in evidence.items()}


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
        return redact_text(value, hidden)
    if isinstance(value, list):
        return [_redact_value(item, hidden) for item in value]
    if isinstance(value, dict):
        return {key: _redact_value(item, hidden) for key, item in value.items()}
    return value
