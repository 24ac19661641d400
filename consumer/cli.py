"""The command line: one line a command, nothing else.

A command is a module of `consumer.commands` with `add_arguments(parser)` and
`run(arguments) -> exit code`. Only the module of the chosen command is imported, so that help
and a wrong argument answer at once, without the model's libraries.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import importlib
import os
import re
import sys
from collections.abc import Sequence

from consumer import __version__
from consumer.contracts.errors import NerstreamError

COMMANDS = {
    "run": "the worker: articles from Kafka, entities to Kafka",
    "demo": "the whole way on this machine: embedded broker, bundled model, sample articles",
    "tag": "tag text or JSON lines from a file or standard input, without Kafka",
    "produce": "send JSON lines to a topic",
    "evaluate": "score a model on a CoNLL file: precision, recall and F1 by type",
    "compare": "which entities a model keeps in bfloat16 and int8, on articles of yours",
    "train": "fine-tune a checkpoint on CoNLL files",
    "average": "make one model of several fine-tuned ones: the mean of their weights",
    "bench": "measure the model beside its peers, or the worker from broker to broker",
}

#: What a shell reports of a program that an interrupt or a closed pipe ended: 128 + the signal.
INTERRUPTED = 130
PIPE_CLOSED = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments after the program's name; None takes the process's own.

    Returns:
        The exit code: 0 done or drained, 1 failed, 2 settings or arguments are wrong, 130
        interrupted, 141 the reader of standard output went away.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        try:
            code = _run(argv)
        except SystemExit as end:  # argparse, after --help or a wrong argument
            code = end.code if isinstance(end.code, int) else 1
        # What a command printed counts only once it is out, so a closed pipe is found here.
        sys.stdout.flush()
        return code
    except NerstreamError as error:
        for line in str(error).splitlines() or [type(error).__name__]:
            print(f"nerstream: error: {line}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return PIPE_CLOSED


def _run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="nerstream",
        description="Kafka in, named entities out: tags news articles, exactly once.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"nerstream {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    chosen = argv[0] if argv and argv[0] in COMMANDS else None
    for name, help_line in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            help=help_line,
            description=f"{help_line[0].upper()}{help_line[1:]}.",
            allow_abbrev=False,
        )
        if name == chosen:
            command = importlib.import_module(f"consumer.commands.{name}")
            command.add_arguments(subparser)
            usage = subparser
    if chosen is None:
        if argv and not argv[0].startswith("-"):
            close = difflib.get_close_matches(argv[0], COMMANDS, n=1)
            meant = f"did you mean {close[0]}?" if close else "nerstream --help lists them"
            parser.error(f"there is no command {argv[0]}; {meant}")
        parser.parse_args(argv)
        parser.print_help(sys.stderr)
        return 2
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        usage.error(_unknown(unknown[0], usage))
    return int(command.run(arguments))


def _unknown(argument: str, parser: argparse.ArgumentParser) -> str:
    flag = argument.partition("=")[0]
    close = difflib.get_close_matches(flag, re.findall(r"--[\w-]+", parser.format_usage()), n=1)
    return f"unknown argument {flag}" + (f"; did you mean {close[0]}?" if close else "")


def _discard_output() -> None:
    """Let the interpreter's own flush at exit find somewhere to write."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
