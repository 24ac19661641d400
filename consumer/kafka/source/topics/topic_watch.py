"""TopicWatch: watches whether a topic that is read was deleted and made again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from confluent_kafka import KafkaException

from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.member import Member
from consumer.kafka.source.rebalance import Listener, client_partitions
from consumer.kafka.source.stamps import topic_id_in
from consumer.kafka.source.starts import Starts
from consumer.kafka.source.topics.restarts import Restarts
from consumer.kafka.source.topics.topic_ids import Question, TopicIds
from consumer.settings.schema import Settings
from consumer.settings.topic_patterns import is_pattern

#: Seconds between two questions for the ids where nothing hints at a change.
INTERVAL_S = 5.0

#: The same where something does, or a topic is gone.
SOON_S = 0.5

#: Seconds for which an answer holds while messages come. A client that hears that its topic is gone
#: waits half a second (`fetch.error.backoff.ms`) before it reads another one of that name.
_FRESH_S = 0.4

#: Seconds in which brokers answer that can; longer waits would hold up the group.
ANSWER_S = 1.0

#: The same for the group's offsets while other partitions are read. Brokers do not tell an offset
#: before the transaction that holds it has ended.
_PEEK_S = 0.2

_log = logging.getLogger(__name__)


class TopicWatch:
    """Compares the id of each topic that is read with the id that its offsets belong to.

    An offset belongs to the topic whose id is stamped on it. One without a stamp belongs to the
    topic that is there when the partition is first looked at. Owned by the poll thread; a method
    for any thread says so.

    Args:
        settings: the topics, and what to do about a place that is gone.
        assigned: keeps the id of each partition.
        starts: fixes where a topic that was made again begins.
        ids: asks the brokers.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        settings: Settings,
        assigned: AssignedPartitions,
        starts: Starts,
        ids: TopicIds,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outputs = {
            settings.output_topic: "output_topic",
            settings.dead_letter_topic: "dead_letter_topic",
        }
        named = [one for one in settings.input_topics if not is_pattern(one)]
        # The setting of each topic that must be there.
        self._named = {**self._outputs, **dict.fromkeys(named, "input_topics")}
        self._assigned = assigned
        self._ids = ids
        self._clock = clock
        self._restarts = Restarts(settings, assigned, starts)
        self._question: Question | None = None
        self._asked_at = self._known_at = -INTERVAL_S
        self._look_up_at = 0.0
        self._hinted = False
        self._newest: dict[str, str] = {}
        # Ids that were replaced; a broker that is behind may still tell one.
        self._past: set[str] = set()
        self._missing: frozenset[str] = frozenset()
        # Whether a stamp names a topic that no answer has named since.
        self._doubts = False
        #: Rises whenever a topic goes, comes back, or is another one.
        self.turns = 0
        #: Whether these brokers tell ids at all.
        self.works = False
        #: Whether they answer at the moment; nobody waits for brokers that do not.
        self.answers = False

    def begin(self) -> None:
        """Find out whether the brokers tell ids; blocks for a second or two at most."""
        self.works = self._ids.find_who_tells(ANSWER_S)
        if self.works:
            self._ask()
            self._hear(ANSWER_S)

    def ids_now(self, topics: Collection[str]) -> Mapping[str, str]:
        """The ids of these topics, by name. Blocks a second at most; where no answer comes, the ids
        are those that were told last."""
        answer = self._ids.ask(topics).answer(ANSWER_S) if self.works and topics else None
        if answer is not None:
            self._learn(answer)
        return {one: known for one, known in self._newest.items() if one in topics}

    def output_ids(self) -> Mapping[str, str]:
        """The ids of the topics that are written, as they were told last. Any thread."""
        return {one: known for one in self._outputs if (known := self._newest.get(one))}

    def troubles(self) -> list[str]:
        """What waits for a person. Any thread."""
        return [
            f"the topic {one} ({by}) is gone; create it, or take it out of the settings"
            for one, by in sorted(self._named.items())
            if one in self._missing
        ]

    @property
    def lacks_input(self) -> bool:
        """Whether a topic that is read is gone."""
        return not self._missing <= self._outputs.keys()

    def hint(self) -> None:
        """Something looks as if a topic had changed. Any thread."""
        self._hinted = True

    def step(self, member: Member, listener: Listener) -> None:
        """Look, and read anew what has changed. Blocks only where something has changed.

        Raises:
            KafkaProblem: a place in a topic is gone, and `auto_offset_reset` is `error`.
        """
        outside = member.intake.outside
        if self.works:
            self._hinted |= member.intake.take_hint()
            unvouched = self._assigned.unvouched()
            if unvouched and self._clock() >= self._look_up_at:
                self.look_up(member, unvouched, _PEEK_S)
            if outside:
                # What the topic is comes first: a place in another one says nothing.
                self._ask()
                self._hear(ANSWER_S if self.answers else 0.0)
            elif self._question is not None:
                self._hear(0.0)
            self._restarts.begin_anew(member, listener, self._changed())
            if self._question is None and self._is_due():
                self._ask()
        if outside:
            self._restarts.go_on(member, listener)

    @property
    def is_stale(self) -> bool:
        """Whether to make sure, before messages that have come are handed on."""
        return self.answers and self._clock() - self._known_at > _FRESH_S

    def make_sure(self, member: Member, listener: Listener) -> None:
        """As `step`, by what the brokers say now; blocks until they do, a second at most.

        Raises:
            KafkaProblem: as `step`.
        """
        self._ask()
        self._hear(ANSWER_S)
        self._restarts.begin_anew(member, listener, self._changed())

    def look_up(
        self, member: Member, partitions: Iterable[TopicPartition], timeout_s: float = ANSWER_S
    ) -> None:
        """Learn to which topics the committed offsets of these belong."""
        try:
            found = member.consumer.committed(client_partitions(partitions), timeout_s)
        except KafkaException as failed:
            # One of them may stand in a transaction that has not ended.
            _log.debug("the group's offsets are not known: %s", failed)
            self._look_up_at = self._clock() + ANSWER_S
            return
        for one in found:
            if one.error is None:
                self._assigned.begun(TopicPartition(one.topic, one.partition), one.offset)
                stamp = topic_id_in(one.metadata) if one.offset >= 0 else None
                # Kafka forgets the offsets in a topic that is deleted; this worker does not.
                known = self._assigned.last_topic_id(one.topic) if one.offset < 0 else stamp
                self._assigned.vouch(TopicPartition(one.topic, one.partition), known)
                newest = self._newest.get(one.topic)
                self._doubts |= None not in (known, newest) and known not in {newest, *self._past}
        self._hinted = True
        if self._doubts:
            # Of a topic that is gone, or of one that another worker has heard of first.
            self._ask()
            self._hear(ANSWER_S if self.answers else 0.0)

    def ask(self, topics: Iterable[str]) -> Question:
        """A question beside those of the watch itself. Any thread."""
        return self._ids.ask(set(topics))

    def others(self, ids: Mapping[str, str], answer: Mapping[str, str]) -> list[str]:
        """Topics that are gone or others than those of these ids, by this answer. Any thread."""
        return [
            one
            for one, known in sorted(ids.items())
            if (now := answer.get(one)) != known and now != "" and now not in self._past
        ]

    def _is_due(self) -> bool:
        interval_s = SOON_S if self._hinted or self._missing or not self.answers else INTERVAL_S
        return self._clock() - self._asked_at >= interval_s

    def _ask(self) -> None:
        topics = self._named.keys() | {one.topic for one in self._assigned.numbers()}
        self._asked_at, self._hinted = self._clock(), False
        self._question = self._ids.ask(topics)

    def _hear(self, wait_s: float) -> None:
        """Take the answer to the question under way, if it comes within so long."""
        assert self._question is not None
        question = self._question
        answer = question.answer(wait_s)
        if answer is not None:
            self._question = None
            self.answers, self._known_at, self._doubts = True, self._asked_at, False
            self._note(question.topics, answer)
            return
        if question.done:
            self._question = None
        if self._clock() - self._asked_at < ANSWER_S:
            return
        if self.answers:
            _log.warning("the brokers do not tell the ids of the topics; asking on")
        self.answers = False
        self._ids.find_who_tells(SOON_S)

    def _note(self, asked: frozenset[str], answer: Mapping[str, str]) -> None:
        # The sink looks for its own topics as it opens; here they can only go.
        awaited = self._newest.keys() | (asked - self._outputs.keys())
        missing = awaited & (asked - answer.keys())
        self.turns += missing != self._missing
        for topic in sorted(missing - self._missing):
            _log.warning("the topic %s is gone; it is waited for", topic)
        for topic in sorted(self._missing & answer.keys()):
            _log.warning("the topic %s is there again", topic)
        self._missing = frozenset(missing)
        self._learn(answer)

    def _learn(self, answer: Mapping[str, str]) -> None:
        for topic, topic_id in answer.items():
            if topic_id and topic_id not in self._past:
                if (before := self._newest.get(topic, topic_id)) != topic_id:
                    self._past.add(before)
                    self.turns += 1
                self._newest[topic] = topic_id

    def _changed(self) -> dict[TopicPartition, str]:
        """Partitions whose topic is another one now, with its id."""
        changed = {}
        for one, known in self._assigned.topic_ids().items():
            now = self._newest.get(one.topic)
            if now is not None and known is None:
                self._assigned.vouch(one, now)
            elif (
                now is not None and known != now and not (self._doubts and known not in self._past)
            ):
                changed[one] = now
        return changed
