"""Colours, tables and bars for a terminal (rich), with strangers' text harmless in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from consumer.contracts.safe_streams import styled
from consumer.contracts.safe_text import safe


class SafeConsole(Console):
    """rich's console without what makes a command of text: markup, emoji codes, escape sequences.

    A table that is to be aligned takes text that is `safe` already. Text is one line only if it is
    made so before; line feeds stay here.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    @property
    def file(self) -> IO[str]:
        """Where it writes."""
        return styled(super().file)  # type: ignore[arg-type]

    @file.setter
    def file(self, new: IO[str]) -> None:
        self._file = new

    def render_str(self, text: str, **options: Any) -> Text:
        """Text of a string, so that what is measured is what is shown."""
        return super().render_str(safe(text, lines=True), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control:  # rich's own, to move a bar
                yield segment
            else:
                yield Segment(safe(segment.text, lines=True), segment.style)
