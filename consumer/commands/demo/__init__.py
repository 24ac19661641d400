"""`nerstream demo`."""

from consumer.commands.demo.command import add_arguments, run

__all__ = ["add_arguments", "run"]
