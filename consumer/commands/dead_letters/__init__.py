"""`nerstream dead-letters`: see command.py for the command, the others for what it does."""

from consumer.commands.dead_letters.command import add_arguments, run

__all__ = ["add_arguments", "run"]
