"""The command line: one line a command, nothing else.

A command is a module of `consumer.commands` with `add_arguments(parser)` and
`run(arguments) -> exit code`. Only the module of the chosen command is imported, so that help
and a wrong argument answer at once, without the model's libraries.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from consumer import __version__
from consumer.contracts.errors import NerstreamError, SettingsError, first_line
from consumer.interrupts import INTERRUPTED, leave_interrupts, take_interrupts
from consumer.standard_streams import PipeClosed, discard_output, take_standard_streams
from consumer.terminal import tell_error, tell_failure

if TYPE_CHECKING:
    import argparse

COMMANDS = {
    "run": "the worker: articles from Kafka, entities to Kafka",
    "doctor": "look before the first message: brokers, topics, access, timeouts, model, input",
    "health": "ask a worker of this machine whether it is well, as a container's health check does",
    "demo": "the whole way on this machine: embedded broker, bundled model, sample articles",
    "tag": "tag text or JSON lines from a file or standard input, without Kafka",
    "produce": "send JSON lines to a topic",
    "dead-letters": "list, show and send back what was rejected, each exactly once",
    "audit": "prove on live topics that every input has exactly one outcome",
    "find": "where a message is, by its place or id, and what became of it",
    "evaluate": "score a model on a CoNLL file: precision, recall and F1 by type",
    "compare": "which entities a model keeps in bfloat16 and int8, on articles of yours",
    "train": "fine-tune a checkpoint on CoNLL files",
    "average": "make one model of several fine-tuned ones: the mean of their weights",
    "bench": "measure the model beside its peers, or the worker from broker to broker",
}

#: What a shell reports of a program that a closed pipe ended: 128 + the signal.
PIPE_CLOSED = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments after the program's name; None takes the process's own, and with them its
            streams and its interrupts.

    Returns:
        The exit code: 0 done or drained, 1 failed, 2 settings or arguments are wrong, 130
        interrupted, 141 the reader of standard output went away.
    """
    if argv is not None:
        return _guarded(list(argv))
    try:
        take_interrupts()
        take_standard_streams()
        return _guarded(sys.argv[1:])
    except KeyboardInterrupt:  # before or after the work, or a second one
        return INTERRUPTED
    finally:
        leave_interrupts()


def _guarded(argv: list[str]) -> int:
    """Run one command; what is wrong with what it was given is told in a line, not a traceback."""
    try:
        try:
            code = _run(argv)
        except SystemExit as end:  # argparse, after --help or a wrong argument
            code = end.code if isinstance(end.code, int) else 1
        # What a command printed counts only once it is out, so a closed pipe is found here.
        sys.stdout.flush()
        return code
    except NerstreamError as error:
        code = error.exit_code
        tell_failure(error)
    except KeyboardInterrupt:
        # What is in the buffer may be out already, where the interrupt came between the two.
        discard_output()
        return INTERRUPTED
    except (BrokenPipeError, PipeClosed):
        discard_output()
        return PIPE_CLOSED
    except OSError as error:
        code = 1
        tell_error(_of_system(error))
    except MemoryError:
        code = 1
        tell_error("the memory does not suffice; give the process more")
    try:
        sys.stdout.flush()
    except (NerstreamError, OSError, PipeClosed):
        discard_output()
    return code


def _of_system(error: OSError) -> str:
    """What the system refused, of which file, and what would help."""
    # Imported here, as everything that the start of a command can do without: an interrupt in the
    # midst of this module's own imports would be a traceback.
    import errno

    remedies = {
        errno.EACCES: "give this user the right to it, or name another place",
        errno.EPERM: "give this user the right to it, or name another place",
        errno.EROFS: "name a place that can be written",
        errno.ENOSPC: "make room there, or name another place",
        errno.EDQUOT: "make room there, or name another place",
        errno.ENOENT: "name one that exists, in a folder that exists",
        errno.EMFILE: "let the process open more files (ulimit -n)",
        errno.ENFILE: "let the machine open more files",
    }
    problem = error.strerror or first_line(error)
    where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    remedy = remedies.get(error.errno or 0)
    return f"{where}{problem}" + (f"; {remedy}" if remedy else "")


def _run(argv: list[str]) -> int:
    import difflib
    import importlib

    from consumer.argument_parser import ArgumentParser

    parser = ArgumentParser(
        prog="nerstream",
        description="Kafka in, named entities out: tags news articles, exactly once.",
    )
    parser.add_argument("--version", action="version", version=f"nerstream {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    chosen = argv[0] if argv and argv[0] in COMMANDS else None
    for name, help_line in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            help=help_line,
            description=f"{help_line[0].upper()}{help_line[1:]}.",
        )
        if name == chosen:
            command = importlib.import_module(f"consumer.commands.{name.replace('-', '_')}")
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
        # A command that has commands of its own says which of them was meant.
        usage = getattr(arguments, "parser", usage)
        usage.error(_unknown(unknown[0], usage))
    _check_folder()
    try:
        return int(command.run(arguments))
    except SettingsError as error:
        # Imported here: a command has it by now.
        from consumer.settings.sources import placed

        raise placed(error, arguments, os.environ) from error


def _check_folder() -> None:
    """A folder that is gone gives relative names no meaning, and ends the process in a library."""
    try:
        os.getcwd()  # noqa: PTH109 - pathlib takes a while to import
    except OSError as error:
        raise SettingsError(
            "working folder",
            f"it cannot be found ({error.strerror})",
            "change into one that exists, then start again",
        ) from error


def _unknown(argument: str, parser: argparse.ArgumentParser) -> str:
    import difflib
    import re

    flag = argument.partition("=")[0]
    close = difflib.get_close_matches(flag, re.findall(r"--[\w-]+", parser.format_usage()), n=1)
    return f"unknown argument {flag}" + (f"; did you mean {close[0]}?" if close else "")
