"""What machines read, on stdout: UTF-8 whatever the locale says."""

from __future__ import annotations

import io
import sys


def emit(text: str) -> None:
    """Write `text` and a newline at once, as UTF-8: what JSON needs (RFC 8259 section 8.1) and our XML declares."""
    if isinstance(sys.stdout, io.TextIOWrapper) and (sys.stdout.encoding or "").lower() != "utf-8":
        sys.stdout.reconfigure(encoding="utf-8")
    print(text, flush=True)
