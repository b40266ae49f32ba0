"""What every block of `probes.yaml` is made of: the base model, durations, whole numbers, secrets.

Durations are seconds as float (the YAML form `250ms` is converted on the way in).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|µs|ms|s|m|h|d)")
_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class NotADuration(ValueError):
    """Text that is no duration; a class of its own so that `prober.config` can say what would be one."""


def parse_duration(value: object) -> float:
    """Seconds of `250ms`, `5s`, `1m`, `1.5h`, `14d`; NotADuration for anything else (bare numbers included)."""
    if isinstance(value, float) and not isinstance(value, bool):
        return value  # already seconds: built in Python, YAML numbers never reach here (config refuses them)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise NotADuration(f"not a duration: {value!r} (write 250ms, 5s or 1m)")
    return float(match[1]) * _UNITS[match[2]]


def refuse_boolean(value: object) -> object:
    """`value`, unless it is a boolean: YAML reads a bare `yes` as one, and Python takes that for the number 1."""
    if isinstance(value, bool):
        raise ValueError("expected a whole number")
    return value


Whole = Annotated[int, BeforeValidator(refuse_boolean)]


DURATION_SCHEMA = {"type": "string", "pattern": rf"^{_DURATION.pattern}$", "examples": ["250ms", "5s", "1m"]}
Duration = Annotated[float, BeforeValidator(parse_duration), WithJsonSchema(DURATION_SCHEMA)]


class Options(BaseModel):
    """Base of every block: frozen, unknown keys refused. A string under a field is its text in `prober schema`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SecretFile(Options):
    """A secret kept in a file, read anew at each use so that rotation needs no reload."""

    file: Path

    def reveal(self) -> str:
        """The file's text without its trailing newline. OSError where it cannot be read."""
        return self.file.read_text(encoding="utf-8").rstrip("\r\n")

    def __str__(self) -> str:
        return f"$(cat {self.file})"


#: Text, or a secret from a file. Text that came through `${VAR}` is hidden by `Cell.hidden`.
Secret = str | SecretFile


def reveal(value: Secret) -> str:
    """The text behind a plain string or a secret file. OSError where the file cannot be read."""
    return value if isinstance(value, str) else value.reveal()
