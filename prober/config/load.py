"""Reading `probes.yaml`: from its bytes to a `Config`, or to every problem that it has."""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prober.config import words
from prober.config.baseline import check_baseline
from prober.config.blocks import check_defaults
from prober.config.errors import ConfigError, Loc, Problem
from prober.config.messages import validate
from prober.config.nodes import Document
from prober.config.parts import Config, Target
from prober.config.probes import Known, read_probe
from prober.config.schema import ConfigFile, Defaults
from prober.config.substitute import Filled
from prober.config.syntax import place
from prober.config.targets import read_target
from prober.options import NO_WISHES, BaselineSettings


def load(path: Path, env: Mapping[str, str] | None = None) -> Config:
    """The configuration in the file `path`, with variables from `env` (default: the process's environment).

    ConfigError with every problem of it, one that it cannot be read included.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError([Problem(str(path), 1, 1, "", f"can't be read: {error.strerror or error}")]) from None
    with _collector_paused():
        return _load(content, str(path), env)


def load_text(text: str, name: str, env: Mapping[str, str] | None = None) -> Config:
    """The configuration in `text`; `name` stands for the file's in problems. As `load`."""
    with _collector_paused():
        return _load(text.encode(), name, env)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """No garbage collection while a file is read: with 10,000 cells it takes as long again, and finds nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _load(content: bytes, name: str, env: Mapping[str, str] | None) -> Config:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = place(content[: error.start].decode(errors="replace"))
        message = f"not UTF-8: byte 0x{content[error.start]:02x}"
        raise ConfigError([Problem(name, line, column, "", message)]) from None
    document = Document(text, name, os.environ if env is None else env)
    targets, probes = {}, []
    data = document.data
    if not isinstance(data, dict):
        raise ConfigError([Problem(name, *document.root_place(), "", "expected a mapping with targets and probes")])
    baseline = _top(document, data)
    defaults = _defaults(document, data)
    targets = {key: _target(document, key, value, defaults) for key, value in _mapping(data, "targets").items()}
    known = Known(defaults, targets)
    entries = data.get("probes")
    for position, entry in enumerate(entries if isinstance(entries, list) else ()):
        _refuse_variable_labels(document, ("probes", position), entry)
        probes.append(read_probe(document, position, entry, known))
    _check_names(document, entries)
    if document.problems:
        raise ConfigError(document.problems)
    return Config(
        name,
        hashlib.sha256(content).hexdigest(),
        {key: target for key, target in targets.items() if target is not None},
        tuple(probe for probe in probes if probe is not None),
        baseline,
        document.hidden,
    )


def _top(document: Document, data: dict[str, Any]) -> BaselineSettings:
    """The top-level keys, of which `baseline` alone is read whole; what stands under the others is read by itself, so
    that one bad entry hides nothing of others."""
    empty: dict[str, object] = {"targets": {}, "defaults": {}, "probes": [{"name": "x", "kind": "icmp"}]}
    hollow = {
        key: empty[key] if key in empty and value and isinstance(value, type(empty[key])) else value
        for key, value in data.items()
    }
    top = validate(document, (), hollow, ConfigFile)
    if top is None:
        return NO_WISHES
    check_baseline(document, _mapping(data, "baseline"), top.baseline)
    return top.baseline


def _mapping(data: dict[str, Any], key: str) -> dict[str, Any]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _defaults(document: Document, data: dict[str, Any]) -> Defaults:
    entry = _mapping(data, "defaults")
    _refuse_variable_labels(document, ("defaults",), entry)
    defaults = validate(document, ("defaults",), entry, Defaults)
    if defaults is None:
        return Defaults.model_validate({key: value for key, value in entry.items() if _fits(key, value)})
    check_defaults(document, defaults)
    return defaults


def _fits(key: str, value: object) -> bool:
    """Whether one key of the defaults is right: the wrong ones beside it must not change what others mean."""
    try:
        Defaults.model_validate({key: value})
    except ValidationError:
        return False
    return True


def _target(document: Document, name: str, data: object, defaults: Defaults) -> Target | None:
    try:
        words.check_name(name)
    except ValueError as error:
        document.report(("targets", name), str(error), key=True)
        return None
    return read_target(document, name, data, defaults)


def _refuse_variable_labels(document: Document, loc: Loc, entry: object) -> None:
    """Type and transport of a `dns` block become part of the label `path`: no variables there."""
    block = entry.get("dns") if isinstance(entry, dict) else None
    for key, value in block.items() if isinstance(block, dict) else ():
        if key in ("type", "transport") and isinstance(value, Filled):
            document.report(
                (*loc, "dns", key), f'"{value.template}" becomes a metric label: variables are refused here'
            )


def _check_names(document: Document, entries: object) -> None:
    """Probe names are unique."""
    first: dict[str, int] = {}
    for position, entry in enumerate(entries if isinstance(entries, list) else ()):
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and name in first:
            message = f'the name "{name}" is taken by probes[{first[name]}]'
            document.report(("probes", position, "name"), message)
        elif isinstance(name, str):
            first[name] = position
