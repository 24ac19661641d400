"""Messages to articles and back, as `schemas/article.v1.json` and `tagged_article.v1.json` say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from consumer import __version__
from consumer.codec.fields.names import NamesReader
from consumer.codec.fields.paths import PathsReader
from consumer.codec.json_format import JsonFormat
from consumer.codec.output_place import OutputPlace
from consumer.contracts.choices import NoText, SkipReason
from consumer.contracts.messages import (
    Article,
    ModelInfo,
    RawMessage,
    TaggedArticle,
    Tombstone,
    Untagged,
)
from consumer.contracts.ports import MessageFormat
from consumer.settings.paths import is_path

#: Digits after the point of a score; float32 probabilities carry no more than that.
SCORE_DIGITS = 6
_SCORE_STEPS = 10**SCORE_DIGITS


class Codec:
    """Reads and writes the values of messages. Any thread.

    Args:
        text_fields: names and paths of the texts, in the order in which they are tagged.
        id_field: name or path of the id; empty asks for none.
        no_text: what becomes of a message without text.
        output_field: where `entities` and `tagging` go; empty is the top of the message.
        message_format: how messages are spelled; None is JSON.
    """

    def __init__(
        self,
        text_fields: Sequence[str],
        *,
        id_field: str = "id",
        no_text: NoText = NoText.REJECT,
        output_field: str = "",
        message_format: MessageFormat | None = None,
    ) -> None:
        #: Names and paths of the texts.
        self.text_fields = tuple(text_fields)
        place = OutputPlace(output_field)
        # What reads names alone has a JSON Schema decide, which takes JSON alone.
        has_paths = any(map(is_path, (*text_fields, id_field)))
        reader = PathsReader if has_paths or message_format is not None else NamesReader
        self._format = message_format or JsonFormat(place)
        self._reader = reader(text_fields, id_field, no_text, place)
        # Asked for once: there is one call of each for every message.
        self._parse, self._read = self._format.parse, self._reader.read
        self._write = self._format.write
        # Hundreds of messages leave within a millisecond; the same object for all of one model.
        self._tagging: dict[int, tuple[ModelInfo | SkipReason, int, Any]] = {}

    def open(self) -> None:
        """Find out whether what messages are read with is there, as `Deserializer.open`."""
        self._format.open()

    def close(self) -> None:
        """Release what messages were read with."""
        self._format.close()

    def decode(self, raw: RawMessage) -> Article | Untagged | Tombstone:
        """The article that a message holds, or its tombstone.

        Null and empty text fields are left out; of a repeated name the last value counts.

        Raises:
            RejectedMessage: the value is not an article; codes invalid_utf8, invalid_json,
                nested_too_deep, not_an_object, missing_id, empty_id, wrong_type, no_text.
        """
        if raw.value is None:
            return Tombstone(raw)
        return self._read(raw, self._parse(raw.value))

    def without_text(self, raw: RawMessage) -> str:
        """Why a message that `decode` let pass has no text, for a person."""
        return self._reader.without_text(self._parse(raw.value or b"{}"))

    def encode(self, outcome: TaggedArticle | Untagged, tagged_at_ms: int) -> bytes:
        """The article's message with `entities` and `tagging` in their place.

        Args:
            outcome: an article that `decode` gave, with its entities and the model that found them;
                or what passes without.
            tagged_at_ms: when, in milliseconds since the epoch.
        """
        if isinstance(outcome, Untagged):
            tagging = self._tagging_of(outcome.reason, tagged_at_ms)
            return self._write(outcome.article, {"entities": [], "tagging": tagging})
        entities = [
            {
                "field": field,
                "type": kind,
                "text": text,
                "start": start,
                "end": end,
                # Nearest to so many digits, as `round` has it but for ties, in a third of the time.
                "score": int(score * _SCORE_STEPS + 0.5) / _SCORE_STEPS,
            }
            for field, kind, text, start, end, score in outcome.entities
        ]
        tagging = self._tagging_of(outcome.model, tagged_at_ms)
        return self._write(outcome.article, {"entities": entities, "tagging": tagging})

    def _tagging_of(self, source: ModelInfo | SkipReason, at_ms: int) -> Any:
        """What says which model tagged a message, or why none did, and when."""
        # By identity: to hash its fields takes longer than to write them.
        _, last_ms, tagging = self._tagging.get(id(source), (source, -1, None))
        if last_ms != at_ms:
            tagging = self._format.shared(_tagging(source, at_ms))
            self._tagging[id(source)] = (source, at_ms, tagging)
        return tagging


def rfc3339(timestamp_ms: int) -> str:
    """Milliseconds since the epoch as RFC 3339 in UTC, milliseconds kept: `...T06:40:02.318Z`."""
    seconds, milliseconds = divmod(timestamp_ms, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


# The same for a thousand milliseconds; it takes longer to write than an article to be spliced.
@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _tagging(source: ModelInfo | SkipReason, at_ms: int) -> dict[str, str]:
    told = (
        {"skipped": source.value}
        if isinstance(source, SkipReason)
        else {"model": source.name, "revision": source.revision}
    )
    return {**told, "version": __version__, "tagged_at": rfc3339(at_ms)}
