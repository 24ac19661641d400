"""`nerstream dead-letters`: what was rejected, and the way back."""

from __future__ import annotations

import argparse
import logging
from types import ModuleType

from consumer.commands.dead_letters import listing, replaying, showing

#: Each with what it does and its module, which is a command like any other.
ACTIONS: dict[str, tuple[str, ModuleType]] = {
    "list": ("the dead letters of a topic, or their numbers by code", listing),
    "show": ("one dead letter: its bytes, its headers, and why it was rejected", showing),
    "replay": ("send dead letters back to where they came from, each exactly once", replaying),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions, each with arguments of its own."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    for name, (line, module) in ACTIONS.items():
        action = actions.add_parser(
            name,
            help=line,
            description=f"{line[0].upper()}{line[1:]}.",
            allow_abbrev=False,
        )
        module.add_arguments(action)
        action.set_defaults(parser=action)


def run(arguments: argparse.Namespace) -> int:
    """Do what was chosen; its exit code.

    Raises:
        SettingsError: a setting or an argument is wrong.
        KafkaProblem: no broker answers, the topic is missing, access is denied.
    """
    # What the client library logs comes back as an error, which is shown once.
    logging.getLogger("consumer").addHandler(logging.NullHandler())
    _, module = ACTIONS[arguments.action]
    return int(module.run(arguments))
