"""Whatever stands in a file: it is a configuration, or a ConfigError. Never anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from prober.config.errors import ConfigError
from prober.config.load import load_text
from prober.config.matrix import expand
from prober.model import Vantage

GOOD = [path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parent / "good").glob("*.yaml"))]
ENV = {"HOST": "web.app.svc", "TOKEN": "t0ps3cr3t", "X": "x"}
WORDS = st.sampled_from(
    [
        "", "x", "web", "a b", "${X}", "${NONE}", "${", "5s", "0s", "1h", "no", "ipv4", "auto", "10.0.0.1", "::1",
        "[::1]:53", "https://x", "tcp://x:1", "dns:///x", "dns://10.0.0.10/x", "icmp://x", "x:1", "2xx", "(", "A",
        "tcp", "kubernetes",
    ]
)  # fmt: skip
KEYS = st.sampled_from(["name", "kind", "url", "x", "target", "path", "family", "paths"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-1, 70000), st.floats(), st.text(max_size=5), WORDS)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=5,
)


def judged(text: str) -> None:
    """Load and expand; a refusal is as good as a configuration."""
    try:
        config = load_text(text, "p.yaml", ENV)
    except ConfigError:
        return
    cells = expand(config, Vantage("v", api_server=("10.96.0.1", 443)))
    assert len({cell.id for cell in cells}) == len(cells)


def places(node: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside `node`."""
    steps = list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    return [way for key, value in steps for way in [(*here, key), *places(value, (*here, key))]]


@settings(max_examples=150)
@given(st.sampled_from(GOOD), st.data())
def test_a_good_file_with_one_value_replaced(text: str, data: st.DataObject) -> None:
    config = yaml.safe_load(text)
    way = data.draw(st.sampled_from(places(config)))
    node = config
    for step in way[:-1]:
        node = node[step]
    node[way[-1]] = data.draw(JUNK)
    judged(yaml.safe_dump(config))


@settings(max_examples=200)
@given(st.sampled_from(GOOD), st.integers(0, 2000), st.integers(0, 40), st.text(max_size=4))
def test_a_good_file_with_some_of_its_text_replaced(text: str, start: int, length: int, by: str) -> None:
    judged(text[:start] + by + text[start + length :])


@given(st.text())
def test_any_text(text: str) -> None:
    judged(text)


@given(JUNK)
def test_any_data(data: Any) -> None:
    judged(yaml.safe_dump(data))
