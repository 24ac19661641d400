"""`nerstream find`."""

from consumer.commands.find.command import add_arguments, run

__all__ = ["add_arguments", "run"]
