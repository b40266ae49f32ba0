"""`prober schema`: the JSON Schema of `probes.yaml` on stdout, for editors and other checkers."""

from __future__ import annotations

import argparse
import json

from prober.cli.machine import emit
from prober.config.editor import json_schema


def configure(parser: argparse.ArgumentParser) -> None:
    """`prober schema` takes no arguments."""
    parser.epilog = "In an editor with yaml-language-server: # yaml-language-server: $schema=probes.schema.json"


def run(_: argparse.Namespace) -> int:
    """Print the schema (draft 2020-12); 0."""
    emit(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0
