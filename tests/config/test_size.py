"""A file of 10,000 cells costs per cell what a small one does, and leaves the collector as it was."""

from __future__ import annotations

import gc
from time import process_time

import pytest

from prober.config.errors import ConfigError
from prober.config.load import load_text
from prober.config.matrix import expand
from prober.model import Vantage


def many(count: int) -> str:
    """A file of `count` targets with two paths each, and a probe for every one of them."""
    paths = "{{paths: {{service: 'http://a{n}.svc/health', ingress: 'https://a{n}.example.com'}}}}"
    lines = ["targets:", *(f"  app-{n}: {paths.format(n=n)}" for n in range(count))]
    lines.append("probes:")
    lines += [f"  - {{name: p{n}, kind: http, targets: [app-{n}], budget: {{http: 100ms}}}}" for n in range(count)]
    return "\n".join(lines)


def cost(count: int) -> float:
    """CPU seconds for each of the cells that so many targets make."""
    text = many(count)
    began = process_time()
    cells = expand(load_text(text, "big.yaml", {}), Vantage("v"))
    assert len(cells) == 4 * count
    return (process_time() - began) / len(cells)


def test_each_of_ten_thousand_cells_costs_what_each_of_five_hundred_does() -> None:
    """Both in one process, one after the other: what is quadratic would cost twenty times as much."""
    assert cost(2500) < 4 * min(cost(125), cost(125))


def test_the_garbage_collector_is_on_again_afterwards() -> None:
    assert gc.isenabled()
    load_text("probes: [{name: a, kind: kubernetes}]", "p.yaml", {})
    with pytest.raises(ConfigError):
        load_text("probes: []", "p.yaml", {})
    assert gc.isenabled()
