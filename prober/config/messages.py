"""From what pydantic says to what a person can act on: one message per value, in the words of YAML.

Values are shown as they stand in the file (variables unexpanded), never as pydantic saw them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from prober.config import words
from prober.config.errors import Loc
from prober.config.nodes import Document, reading, written
from prober.options import NotADuration, SecretFile

Model = TypeVar("Model", bound=BaseModel)

#: Error type → what was expected there.
_EXPECTED: Mapping[str, str] = {
    "string_type": "text",
    "path_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def validate(document: Document, loc: Loc, data: object, model: type[Model]) -> Model | None:
    """`data`, which stands at `loc`, as a `model`. None where it is none: its problems are then in the document."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        _report(document, loc, model, error.errors(include_url=False, include_input=False))
        return None


def _report(document: Document, loc: Loc, model: type[BaseModel], errors: Iterable[ErrorDetails]) -> None:
    """One problem for each value that is wrong; what the arms of a union say about one value becomes one message."""
    by_place: dict[Loc, list[ErrorDetails]] = {}
    for error in errors:
        place = _place(document, (*loc, *error["loc"]), error["type"])
        by_place.setdefault(place, []).append(error)
    for place, found in by_place.items():
        node, at, _ = document.find(place)
        deeper = any(other[: len(place)] == place and len(other) > len(place) for other in by_place)
        if deeper and isinstance(node, MappingNode) and all(e["type"] in _EXPECTED for e in found):
            continue  # the arm of a union that wanted no mapping: the arm that did says what is wrong with it
        kinds = {error["type"] for error in found}
        if kinds == {"too_short"} and node.value:
            continue  # there are entries: what is wrong with each is said where it stands
        if kinds == {"missing"}:
            document.report(place, "required key is missing")
        elif "extra_forbidden" in kinds:
            known = _keys(model, place[len(loc) : -1])
            document.report(place, f"unknown key{words.suggest(place[-1], known) or _list(known)}", key=True)
        else:
            in_key = found[0]["loc"][-1:] == ("[key]",)
            shown = f'"{place[-1]}"' if in_key else written(node)
            document.report(place if at == place else at, _message(node, shown, found), key=in_key)


def _list(known: Iterable[str]) -> str:
    return f" (known here: {', '.join(known)})" if known else ""


def _place(document: Document, loc: Loc, kind: str) -> Loc:
    """`loc` without the steps that pydantic put in for arms of unions: those that the file has not.

    The key that a `missing` error names is kept as the last step, though the file has it not either.
    """
    place: Loc = ()
    for position, step in enumerate(loc):
        if document.find((*place, step))[1] == (*place, step) or (kind == "missing" and position == len(loc) - 1):
            place = (*place, step)
    return place


def _message(node: Node, shown: str, errors: list[ErrorDetails]) -> str:
    """What is wrong with the value at `node`."""
    error = errors[0]
    context = error.get("ctx", {})
    cause = context.get("error")
    wanted = list(dict.fromkeys(_expected(e) for e in errors if e["type"] in _EXPECTED))
    if isinstance(cause, NotADuration):
        return _duration(node)
    if isinstance(cause, ValueError) and not wanted:
        return _filled(str(cause), node, shown)
    if isinstance(cause, ValueError):
        wanted.insert(0, str(cause).removeprefix("expected "))
    if wanted:
        return f"expected {' or '.join(wanted)}{_but(node, 'text' in wanted)}"
    limit = _LIMITS.get(error["type"])
    return _filled(limit(context, node) if limit is not None else error["msg"], node, shown)


def _expected(error: ErrorDetails) -> str:
    """What one arm of a union, or the only one, would take."""
    of_secret = error.get("ctx", {}).get("class_name") == SecretFile.__name__
    return "{file: path}" if of_secret else _EXPECTED[error["type"]]


def _filled(message: str, node: Node, shown: str) -> str:
    """`message` with the value in the place of `{}`; without one, what was found follows an `expected`."""
    if "{}" in message:
        return message.replace("{}", shown)
    bare = message.startswith("expected") and ", got" not in message
    return message + _but(node, False) if bare else message


def _but(node: Node, text_wanted: bool) -> str:
    """What stands there instead."""
    if isinstance(node, SequenceNode):
        return ", got a list"
    if isinstance(node, MappingNode):
        return ", got a mapping"
    if text_wanted and node.tag.endswith((":bool", ":null")) and node.value:
        return f": {reading(node)}"
    if node.tag.endswith(":null"):
        return ", got nothing"
    number = text_wanted and node.tag.endswith((":int", ":float"))
    return f', got the number {node.value}: write "{node.value}"' if number else f", got {written(node)}"


def _duration(node: Node) -> str:
    if isinstance(node, ScalarNode) and re.fullmatch(r"\d+(\.\d+)?", node.value):
        return f"a duration needs a unit: did you mean {node.value}s? (write 250ms, 5s or 1m)"
    return f"{written(node)} is not a duration (write 250ms, 5s or 1m)"


def _choice(context: Mapping[str, Any], node: Node) -> str:
    known = re.findall("'([^']*)'", str(context["expected"]))
    if node.tag.endswith((":int", ":float")) and node.value in known:
        return f"expected text{_but(node, True)}"
    return words.one_of(known, node.value if isinstance(node, ScalarNode) else "")


_Limit = Callable[[Mapping[str, Any], Node], str]
_LIMITS: Mapping[str, _Limit] = {
    "enum": _choice,
    "literal_error": _choice,
    "greater_than_equal": lambda context, _: f"{{}} is too small: at least {context['ge']}",
    "less_than_equal": lambda context, _: f"{{}} is too large: at most {context['le']}",
    "string_pattern_mismatch": lambda context, _: f"{{}} does not have the form {context['pattern']}",
    "too_short": lambda *_: "at least one entry is needed",
}


def _keys(annotation: Any, loc: Loc) -> tuple[str, ...]:
    """The keys of the model that `annotation` has at `loc`."""
    for model in _models(annotation):
        if not loc:
            return tuple(model.model_fields)
        field = model.model_fields.get(str(loc[0]))
        if field is not None:
            return _keys(field.annotation, loc[1:])
    inner = get_args(annotation)
    if get_origin(annotation) in (dict, tuple) and inner and loc:
        return _keys(inner[1] if get_origin(annotation) is dict else inner[0], loc[1:])
    return tuple(dict.fromkeys(key for arm in inner for key in _keys(arm, loc)))


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []
