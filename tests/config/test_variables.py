"""`${VAR}`: filled in, escaped, remembered, and never shown."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from prober.config.errors import ConfigError
from prober.config.load import load_text
from prober.config.matrix import expand
from prober.config.substitute import Filled, fill, shown
from prober.model import Cell, Vantage
from prober.options import SecretFile


@pytest.mark.parametrize(
    ("text", "env", "filled"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("a${A}b${B}c", {"A": "1", "B": "2"}, "a1b2c"),
        ("${A:-d}", {}, "d"),
        ("${A:-d}", {"A": ""}, "d"),
        ("${A:-d}", {"A": "x"}, "x"),
        ("${A:-}", {}, ""),
        ("${A:-b:-c}", {}, "b:-c"),
        ("${A}", {"A": ""}, ""),
        ("${A}", {"A": "${B}"}, "${B}"),
        ("$${A}", {"A": "x"}, "${A}"),
        ("$A $$ $ {A} }", {"A": "x"}, "$A $$ $ {A} }"),
        ("$$${A}", {"A": "x"}, "$${A}"),
        ("${_a1}", {"_a1": "x"}, "x"),
    ],
)
def test_variables_are_filled_in_as_the_shell_does(text: str, env: dict[str, str], filled: str) -> None:
    assert fill(text, env, {}) == filled


@pytest.mark.parametrize("text", ["${}", "${1}", "${A", "${A-b}", "${A:b}", "${A:-${B}}", "${A B}", "${ A }"])
def test_what_is_no_variable_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a variable"):
        fill(text, {"A": "x"}, {})


def test_the_value_is_hidden_and_the_template_shown() -> None:
    hidden: dict[str, str] = {}
    filled = fill("Bearer ${TOKEN} ${TEAM:-shop} ${EMPTY}", {"TOKEN": "t0ps3cr3t", "EMPTY": ""}, hidden)
    assert (filled, shown(filled)) == ("Bearer t0ps3cr3t shop ", "Bearer ${TOKEN} ${TEAM:-shop} ${EMPTY}")
    assert hidden == {"t0ps3cr3t": "${TOKEN}"}
    assert not isinstance(fill("$${X}", {}, hidden), Filled)


def cell(probe: dict[str, Any], url: str, env: dict[str, str]) -> Cell:
    config = {"targets": {"web": url}, "probes": [{"name": "p", "kind": "http", "targets": ["web"], **probe}]}
    return expand(load_text(yaml.safe_dump(config), "p.yaml", env), Vantage("v"))[0]


def test_a_cell_knows_what_to_hide_and_shows_the_url_as_it_was_written() -> None:
    made = cell(
        {"http": {"bearer": "${TOKEN}"}}, "https://${HOST}/x?key=${KEY}", {"TOKEN": "t", "HOST": "h", "KEY": "k"}
    )
    assert made.endpoint.shown == "https://${HOST}/x?key=${KEY}"
    assert (made.endpoint.host, made.endpoint.resource, made.options.http.bearer) == ("h", "/x?key=k", "t")
    assert made.hidden == {"t": "${TOKEN}", "h": "${HOST}", "k": "${KEY}"}


def test_variables_give_numbers_durations_and_booleans_too() -> None:
    probe = {
        "interval": "${I}", "http": {"max_body": "${N}"}, "expect": {"status": ["${S}"]},
        "tls": {"verify": "${V}"}, "families": ["${F}"],
    }  # fmt: skip
    made = cell(probe, "https://web", {"I": "7s", "N": "9", "S": "204", "V": "false", "F": "ipv6"})
    assert (made.interval, made.options.http.max_body, made.expect.status) == (7.0, 9, (204,))
    assert (made.options.tls.verify, made.family) == (False, "ipv6")


def test_a_secret_file_is_named_and_not_read() -> None:
    made = cell({"http": {"bearer": {"file": "${DIR}/token"}}}, "https://web", {"DIR": "/does/not/exist"})
    assert isinstance(made.options.http.bearer, SecretFile)
    assert str(made.options.http.bearer.file) == "/does/not/exist/token"


#: Where a variable may stand in a probe or its target; `at` puts a value there.
PLACES: list[tuple[str | int, ...]] = [
    ("targets", "web", "paths", "x", "url"),
    ("targets", "web", "paths", "x", "connect"),
    ("targets", "web", "paths", "x", "proxy"),
    ("targets", "web", "paths", "x", "addresses"),
    ("targets", "web", "paths", "x", "families"),
    ("targets", "web", "labels", "team"),
    ("defaults", "interval"),
    ("defaults", "families"),
    ("defaults", "dns", "type"),
    ("defaults", "resolver", "servers", 0),
    ("defaults", "resolver", "named", "x"),
    ("probes", 0, "name"),
    ("probes", 0, "kind"),
    ("probes", 0, "targets", 0),
    ("probes", 0, "timeout"),
    ("probes", 0, "budget", "http"),
    ("probes", 0, "vantages", "zones"),
    ("probes", 0, "icmp", "count"),
    ("probes", 0, "tls", "min_version"),
    ("probes", 0, "tls", "verify"),
    ("probes", 0, "http", "method"),
    ("probes", 0, "http", "headers", "X-A"),
    ("probes", 0, "http", "basic", "password", "fil"),
    ("probes", 0, "expect", "status", 0),
    ("probes", 0, "expect", "body_matches"),
    ("probes", 0, "expect", "reason", 0),
    ("probes", 0, "matrix", "target", 0),
    ("probes", 0, "matrix", "family", 0),
    ("probes", 0, "matrix", "name", 0),
    ("probes", 0, "matrix", "server", 0),
    ("probes", 0, "matrix", "exclude", 0, "path"),
    ("probes", 0, "matrix", "include", 0, "interval"),
]


def put(node: Any, place: tuple[str | int, ...], value: object) -> None:
    """Set `value` at `place` of nested mappings and lists, making what is missing."""
    for step, following in pairwise(place):
        if isinstance(step, str):
            node.setdefault(step, [None] if isinstance(following, int) else {})
        elif node[step] is None:
            node[step] = {}
        node = node[step]
    node[place[-1]] = value


def complaints(text: str, env: dict[str, str]) -> str:
    """All that is said against a configuration; nothing where it is good."""
    try:
        load_text(text, "p.yaml", env)
    except ConfigError as error:
        return f"{error}\n{error.problems!r}"
    return ""


@given(
    st.sampled_from(PLACES),
    st.from_regex(r"[ -~]{0,4}q7Zx[A-Za-z0-9/:@\[\]().{}*+?-]{6,20}", fullmatch=True),
    st.sampled_from(["${S}", "a${S}b", "https://${S}/", "(${S}", "${S}:80", "2xx${S}"]),
)
def test_no_error_message_ever_shows_a_value(place: tuple[str | int, ...], secret: str, template: str) -> None:
    config: dict[str, Any] = {
        "targets": {"web": {"paths": {"x": {"url": "https://web"}}}},
        "probes": [{"name": "p", "kind": "http", "targets": ["web"]}],
    }
    put(config, place, template)
    said = complaints(yaml.safe_dump(config, sort_keys=False), {"S": secret})
    assert secret not in said
    assert "q7Zx" not in said
