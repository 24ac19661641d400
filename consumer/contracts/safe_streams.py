"""Streams of text that nobody can move a terminal by: they escape what `safe_text` calls unsafe."""

from __future__ import annotations

import io
from typing import Any, TextIO, cast

from consumer.contracts.safe_text import safe


class SafeWriter(io.TextIOWrapper):
    """Text that may hold a stranger's: line feeds and tabs stay, all else unsafe is escaped.

    Attributes:
        styled: the same stream for text that is safe already, and whose escape sequences are ours.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.styled = _Styled(self)

    def write(self, text: str, /) -> int:
        super().write(safe(text, lines=True))
        return len(text)

    def write_styled(self, text: str) -> int:
        """Write as it is."""
        return super().write(text)


class _Styled(io.TextIOBase):
    """The unguarded end of a `SafeWriter`; it is the other's to close."""

    def __init__(self, guarded: SafeWriter) -> None:
        self._guarded = guarded

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._guarded.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self._guarded.errors

    @property
    def buffer(self) -> Any:
        """Bytes; flush this first."""
        return self._guarded.buffer

    def write(self, text: str, /) -> int:
        return self._guarded.write_styled(text)

    def flush(self) -> None:
        self._guarded.flush()

    def fileno(self) -> int:
        return self._guarded.fileno()

    def isatty(self) -> bool:
        return self._guarded.isatty()

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        """Nothing."""


def styled(stream: TextIO) -> TextIO:
    """The end of a stream for those who escape strangers' text themselves, and add colours."""
    return cast(TextIO, stream.styled) if isinstance(stream, SafeWriter) else stream
