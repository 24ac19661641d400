"""`nerstream audit`."""

from consumer.commands.audit.command import add_arguments, run

__all__ = ["add_arguments", "run"]
