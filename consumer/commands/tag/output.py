"""What `nerstream tag` writes: JSON lines, or text with its entities coloured."""

from __future__ import annotations

import sys
import time
from typing import Protocol, TextIO

from rich.console import Console
from rich.text import Text

from consumer.codec.article_codec import Codec
from consumer.commands.entity_colors import style_of
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import TaggedArticle, Tombstone, Untagged
from consumer.contracts.safe_text import safe, safe_characters
from consumer.terminal import tell, write_message

_INDENT = "  "


class Output(Protocol):
    """Where the outcomes go."""

    def write(self, outcome: TaggedArticle | Untagged | Tombstone) -> None:
        """Write one article, or what passes without being tagged."""

    def reject(self, line: int, rejection: RejectedMessage) -> None:
        """Say why a line cannot be tagged."""

    def flush(self) -> None:
        """Let the reader see what was written."""


class _TellsRejected:
    """Tells what is rejected on standard error, beside what is written.

    Args:
        name: of the input.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def reject(self, line: int, rejection: RejectedMessage) -> None:
        tell(f"{self._name}, line {line}: {rejection.code}: {rejection.message}")


class JsonLines(_TellsRejected):
    """The articles as the worker would write them to the output topic, one a line."""

    def __init__(self, name: str, stream: TextIO, codec: Codec) -> None:
        super().__init__(name)
        self._stream = stream
        self._codec = codec

    def write(self, outcome: TaggedArticle | Untagged | Tombstone) -> None:
        if isinstance(outcome, Tombstone):
            return
        tagged_at_ms = int(time.time() * 1000)
        write_message(self._codec.encode(outcome, tagged_at_ms), self._stream)

    def flush(self) -> None:
        self._stream.flush()


class Pretty(_TellsRejected):
    """The articles' text with each entity in the colour of its type, and the type after it.

    A text is indented, so that none of its lines passes for an id or for something that we say.
    """

    def __init__(self, name: str, console: Console) -> None:
        super().__init__(name)
        self._console = console

    def write(self, outcome: TaggedArticle | Untagged | Tombstone) -> None:
        if isinstance(outcome, Tombstone):
            return
        article = outcome.article
        # A message that has no id is told by its line.
        id = safe(article.id or str(article.raw.position.offset))
        self._console.print(Text(id, style="dim"), soft_wrap=True)
        if isinstance(outcome, Untagged):
            self._console.print(Text(f"not tagged: {outcome.reason}", style="dim"))
        else:
            for field in article.fields:
                self._console.print(_coloured(field.name, field.text, outcome), soft_wrap=True)
        self._console.print()

    def flush(self) -> None:
        sys.stdout.flush()


def _coloured(field: str, text: str, tagged: TaggedArticle) -> Text:
    coloured = Text(_INDENT)
    # One for one with the characters, so that the entities' offsets are indices.
    pieces = [f"\n{_INDENT}" if one == "\n" else one for one in safe_characters(text, lines=True)]
    end = 0
    for entity in tagged.entities:
        # Tokens that share a character can give entities that do, under the strategy `none`.
        if entity.field != field or entity.start < end:
            continue
        coloured.append("".join(pieces[end : entity.start]))
        coloured.append("".join(pieces[entity.start : entity.end]), style=style_of(entity.type))
        coloured.append(f" {safe(entity.type)}", style="dim")
        end = entity.end
    coloured.append("".join(pieces[end:]))
    return coloured
