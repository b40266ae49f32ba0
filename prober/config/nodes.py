"""YAML as plain data that knows where each value stands.

YAML 1.1 as PyYAML's safe loader reads it, with care: duplicate keys and unknown tags are problems, integers are
decimal alone (no `010`, no `1:30`), dates stay text, and a number with a fraction becomes a Decimal: no option is
one, and so none is taken for seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from prober.config.errors import Loc, Problem, where
from prober.config.substitute import fill
from prober.config.syntax import compose

_CORE = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_TEXT_TAGS = frozenset(_CORE + word for word in ("str", "timestamp", "value"))
_TRUE = frozenset({"yes", "true", "on"})

_LONGEST_SHOWN = 60

Entries = dict[str, tuple[Node, Node]]


class Document:
    """One file: its plain `data`, the values that must stay `hidden`, and the `problems` found so far."""

    def __init__(self, text: str, name: str, env: Mapping[str, str]) -> None:
        self.name = name
        self.hidden: dict[str, str] = {}
        self.problems: list[Problem] = []
        self._env = env
        self._entries: dict[int, Entries] = {}
        self._made: dict[int, Any] = {}
        self._open: set[int] = set()
        self._broken: set[int] = set()
        self._root = compose(text, name)
        self.data = self._convert(self._root, ())

    def report(self, loc: Loc, message: str, *, key: bool = False) -> None:
        """Add a problem at `loc`, or at the nearest value around it that the file has.

        `key` points at the key instead of its value; `{}` in the message becomes what stands there. A value that
        could not be read says nothing more.
        """
        node, found, key_node = self.find(loc)
        if id(node) in self._broken:
            return
        if isinstance(node, ScalarNode):
            loc = found  # of a URL that stands for a mapping
        if key and key_node is not None and found == loc:
            node = key_node
        self._add(node, loc, message.replace("{}", written(node)))

    def find(self, loc: Loc) -> tuple[Node, Loc, Node | None]:
        """The node at `loc` or the nearest around it, its own place, and the node of its key where it has one."""
        node: Node = self._root
        found: Loc = ()
        key: Node | None = None
        for step in loc:
            if isinstance(node, MappingNode) and step in self._entries.get(id(node), ()):
                key, node = self._entries[id(node)][str(step)]
            elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
                key, node = None, node.value[step]
            else:
                break
            found = (*found, step)
        return node, found, key

    def text(self, loc: Loc) -> str | None:
        """The scalar at `loc` as it stands in the file, None where there is none."""
        node, found, _ = self.find(loc)
        return str(node.value) if found == loc and isinstance(node, ScalarNode) else None

    def root_place(self) -> tuple[int, int]:
        """Line and column, from 1, of where the content begins."""
        return self._root.start_mark.line + 1, self._root.start_mark.column + 1

    def _add(self, node: Node, loc: Loc, message: str) -> None:
        mark = node.start_mark
        self.problems.append(Problem(self.name, mark.line + 1, mark.column + 1, where(loc), message))

    def _break(self, node: Node, loc: Loc, message: str) -> None:
        self._add(node, loc, message)
        self._broken.add(id(node))

    def _convert(self, node: Node, loc: Loc) -> Any:
        if id(node) in self._made:
            return self._made[id(node)]  # an alias: converted once, however often it is used
        if id(node) in self._open:
            self._break(node, loc, "refers to itself")
            return None
        self._open.add(id(node))
        if not isinstance(node, ScalarNode) and not node.tag.endswith((":map", ":seq")):
            self._unknown_tag(node, loc)
            made: Any = None
        elif isinstance(node, MappingNode):
            entries = self._entries[id(node)] = self._flatten(node, loc)
            made = {key: self._convert(value, (*loc, key)) for key, (_, value) in entries.items()}
        elif isinstance(node, SequenceNode):
            made = [self._convert(value, (*loc, position)) for position, value in enumerate(node.value)]
        else:
            made = self._scalar(node, loc)
        self._open.discard(id(node))
        self._made[id(node)] = made
        return made

    def _flatten(self, node: MappingNode, loc: Loc) -> Entries:
        """The entries of a mapping, merged ones (`<<`) first: its own keys win."""
        merged: Entries = {}
        own: Entries = {}
        for key_node, value in node.value:
            if key_node.tag == f"{_CORE}merge":
                for entries in reversed(list(self._merged(value, loc))):
                    merged.update(entries)
            elif (key := self._key(key_node, loc)) is None:
                continue
            elif key in own:
                first = own[key][0].start_mark.line + 1
                self._add(key_node, (*loc, key), f"duplicate key (the first is in line {first})")
            else:
                own[key] = key_node, value
        return merged | own

    def _merged(self, value: Node, loc: Loc) -> Iterator[Entries]:
        """The mappings that `<<` names, in the order of precedence."""
        for node in value.value if isinstance(value, SequenceNode) else [value]:
            if isinstance(node, MappingNode) and id(node) not in self._open:
                self._open.add(id(node))
                yield self._flatten(node, loc)
                self._open.discard(id(node))
            else:
                self._add(node, (*loc, "<<"), "only a mapping, or a list of them, can be merged")

    def _key(self, node: Node, loc: Loc) -> str | None:
        if not isinstance(node, ScalarNode):
            self._add(node, loc, "a key has to be text")
        elif node.tag in (f"{_CORE}bool", f"{_CORE}null"):
            self._add(node, (*loc, node.value), f"expected text: {reading(node)}")
        elif "${" in node.value:
            self._add(node, (*loc, node.value), "variables are not filled into keys")
        else:
            return str(node.value)
        return None

    def _scalar(self, node: Node, loc: Loc) -> Any:
        if node.tag in _TEXT_TAGS:
            try:
                return fill(node.value, self._env, self.hidden) if "${" in node.value else node.value
            except ValueError as error:
                return self._break(node, loc, str(error))
        if node.tag == f"{_CORE}null":
            return None
        if node.tag == f"{_CORE}bool" and node.value.lower() in _TRUE | {"no", "false", "off"}:
            return node.value.lower() in _TRUE
        if node.tag == f"{_CORE}int":
            return int(node.value) if _INTEGER.fullmatch(node.value) else str(node.value)
        if node.tag == f"{_CORE}float":
            try:
                return Decimal(node.value)
            except InvalidOperation:
                return str(node.value)
        self._unknown_tag(node, loc)
        return None

    def _unknown_tag(self, node: Node, loc: Loc) -> None:
        self._break(node, loc, f"the tag {node.tag.replace(_CORE, '!!')} is not known here")


def reading(node: Node) -> str:
    """How YAML reads a bare word that was meant as text, and what to write instead."""
    if node.tag == f"{_CORE}null":
        return f'YAML reads {node.value or "nothing"} as null: write "{node.value}"'
    return f'YAML reads a bare {node.value} as {str(node.value.lower() in _TRUE).lower()}: write "{node.value}"'


def written(node: Node) -> str:
    """A value as the file has it, shortened."""
    if not isinstance(node, ScalarNode):
        return "a list" if isinstance(node, SequenceNode) else "a mapping"
    text = " ".join(node.value.split())
    text = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return text if node.tag.endswith((":int", ":float", ":bool")) else f'"{text}"'
