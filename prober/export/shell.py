"""Shell words that a person can paste: quoting, and secrets that stay out of sight. Pure.

A word is a list of parts. Plain parts are quoted; `Live` parts (`${VAR}`, `$(cat path)`) stay expandable, inside
double quotes, so that the line works where the secret is at hand and shows nothing where it is not.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from prober.options import Secret, SecretFile
from prober.redact import redact_text

_MASK = "***"
_SENSITIVE = re.compile(r"auth|cookie|token|secret|passw|api-?key|credential|session", re.IGNORECASE)
_AUTH_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9-]* ")
_LIVE = re.compile(r"\$\{\w+\}|\$\(cat .*\)")
_FIRST_MARK = 0xE000  # Unicode's private use area: no hidden value and no URL holds it


class Live(str):
    """Shell text that the shell has to expand."""

    __slots__ = ()


def parts_of(text: str, hidden: Mapping[str, str]) -> list[str]:
    """`text` as parts, each hidden value in it replaced by the live `${VAR}` that it came from."""
    longest_first = sorted(hidden, key=len, reverse=True)
    marks = {value: chr(_FIRST_MARK + number) for number, value in enumerate(longest_first) if value}
    if not marks:
        return [text]
    shown = {mark: hidden[value] for value, mark in marks.items()}
    pieces = re.split(f"([{''.join(shown)}])", redact_text(text, marks))
    return [_as_part(shown[piece]) if piece in shown else piece for piece in pieces if piece]


def _as_part(shown: str) -> str:
    return Live(shown) if _LIVE.fullmatch(shown) else shown


def secret_parts(value: Secret, hidden: Mapping[str, str]) -> list[str]:
    """A secret as parts: a file becomes `$(cat path)`, a variable `${VAR}`, anything literal `***`.

    The scheme of a credential (RFC 9110 section 11.4: `Bearer `, `Basic `) is kept.
    """
    if isinstance(value, SecretFile):
        return [Live(f"$(cat {shlex.quote(str(value.file))})")]
    parts = parts_of(value, hidden)
    scheme = "" if not parts or isinstance(parts[0], Live) else _scheme(parts[0])
    masked = [part if isinstance(part, Live) else _MASK for part in parts]
    if not scheme:
        return masked
    return [scheme, *(masked[1:] if parts[0] == scheme else masked)]


def _scheme(text: str) -> str:
    match = _AUTH_SCHEME.match(text)
    return match[0] if match else ""


def field_parts(name: str, value: Secret, hidden: Mapping[str, str], *, scheme: str = "") -> list[str]:
    """A header or metadata field as `name: value`, the value masked if the field's name says that it is a secret.

    `scheme` stands before the value of a credential (`Bearer `).
    """
    if scheme or isinstance(value, SecretFile) or _SENSITIVE.search(name):
        return [f"{name}: {scheme}", *secret_parts(value, hidden)]
    return parts_of(f"{name}: {value}", hidden)


def quote(parts: Sequence[str]) -> str:
    """One shell word (POSIX shell, section 2.2): plain parts are literal, live parts expand without splitting."""
    if not any(isinstance(part, Live) for part in parts):
        return shlex.quote("".join(parts))
    return '"' + "".join(part if isinstance(part, Live) else _within_double_quotes(part) for part in parts) + '"'


def _within_double_quotes(text: str) -> str:
    """Escapes for text between double quotes; `!` steps outside them, for the history of interactive shells."""
    return re.sub(r'([\\"$`])', r"\\\1", text).replace("!", "\"'!'\"")
