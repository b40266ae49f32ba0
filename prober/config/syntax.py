"""From a YAML text to its nodes, and what is said where the text is no YAML."""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.nodes import Node

from prober.config.errors import ConfigError, Problem

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster where it was built in
#: Levels of lists and mappings in one file; a configuration has seven.
DEEPEST = 64
_BRACKET = re.compile(r"[][{}]")
_STEEP = re.compile(rf"^ {{{DEEPEST}}}|(?:[-?:] +){{{DEEPEST}}}", re.MULTILINE)


def compose(text: str, name: str) -> Node:
    """The root node of a YAML text with exactly one document. ConfigError with the place of a syntax error."""
    loader = None
    try:
        refuse_depth(text, name)
        loader = _LOADER(text)
        root: Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        raise ConfigError([Problem(name, line, column, "", _syntax(error, text, line, column))]) from None
    except yaml.reader.ReaderError:
        raise ConfigError([_unprintable(text, name)]) from None
    finally:
        if loader is not None:
            loader.dispose()
    if root is None:
        raise ConfigError([Problem(name, 1, 1, "", "the file is empty: it needs at least `probes`")])
    return root


def refuse_depth(text: str, name: str) -> None:
    """ConfigError where a text nests deeper than `DEEPEST`: libyaml's composer calls itself once per level, and the
    end of its stack is the end of the process. Events are counted only in a text that looks as if it might.
    """
    depth = deepest = 0
    for bracket in _BRACKET.findall(text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    if deepest <= DEEPEST and not _STEEP.search(text):
        return
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        mark = event.start_mark
        if depth > DEEPEST and mark is not None:
            raise ConfigError([Problem(name, mark.line + 1, mark.column + 1, "", "nested too deeply")])


def _unprintable(text: str, name: str) -> Problem:
    """The first character that YAML does not allow (libyaml's own position counts bytes)."""
    match = yaml.reader.Reader.NON_PRINTABLE.search(text)
    position = match.start() if match else 0
    message = f"character U+{ord(text[position]):04X} is not allowed in YAML"
    return Problem(name, *place(text[:position]), "", message)


def place(before: str) -> tuple[int, int]:
    """Line and column, both from 1, of what follows the text `before`."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _syntax(error: yaml.MarkedYAMLError, text: str, line: int, column: int) -> str:
    """What a YAML syntax error says, in one line; a tab gets the words that help."""
    lines = text.splitlines()
    here = lines[line - 1] if line <= len(lines) else ""
    if here[:column].lstrip(" ").startswith("\t") or here[column - 1 : column] == "\t":
        return "a tab can't indent YAML: use spaces"
    if (error.problem or "").startswith("but "):
        return f"not YAML: {error.context}, {error.problem}"
    return f"not YAML: {' '.join(filter(None, (error.problem, error.context)))}"
