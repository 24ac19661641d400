"""`nerstream compare`."""

from consumer.commands.compare.command import add_arguments, run

__all__ = ["add_arguments", "run"]
