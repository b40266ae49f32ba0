"""The entry: a table of commands, of which only the one chosen is imported. Start-up time is a feature."""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast

from prober import __version__

USAGE, UNFIT, INTERRUPTED, READER_LEFT = 2, 3, 130, 141
#: A span of time before now, as moments are written.
_AGO = re.compile(r"-\d+(?:\.\d+)?[a-zµ]+")
#: A file system that takes no more output.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Command(NamedTuple):
    """One command: the module that has it, and what it does in a line."""

    module: str
    help: str


class _Parser(argparse.ArgumentParser):
    """One that takes `--from -2h`, where argparse alone would look for an option -2."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse does, with such a value joined to the option before it."""
        joined: list[str] = []
        for word in args or ():
            if _AGO.fullmatch(word) and joined and joined[-1].startswith("--") and "=" not in joined[-1]:
                joined[-1] += f"={word}"
            else:
                joined.append(word)
        return super().parse_known_args(joined, namespace)


class CommandModule(Protocol):
    """What every command's module has."""

    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS: dict[str, Command] = {
    "run": Command("prober.cli.run", "the service: probe on schedule, serve metrics and API"),
    "demo": Command("prober.cli.demo", "the service against an embedded lab, with faults to switch on"),
    "once": Command("prober.cli.once", "every cell of a configuration once, or N times, for CI and incidents"),
    "try": Command("prober.cli.try_", "one URL, no configuration: a waterfall of its layers in each family"),
    "check": Command("prober.cli.check", "is this configuration valid?"),
    "plan": Command("prober.cli.plan", "the cells, packets and series that a configuration makes"),
    "schema": Command("prober.cli.schema", "the JSON Schema of probes.yaml, for editors"),
    "dns": Command("prober.cli.dns", "every query that a C library would send for a name"),
    "explain": Command("prober.cli.explain", "what fails, what was ruled out, what to check next"),
    "baseline": Command("prober.cli.baseline", "record what is usual, and say what is no longer so: slower, failing"),
    "watch": Command("prober.cli.watch", "follow a rolling upgrade: changed nodes against those not changed yet"),
    "doctor": Command("prober.cli.doctor", "is this place fit to measure?"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Beside the command's own: 2 for a wrong command line, 3 where stdout takes no more, and as shells count signals
    130 after Ctrl-C and 141 where the reader of stdout left early, since 0 would claim that all was well.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_missing_streams()
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()  # a closed pipe shows here rather than at the interpreter's end
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _drop_stdout()
        return READER_LEFT
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _drop_stdout()
        print(f"prober: stdout can't be written: {error.strerror}", file=sys.stderr)
        return UNFIT
    return code


def _open_missing_streams() -> None:
    """Put /dev/null where we were started with stdin, stdout or stderr closed: a socket must not become stdout."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        name = ("stdin", "stdout", "stderr")[descriptor]
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "r" if descriptor == 0 else "w", encoding="utf-8"))
    os.close(descriptor)


def _drop_stdout() -> None:
    """What Python still holds for stdout goes nowhere, rather than failing again at the interpreter's end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _dispatch(arguments: list[str]) -> int:
    first = arguments[0] if arguments else ""
    if first in ("-V", "--version"):
        print(f"prober {__version__}")
        return 0
    if first in ("", "-h", "--help", "help"):
        print(_overview(), file=sys.stdout if first else sys.stderr)
        return 0 if first else USAGE
    if first not in COMMANDS:
        print(f"prober: unknown command {first!r}{_suggestion(first)}\n\n{_overview()}", file=sys.stderr)
        return USAGE
    return _run(first, arguments[1:])


def _run(name: str, arguments: list[str]) -> int:
    command = COMMANDS[name]
    module = cast(CommandModule, import_module(command.module))
    parser = _Parser(prog=f"prober {name}", description=f"{command.help[0].upper()}{command.help[1:]}.")
    module.configure(parser)
    try:
        parsed = parser.parse_args(arguments)
    except SystemExit as wanted:  # argparse has printed its help (0) or what was wrong (2)
        return wanted.code if isinstance(wanted.code, int) else USAGE
    return module.run(parsed)


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items()]
    head = "usage: prober COMMAND [OPTIONS]\n\nWhich layer failed, on which path, in which family, from here?\n\n"
    return f"{head}{chr(10).join(lines)}\n\nprober COMMAND --help tells the options; prober --version the version."


def _suggestion(word: str) -> str:
    """Imported late: only a mistake pays for it."""
    from prober.config.words import suggest

    return suggest(word, COMMANDS)


if __name__ == "__main__":
    raise SystemExit(main())
