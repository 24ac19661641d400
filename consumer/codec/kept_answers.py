"""KeptAnswers: lets messages pass as they are that a model of this worker has tagged before."""

from __future__ import annotations

from collections.abc import Sequence

from consumer.codec.article_codec import Codec
from consumer.contracts.messages import (
    Article,
    ModelInfo,
    RawMessage,
    TaggedArticle,
    Tombstone,
    Unchanged,
    Untagged,
)


class KeptAnswers:
    """A codec (`consumer.contracts.ports.Codec`) for a topic in which some articles are tagged.

    Args:
        codec: reads and writes what is to be tagged.
        models: those whose answers are kept, told by name and revision.
    """

    def __init__(self, codec: Codec, models: Sequence[ModelInfo]) -> None:
        self._codec = codec
        self._models = frozenset((one.name, one.revision) for one in models)
        # Every format has these bytes in it where it says the revision; most messages of another
        # one are told apart by them, so that few are read twice.
        revisions = [one.revision for one in models]
        plain = all(revision.isascii() and revision.isalnum() for revision in revisions)
        self._hints = tuple(revision.encode() for revision in revisions) if plain else (b"",)

    def open(self) -> None:
        """As `Deserializer.open`."""
        self._codec.open()

    def decode(self, raw: RawMessage) -> Article | Untagged | Unchanged | Tombstone:
        """As `Deserializer.decode`; `Unchanged` where one of the models has tagged the message."""
        value = raw.value
        if value is not None and any(hint in value for hint in self._hints):
            tagging = self._codec.tagging_in(value)
            if (tagging.get("model"), tagging.get("revision")) in self._models:
                return Unchanged(raw)
        return self._codec.decode(raw)

    def close(self) -> None:
        """As `Deserializer.close`."""
        self._codec.close()

    def encode(self, outcome: TaggedArticle | Untagged, tagged_at_ms: int) -> bytes:
        """As `Serializer.encode`."""
        return self._codec.encode(outcome, tagged_at_ms)
