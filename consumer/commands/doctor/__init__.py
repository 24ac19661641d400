"""`nerstream doctor`: see command.py for the command, the others for what it does."""

from consumer.commands.doctor.command import add_arguments, run

__all__ = ["add_arguments", "run"]
