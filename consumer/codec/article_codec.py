"""Messages to articles and back, as `schemas/article.v1.json` and `tagged_article.v1.json` say."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from consumer import __version__
from consumer.codec.fields.names import NamesReader
from consumer.codec.fields.paths import PathsReader
from consumer.codec.grouping import group_names
from consumer.codec.json_format import JsonFormat
from consumer.codec.language import LanguageStep
from consumer.codec.output_place import RESERVED_FIELDS, RESERVED_WITH_NAMES, OutputPlace
from consumer.codec.registry.framing import with_header_told
from consumer.codec.text.formats import field_readers
from consumer.contracts.choices import NoText, SkipReason
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import (
    Article,
    Entity,
    ModelInfo,
    RawMessage,
    TaggedArticle,
    TextField,
    Tombstone,
    Untagged,
)
from consumer.contracts.ports import MessageFormat
from consumer.settings.paths import is_path

#: Digits after the point of a score; float32 probabilities carry no more than that.
SCORE_DIGITS = 6
_SCORE_STEPS = 10**SCORE_DIGITS

#: Models and languages whose `tagging` is kept for the messages of one millisecond.
_KEPT_TAGGINGS = 256


class Codec:
    """Reads and writes the values of messages. Any thread.

    Args:
        text_fields: names and paths of the texts, in the order in which they are tagged.
        id_field: name or path of the id; empty asks for none.
        no_text: what becomes of a message without text.
        output_field: where `entities` and `tagging` go; empty is the top of the message.
        message_format: how messages are spelled; None is JSON.
        text_format: what the texts are, for all (`html`) or each (`body=html`).
        text_format_field: name of the member beside a text that holds its media type.
        language: says of what language an article is, and whether it is tagged; None does not ask.
        people: the types of people, where the names of an article are listed; None lists none.
    """

    def __init__(
        self,
        text_fields: Sequence[str],
        *,
        id_field: str = "id",
        no_text: NoText = NoText.REJECT,
        output_field: str = "",
        message_format: MessageFormat | None = None,
        text_format: Sequence[str] = (),
        text_format_field: str = "",
        language: LanguageStep | None = None,
        people: Collection[str] | None = None,
    ) -> None:
        #: Names and paths of the texts.
        self.text_fields = tuple(text_fields)
        written = RESERVED_FIELDS if people is None else RESERVED_WITH_NAMES
        place = OutputPlace(output_field, written)
        # What reads names alone has a JSON Schema decide, which takes JSON alone.
        has_paths = any(map(is_path, (*text_fields, id_field)))
        reader = PathsReader if has_paths or message_format is not None else NamesReader
        self._place = place
        self._format = message_format or JsonFormat(place)
        readers = field_readers(text_format, text_format_field, text_fields)
        self._reader = reader(text_fields, id_field, no_text, place, readers)
        self._language = language
        self._people = people
        # Asked for once: there is one call of each for every message.
        self._parse, self._read = self._format.parse, self._reader.read
        self._write = self._format.write
        # Hundreds of messages leave within a millisecond; the same object for all of one model.
        self._tagging: dict[int | tuple[int, str], tuple[ModelInfo | SkipReason, int, Any]] = {}

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
        try:
            document = self._parse(raw.value)
        except RejectedMessage as fault:
            raise with_header_told(fault, raw.headers) from fault.__cause__
        article = self._read(raw, document)
        return article if self._language is None else self._language(article, document)

    def tagging_in(self, value: bytes) -> Mapping[str, Any]:
        """What `tagging` says in a message that was tagged before; empty where it has none.

        Raises:
            RejectedMessage: the message cannot be read.
        """
        return self._place.tagging(self._parse(value))

    def told_in(self, value: bytes) -> Mapping[str, Any]:
        """What `tagging` says in an output, also in one that no model read; empty where there is
        none.

        Raises:
            RejectedMessage: the message cannot be read.
        """
        return self._place.told(self._parse(value))

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
        article = outcome.article
        if isinstance(outcome, Untagged):
            tagging = self._tagging_of(outcome.reason, tagged_at_ms, article.language)
            return self._written(article, (), [], tagging)
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
        tagging = self._tagging_of(outcome.model, tagged_at_ms, article.language)
        if self._people is None:
            return self._write(article, {"entities": entities, "tagging": tagging})
        return self._written(article, outcome.entities, entities, tagging)

    def _written(
        self, article: Article, found: Sequence[Entity], entities: list[Any], tagging: Any
    ) -> bytes:
        """The message with its additions; with the names of the article where they are listed."""
        additions: dict[str, Any] = {"entities": entities}
        if self._people is not None:
            additions["names"] = [
                {
                    "type": name.type,
                    "text": name.text,
                    "count": len(name.mentions),
                    "mentions": list(name.mentions),
                }
                for name in group_names(found, _between(article.fields), self._people)
            ]
        additions["tagging"] = tagging
        return self._write(article, additions)

    def _tagging_of(self, source: ModelInfo | SkipReason, at_ms: int, language: str) -> Any:
        """What says which model tagged a message, or why none did, and when."""
        # By identity: to hash its fields takes longer than to write them.
        key = (id(source), language) if language else id(source)
        _, last_ms, tagging = self._tagging.get(key, (source, -1, None))
        if last_ms != at_ms:
            if len(self._tagging) >= _KEPT_TAGGINGS:
                # Languages are what messages say; there may be any number of them.
                self._tagging.clear()
            tagging = self._format.shared(_tagging(source, at_ms, language))
            self._tagging[key] = (source, at_ms, tagging)
        return tagging


def rfc3339(timestamp_ms: int) -> str:
    """Milliseconds since the epoch as RFC 3339 in UTC, milliseconds kept: `...T06:40:02.318Z`."""
    seconds, milliseconds = divmod(timestamp_ms, 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


# The same for a thousand milliseconds; it takes longer to write than an article to be spliced.
@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _between(fields: Sequence[TextField]) -> Callable[[str, int, int], str]:
    """Gives the text between two places of a field as it came in."""
    by_name = {field.name: field for field in fields}

    def between(name: str, start: int, end: int) -> str:
        _, text, source = by_name[name]
        return text[start:end] if source is None else source.read(start, end)

    return between


def _tagging(source: ModelInfo | SkipReason, at_ms: int, language: str) -> dict[str, str]:
    told = (
        {"skipped": source.value}
        if isinstance(source, SkipReason)
        else {"model": source.name, "revision": source.revision}
    )
    if language:
        told["language"] = language
    return {**told, "version": __version__, "tagged_at": rfc3339(at_ms)}
