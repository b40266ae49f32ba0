"""`${VAR}` and `${VAR:-default}` in the values of a configuration. Pure: the environment is an argument.

The rules of the shell (POSIX, 2.6.2): `:-` stands in for a variable that is unset or empty. `$${` is a literal `${`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self

_VARIABLE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(:-[^{}]*)?\})?")


class Filled(str):
    """Text into which variables were filled. `template` is how it stands in the file: the form to show."""

    template: str

    def __new__(cls, text: str, template: str) -> Self:
        """The filled text, knowing its template."""
        filled = super().__new__(cls, text)
        filled.template = template
        return filled


def fill(text: str, env: Mapping[str, str], hidden: dict[str, str]) -> str:
    """`text` with its variables filled in, as a `Filled` if it had any.

    Values that came from `env` are added to `hidden` (value → `${VAR}`); defaults stand in the file for all to see
    and are not. ValueError for an unset variable without a default, and for what is no variable.
    """
    found = False

    def value(match: re.Match[str]) -> str:
        nonlocal found
        name, default = match[1], match[2]
        if match[0] == "$${":
            return "${"
        if name is None:
            raise ValueError("not a variable: write ${NAME} or ${NAME:-default}, and $${ for a literal ${")
        found = True
        given = env.get(name)
        if given is None and default is None:
            raise ValueError(f"the environment has no {name} (write ${{{name}:-default}} to give a default)")
        if given:
            hidden[given] = f"${{{name}}}"
        return given or (default or "")[2:]

    filled = _VARIABLE.sub(value, text)
    return Filled(filled, text) if found else filled


def shown(text: str) -> str:
    """How `text` may be shown: as it stands in the file."""
    return text.template if isinstance(text, Filled) else text
