"""Output for machines is UTF-8 in any locale."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from prober.reasons import Family
from tests.support.threaded import serve

#: A locale that can't say µ, and no help from Python's own coercion to UTF-8 (PEP 538, PEP 540).
_POSIX = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
_CONFIG = """
targets: {{t: "http://127.0.0.1:{port}/"}}
probes: [{{name: a, kind: http, targets: [t], http: {{headers: {{X-Name: "Zoë"}}}}}}]
"""


def in_posix(*arguments: str) -> bytes:
    """What `prober` prints there, which must be UTF-8; stderr stays empty."""
    done = subprocess.run(
        [sys.executable, "-m", "prober", *arguments], capture_output=True, timeout=30, env=os.environ | _POSIX
    )
    assert done.stderr == b""
    return done.stdout


@pytest.fixture
def config(tmp_path: Path) -> Iterator[str]:
    """A probe that names a Zoë to a server that hangs up on her."""
    path = tmp_path / "probes.yaml"
    with serve(Family.IPV4, lambda sock: None) as port:
        path.write_text(_CONFIG.format(port=port), encoding="utf-8")
        yield str(path)


def test_the_schema_is_json_in_utf_8() -> None:
    assert "µ" in str(json.loads(in_posix("schema").decode("utf-8")))


def test_runs_are_json_in_utf_8(config: str) -> None:
    assert "Zoë" in json.loads(in_posix("once", "-c", config, "-o", "ndjson").decode("utf-8"))["reproduce"]


def test_junit_is_in_the_encoding_that_it_declares(config: str) -> None:
    printed = in_posix("once", "-c", config, "-o", "junit")
    assert printed.startswith(b'<?xml version="1.0" encoding="UTF-8"?>')
    assert "Zoë" in str(ElementTree.fromstring(printed).findtext(".//failure"))
