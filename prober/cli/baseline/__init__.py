"""`prober baseline`: record what is usual, look at it, and say what is no longer so."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from typing import cast

from prober.cli.asking import NoAnswer
from prober.cli.configured import UsageError
from prober.cli.exits import USAGE
from prober.cli.main import Command, CommandModule

COMMANDS: dict[str, Command] = {
    "record": Command("prober.cli.baseline.record", "make a baseline of what was measured, under a label"),
    "list": Command("prober.cli.baseline.list_", "the baselines that there are"),
    "show": Command("prober.cli.baseline.show", "the figures of a baseline"),
    "accept": Command("prober.cli.baseline.accept", "compare a baseline with the active one, and make it that"),
    "compare": Command("prober.cli.baseline.compare", "what got slower or fails more, where, since when, by how much"),
    "export": Command("prober.cli.baseline.export", "a baseline, or what was measured, as a file"),
    "import": Command("prober.cli.baseline.import_", "take in baselines from files"),
    "delete": Command("prober.cli.baseline.delete", "delete a baseline"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """The commands of `prober baseline`, each with its options."""
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        text = f"{command.help[0].upper()}{command.help[1:]}."
        one = commands.add_parser(name, help=command.help, description=text)
        module = cast(CommandModule, import_module(command.module))
        module.configure(one)
        one.set_defaults(chosen=module.run)


def run(args: argparse.Namespace) -> int:
    """What the chosen command returns; 2 where nobody answers, or what was asked for cannot be."""
    try:
        return int(args.chosen(args))
    except UsageError as error:
        print(error, file=sys.stderr)
    except NoAnswer as error:
        print(f"prober: {error}", file=sys.stderr)
    return USAGE
