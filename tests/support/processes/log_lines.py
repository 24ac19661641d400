"""The lines that a worker logs, as a program reads them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

from consumer.telemetry.logs import configure_logging


class LogLines:
    """What was logged since it was made; each line is an object."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        """Those whose event begins so."""
        return [line for line in self.all if line["event"].startswith(event)]


@contextmanager
def log_lines(level: str = "info") -> Iterator[LogLines]:
    """Set up logging as the worker does, and leave it as it was found."""
    root = logging.getLogger()
    handlers, before = list(root.handlers), root.level
    lines = LogLines()
    configure_logging("json", level, lines.stream)
    try:
        yield lines
    finally:
        logging.captureWarnings(False)
        root.handlers[:] = handlers
        root.setLevel(before)
        structlog.reset_defaults()
