"""`nerstream evaluate`."""

from consumer.commands.evaluate.command import add_arguments, run

__all__ = ["add_arguments", "run"]
