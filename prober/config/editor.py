"""The JSON Schema of `probes.yaml`, for editors: what `schema` says, with the forms that only the loader knows."""

from __future__ import annotations

import ast
import inspect
import sys
from itertools import pairwise
from types import ModuleType
from typing import Any

from prober import options
from prober.config import schema as form
from prober.config.schema import ConfigFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VARIABLE: dict[str, Any] = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^{}]*)?\}"}
_URL: dict[str, Any] = {"type": "string", "description": "A URL alone stands for a mapping with this `url`."}
_VALUE: dict[str, Any] = {
    "type": ["string", "number", "boolean", "null", "array"],
    "description": "What to be equal to.",
}
#: Definitions that a URL alone may stand for.
_SHORT = ("TargetEntry", "PathEntry", "ProxyEntry")
#: What variables are never filled into: it becomes a metric label.
_LABELS = ("name", "targets", "labels", "target", "path", "family", "type", "transport", "server", "exclude", "label")


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12). Values take `${VAR}` wherever the loader does, targets and paths a bare URL."""
    schema = ConfigFile.model_json_schema()
    definitions = schema["$defs"]
    for name, texts in _documented({**vars(options), **vars(form)}).items():
        for field, text in texts.items():
            (schema if name == ConfigFile.__name__ else definitions[name])["properties"][field]["description"] = text
    for definition in definitions.values():
        for name, field in definition.get("properties", {}).items():
            if name not in _LABELS:
                _allow_variables(field)
        definition.pop("title", None)
    definitions["PathEntry"]["anyOf"] = [{"required": ["url"]}, {"required": ["endpoints"]}]
    for name in _SHORT:
        definitions[name] = {"anyOf": [definitions[name], _URL]}
    definitions["JsonExpectation"] = {"anyOf": [definitions["JsonExpectation"], _VALUE]}
    definitions["Variable"] = _VARIABLE
    for name in ("Kind", "Layer", "Reason"):
        values = definitions[name]
        definitions[name] = {"anyOf": [values, {"$ref": "#/$defs/Variable"}]}
    _tidy(schema)
    return {"$schema": DIALECT, "title": "probes.yaml", **{k: v for k, v in schema.items() if k != "title"}}


def _documented(names: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Model → field → the docstring under it, those of its bases included.

    pydantic would do it too, at every start of every command and for a tenth of the time that a start takes.
    """
    models = {
        name: model for name, model in names.items() if isinstance(model, type) and issubclass(model, options.Options)
    }
    modules = {model.__module__: sys.modules[model.__module__] for model in models.values()}
    texts = {name: found for module in modules.values() for name, found in _docstrings(module).items()}
    return {
        name: {field: text for base in reversed(model.__mro__) for field, text in texts.get(base.__name__, {}).items()}
        for name, model in models.items()
        if name in texts and name not in ("Options", "KindOptions")
    }


def _docstrings(module: ModuleType) -> dict[str, dict[str, str]]:
    """Class → attribute → the string that stands under it in the source."""
    classes = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)]
    return {
        node.name: {
            field.target.id: inspect.cleandoc(below.value.value)
            for field, below in pairwise(node.body)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            if isinstance(below.value.value, str)
        }
        for node in classes
    }


def _allow_variables(field: dict[str, Any]) -> None:
    """Let a value that is no free text be a variable too, at any depth of lists and alternatives."""
    for key in ("items", "additionalProperties"):
        if isinstance(field.get(key), dict):
            _allow_variables(field[key])
    if "anyOf" in field:
        for arm in field["anyOf"]:
            _allow_variables(arm)
        return
    narrow = field.get("type") in ("integer", "boolean", "number") or (
        field.get("type") == "string" and {"pattern", "enum", "const", "format"} & field.keys()
    )
    if narrow or ("enum" in field and "type" not in field):
        keep = {key: field.pop(key) for key in list(field) if key not in ("description", "default", "title")}
        field["anyOf"] = [keep, {"$ref": "#/$defs/Variable"}]


def _tidy(node: Any) -> None:
    """Leave out the titles that pydantic makes of names, and defaults that say nothing; refuse other names."""
    if isinstance(node, list):
        for item in node:
            _tidy(item)
    if not isinstance(node, dict):
        return
    if "patternProperties" in node:
        node["additionalProperties"] = False
    for key, value in node.items():
        if key in ("properties", "$defs"):
            for field in value.values():
                _tidy_field(field)
        _tidy(value)


def _tidy_field(field: dict[str, Any]) -> None:
    if isinstance(field.get("title"), str):
        del field["title"]
    if isinstance(field.get("default"), float):
        field["default"] = _written(field["default"])
    elif field.get("default", 0) in (None, [], {}) or isinstance(field.get("default"), dict):
        del field["default"]


def _written(seconds: float) -> str:
    """A duration as a file would have it."""
    days, rest = divmod(seconds, 86_400)
    return f"{days:g}d" if days and not rest else f"{seconds:g}s"
