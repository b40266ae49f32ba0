"""What a baseline may be called."""

from __future__ import annotations

import re
from typing import Final

#: The label of what is compared with a baseline and is none itself.
NOW = "now"
#: Characters.
LONGEST = 100
#: How one version of a label is asked for: `cilium-1.17.3@2`.
_VERSION: Final = re.compile(r"@\d+$")


def checked_label(label: str) -> str:
    """The label as given. ValueError, with why, where it cannot be one: it has to fit into a URL's path and a table."""
    if not label or label != label.strip():
        raise ValueError("a label is not empty, and neither begins nor ends with a space")
    if len(label) > LONGEST:
        raise ValueError(f"a label has at most {LONGEST} characters")
    if not label.isprintable() or "/" in label:
        raise ValueError("a label has printable characters alone, and no slash")
    if label in (".", ".."):
        raise ValueError(f'the label "{label}" is a place in a path')
    if _VERSION.search(label):
        raise ValueError(f"a label does not end in {label[label.rindex('@') :]}: that asks for one of its versions")
    if label == NOW:
        raise ValueError(f'the label "{NOW}" means what is measured now')
    return label


def versioned(label: str, version: int) -> str:
    """`cilium-1.17.3 v1`: a baseline as people and regressions name it. What is measured now has no version."""
    return NOW if label == NOW else f"{label} v{version}"
