"""`nerstream train`."""

from consumer.commands.train.command import add_arguments, run

__all__ = ["add_arguments", "run"]
