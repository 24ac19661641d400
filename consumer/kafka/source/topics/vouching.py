"""Vouching: makes sure that offsets to commit belong to the topics as they are now."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from consumer.contracts.errors import AbortableError
from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.stamps import Span, stamped
from consumer.kafka.source.topics.topic_watch import ANSWER_S, TopicWatch


class Vouching:
    """Asks the brokers once more for the topics of one commit, after its messages were read.

    Between two looks of the watch a topic may have been made again, with messages at the offsets
    that were to be read next. These may not be committed as if they followed the others. Nor may
    what was written to an output topic that was made again meanwhile count as written.

    Args:
        watch: knows the topics.
        offsets: to be committed.
        ids: of the topics that they belong to, where known.
        epochs: of the leaders of what was read before them, where known.
        output_ids: of the topics that were written, as they were before the first message.
        spans: of a bounded run.
    """

    def __init__(
        self,
        watch: TopicWatch | None,
        offsets: Mapping[TopicPartition, int],
        ids: Mapping[TopicPartition, str | None],
        epochs: Mapping[TopicPartition, int],
        output_ids: Mapping[str, str] = MappingProxyType({}),
        spans: Mapping[TopicPartition, Span] | None = None,
    ) -> None:
        self._watch = watch
        own_ids = {one: known for one in offsets if (known := ids.get(one))}
        self._ids = {**output_ids, **{one.topic: known for one, known in own_ids.items()}}
        #: The client's partitions with the offsets, stamped.
        self.offsets: list[Any] = stamped(offsets, own_ids, epochs, spans)
        asks = watch is not None and watch.answers and self._ids
        self._question = watch.ask(self._ids) if watch and asks else None

    def require(self) -> None:
        """Wait for the answer, a second at most. Brokers that do not answer hold up no commit; the
        stamps then tell later.

        Raises:
            AbortableError: a topic is another one by now, or gone.
        """
        if self._question is None or self._watch is None:
            return
        answer = self._question.answer(ANSWER_S)
        if answer is None:
            self._watch.answers = False
            self._watch.hint()
            return
        if others := self._watch.others(self._ids, answer):
            self._watch.hint()
            raise AbortableError(
                f"the topic {', '.join(others)} was deleted, or deleted and made again"
            )
