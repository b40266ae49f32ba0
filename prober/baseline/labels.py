"""What a baseline may be called."""

from __future__ import annotations

#: The label of what is compared with a baseline and is none itself.
NOW = "now"
#: Characters.
LONGEST = 100


def checked_label(label: str) -> str:
    """The label as given. ValueError, with why, where it cannot be one: it has to fit into a URL's path and a table."""
    if not label or label != label.strip():
        raise ValueError("a label is not empty, and neither begins nor ends with a space")
    if len(label) > LONGEST:
        raise ValueError(f"a label has at most {LONGEST} characters")
    if not label.isprintable() or "/" in label:
        raise ValueError("a label has printable characters alone, and no slash")
    if label == NOW:
        raise ValueError(f'the label "{NOW}" means what is measured now')
    return label
