"""`prober check FILE`: is this configuration valid? Problems go to stderr, one a line; what is good to stdout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from prober.config.errors import ConfigError
from prober.config.load import load
from prober.config.parts import Config

VALID, INVALID = 0, 2


def configure(parser: argparse.ArgumentParser) -> None:
    """The arguments of `prober check`."""
    parser.add_argument("file", nargs="*", type=Path, default=[Path("probes.yaml")], help="(default: probes.yaml)")


def run(args: argparse.Namespace) -> int:
    """0 where every file is valid, else 2. Variables are taken from the environment."""
    code = VALID
    for file in args.file:
        try:
            print(f"{file}: {_summary(load(file))}")
        except ConfigError as error:
            print(error, file=sys.stderr)
            code = INVALID
    return code


def _summary(config: Config) -> str:
    cells = sum(len(probe.squares) for probe in config.probes)
    counts = ((len(config.targets), "target"), (len(config.probes), "probe"), (cells, "cell"))
    named = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts]
    return f"valid: {named[0]}, {named[1]}, at most {named[2]} at one vantage"
