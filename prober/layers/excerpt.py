"""What people may see of what a peer sent: short, printable, without secrets."""

from __future__ import annotations

from typing import Final

from prober.layers.base import Ascent
from prober.redact import redact_text

#: Characters of a body, a field or a line that are shown.
EXCERPT: Final = 200


def shown(ascent: Ascent, value: str | bytes) -> str:
    """What people may see of text from the peer: secrets hidden before it is cut, printable, 200 characters at most."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if ascent.hidden:
        text = redact_text(text, ascent.hidden)
    if len(text) <= EXCERPT and "  " not in text and text.isprintable():
        return text.strip()
    text = text[: EXCERPT * 2]
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())[:EXCERPT]
