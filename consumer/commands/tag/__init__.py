"""`nerstream tag`."""

from consumer.commands.tag.command import add_arguments, run

__all__ = ["add_arguments", "run"]
