"""KafkaSource: reads the input topics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from consumer.contracts.choices import GroupProtocol
from consumer.contracts.errors import AbortableError
from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.contracts.runs import RunState
from consumer.kafka.client import ASKING_PROPERTIES, await_topics, make_client
from consumer.kafka.security.access import require_topics
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.end_offsets import EndOffsets
from consumer.kafka.source.joining import Joining
from consumer.kafka.source.member import Member
from consumer.kafka.source.owner_calls import OwnerCalls
from consumer.kafka.source.properties import session_s
from consumer.kafka.source.reading import Reading
from consumer.kafka.source.rebalance import Listener, client_partitions
from consumer.kafka.source.runs.bounded_run import BoundedRun
from consumer.kafka.source.stamps import Span
from consumer.kafka.source.starts import Starts
from consumer.kafka.source.topics.input_topics import InputTopics
from consumer.kafka.source.topics.topic_ids import TopicIds
from consumer.kafka.source.topics.topic_watch import TopicWatch
from consumer.kafka.source.topics.vouching import Vouching
from consumer.kafka.source.unassigned.group_view import look_at_group
from consumer.kafka.source.unassigned.unassigned import Unassigned
from consumer.settings.schema import Settings

_log = logging.getLogger(__name__)

#: Longest wait, in seconds, for the group to take the partitions back on `close`.
_LEAVE_TIMEOUT_S = 10.0

#: Longest wait, in seconds, for the group's offsets.
_COMMITTED_TIMEOUT_S = 20.0

#: Seconds at most between two calls of `poll` that count as polling.
_POLL_S = 1.0

#: Seconds until a group without a coordinator is asked again.
_ASK_AGAIN_S = 1.0

#: Seconds between two looks for the answer to a commit while nothing is read.
_ANSWER_S = 0.001


class KafkaSource:
    """`consumer.contracts.ports.Source` on Kafka; its docstrings are the contract.

    A message carries the assignment number that its partition has when the client hands it out. So
    a message from before a rebalance or a rewind cannot carry a number from after it.

    Args:
        settings: the brokers, the topics, the group.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._owner_calls = OwnerCalls()
        self._ends: EndOffsets | None = None
        self._assigned = AssignedPartitions()
        self._topics = InputTopics(settings)
        self._run = self._run_of(settings)
        self._starts: Starts = self._run or Starts(settings)
        self._listener: Listener | None = None
        self._watch: TopicWatch | None = None
        self._reading: Reading | None = None
        self._polled_at = 0.0
        # The entries of `input_topics`, until it is known which the group has begun with.
        self._entries: list[tuple[TopicPartition, ...]] | None = None
        self._ask_at = 0.0
        self._joining = Joining(settings)
        self._unassigned: Unassigned | None = None

    def open(self, listener: Listener) -> None:
        settings = self._settings
        self._owner_calls.own()
        self._listener = listener
        member = self._join(Member(settings, self._assigned, listener, self._starts))
        self._ends = EndOffsets(
            lambda watch: make_client(AdminClient, settings, watch, ASKING_PROPERTIES, {})
        )
        self._await_topics()
        ends = self._ends
        require_topics(ends.client, settings, self._topics.named)
        ids = TopicIds(lambda: ends.client)
        self._watch = TopicWatch(settings, self._assigned, self._starts, ids)
        self._watch.begin()
        # Under the consumer protocol the brokers share out the partitions, and know each topic.
        if self._watch.works and settings.group_protocol is GroupProtocol.CLASSIC:
            self._unassigned = Unassigned(
                settings.group_id,
                settings.revoke_timeout_s,
                lambda topics: look_at_group(ends.client, settings.group_id, topics),
            )
        self._starts.topic_ids = self._watch.ids_now
        self._entries = self._topics.entries(member.consumer, member.watch)
        self._polled_at = time.monotonic()
        self._joining.look(member.watch, False)
        self._subscribe()

    def poll(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        self._require_life()
        self._watching.step(self._joined, self._heard_by)
        self._read.rewind()
        self._joined.rebalance.settle(self._joined.consumer)
        if self._run is not None:
            self._run.refresh()
        elif self._topics.refresh(self._joined.consumer):
            self._subscribe()
        if self._entries is not None:
            self._subscribe()
        assigned = self._assigned.numbers()
        self._joining.look(self._joined.watch, bool(assigned))
        self._mind_unassigned()
        if self._ends is not None:
            self._ends.refresh(assigned)
        taken = self._read.poll(max_messages, timeout_s)
        if taken and self._watching.is_stale:
            self._watching.make_sure(self._joined, self._heard_by)
            taken = [raw for raw in taken if self._assigned.is_current(raw)]
        return taken

    def obstacle(self) -> str:
        return "; ".join(self._topics.missing()) or self._joining.reason

    def pause(self) -> None:
        self._set_paused(True)

    def resume(self) -> None:
        self._set_paused(False)

    def rewind(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        now = time.monotonic()
        asked = {one: self._assigned.rewind(one, offset, now) for one, offset in offsets.items()}
        self._read.rewind()
        return {one: number for one, number in asked.items() if number is not None}

    def assignments(self) -> Mapping[TopicPartition, int]:
        """As the protocol says; any thread may call it."""
        return self._assigned.numbers()

    def serve(self, wait_s: float = 0.0) -> None:
        """As the protocol says."""
        reading = self._reading
        if reading is not None and reading.member.awaits_answers:
            wait_s = min(wait_s, _ANSWER_S)
        self._owner_calls.serve(wait_s)
        if reading is not None and reading.member.awaits_answers:
            reading.hear()

    def group_metadata(self) -> object:
        return self._owner_calls.run(lambda: self._joined.consumer.consumer_group_metadata())

    def output_ids(self) -> Mapping[str, str]:
        """The ids of the topics that are written, by name, as far as brokers tell them. Any
        thread."""
        watch = self._watch
        return {} if watch is None else watch.output_ids()

    def vouch(
        self,
        offsets: Mapping[TopicPartition, int],
        output_ids: Mapping[str, str] = MappingProxyType({}),
    ) -> Vouching:
        """Begin to make sure that offsets to commit belong to the topics as they are now. Any
        thread; call it before asking whether the partitions are still owned.

        Args:
            output_ids: of the topics that were written, as they were before the first message.

        Raises:
            AbortableError: what the group has committed is not known.
        """
        watch = self._watch
        if watch is None or not watch.works:
            return Vouching(watch, offsets, {}, {}, spans=self._spans_at(offsets))
        if unknown := offsets.keys() & set(self._assigned.unvouched()):
            self._owner_calls.run(lambda: watch.look_up(self._joined, unknown))
            if unknown & set(self._assigned.unvouched()):
                raise AbortableError("the group's offsets are not known")
        ids, epochs = self._assigned.topic_ids(), self._assigned.epochs_of(offsets)
        return Vouching(watch, offsets, ids, epochs, output_ids, self._spans_at(offsets))

    def commit(self, asked: list[Any]) -> None:
        """Commit offsets outside of a transaction. Any thread. Blocks until the answer, which comes
        while the source is polled or served.

        Args:
            asked: the client's partitions.

        Raises:
            KafkaException: as the client says, for the sink to judge.
            AbortableError: the source is closed, or no answer came.
        """
        commit = self._owner_calls.run(lambda: self._joined.commit(asked))
        if self._owner_calls.is_owner:
            # Nobody else polls meanwhile.
            self._joined.insist()
        # By then the group has given the partitions away in any case.
        commit.wait(session_s(self._settings))

    def committed(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The group's committed offsets; below 0 where there is none. Any thread. Blocks until the
        answer, which waits for open transactions that hold some of them.

        Raises:
            KafkaException: as the client says.
            AbortableError: the source is closed.
        """
        asked = client_partitions(partitions)
        answers = self._owner_calls.run(
            lambda: self._joined.consumer.committed(asked, _COMMITTED_TIMEOUT_S)
        )
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)
        return {TopicPartition(one.topic, one.partition): one.offset for one in answers}

    def end_offsets(self) -> Mapping[TopicPartition, int]:
        return self._assigned.end_offsets({} if self._ends is None else self._ends.last_stable())

    def high_watermarks(self) -> Mapping[TopicPartition, int]:
        return self._assigned.end_offsets(
            {} if self._ends is None else self._ends.high_watermarks()
        )

    def last_stable(self) -> Mapping[TopicPartition, int]:
        return {} if self._ends is None else self._ends.last_stable()

    def group_offsets(self) -> Mapping[TopicPartition, int]:
        return self._assigned.group_offsets()

    def read_offsets(self) -> Mapping[TopicPartition, int]:
        reads = self._assigned.read_offsets()
        early = self._reading.early if self._reading is not None else frozenset()
        return {one: read for one, read in reads.items() if one not in early} if early else reads

    def run_ends(self) -> Mapping[TopicPartition, int]:
        ends, numbers = self._assigned.ends, self._assigned.numbers()
        return {one: ends[one] for one in numbers if one in ends}

    def finish(self, partitions: Sequence[TopicPartition]) -> None:
        if self._run is not None:
            self._run.finish(self._joined, partitions)

    def run_state(self) -> RunState | None:
        return self._run.state() if self._run is not None else None

    def troubles(self) -> Sequence[str]:
        """As the protocol says; any thread may call it."""
        troubles = self._watch.troubles() if self._watch is not None else []
        return troubles + (self._unassigned.troubles() if self._unassigned is not None else [])

    def close(self) -> None:
        if self._reading is None:
            return
        member = self._reading.member
        if member.is_hung:
            self._owner_calls.close()
            self._ends = self._reading = None
            return
        # The callbacks of leaving run here, while a last commit can still be made. A static
        # member keeps its partitions for its return, and leaves only by its session timeout.
        if not self._settings.kafka.get("group.instance.id") and member.watch.fatal is None:
            self._give_back(member.consumer.poll)
        self._owner_calls.close()
        self._ends = self._reading = None
        member.leave()
        if self._run is not None:
            self._run.close()

    def _spans_at(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, Span]:
        return self._run.spans_at(offsets) if self._run is not None else {}

    def _run_of(self, settings: Settings) -> BoundedRun | None:
        if not settings.is_bounded:
            return None

        def client() -> AdminClient:
            assert self._ends is not None, "the source is open"
            return self._ends.client

        return BoundedRun(settings, self._assigned, client)

    @property
    def _watching(self) -> TopicWatch:
        assert self._watch is not None, "the source is open"
        return self._watch

    @property
    def _heard_by(self) -> Listener:
        assert self._listener is not None, "the source is open"
        return self._listener

    @property
    def _joined(self) -> Member:
        return self._read.member

    @property
    def _read(self) -> Reading:
        assert self._reading is not None, "the source is open"
        return self._reading

    def _join(self, member: Member) -> Member:
        self._reading = Reading(member, self._assigned, self._owner_calls)
        return member

    def _require_life(self) -> None:
        """Make sure that the consumer can still hear of the group; replace it if not."""
        now = time.monotonic()
        # Time that was spent in a callback does not count as polling.
        self._joined.require_life(min(now - self._polled_at, _POLL_S))
        self._polled_at = now
        self._joined.watch.renew(self._joined.consumer)
        if self._joined.is_lost:
            _log.warning("the consumer has forgotten all brokers; a new one joins the group")
            self._replace_member()

    def _mind_unassigned(self) -> None:
        """Have the group share out its partitions anew where it left some of them to nobody."""
        if self._unassigned is None:
            return
        sign = self._assigned.shares, self._watching.turns
        is_whole = self._entries is None and not self._watching.lacks_input
        topics = self._asked_for() if is_whole else ()
        if self._unassigned.step(sign, topics, self._joined.consumer.memberid):
            _log.warning("this worker leaves group %s and joins it again", self._settings.group_id)
            reading = self._read
            self._give_back(lambda wait_s: reading.called(reading.member.consumer.poll, wait_s))
            self._replace_member()
            self._heard_by.on_rejoined()

    def _give_back(self, poll: Callable[[float], object]) -> None:
        """Leave the group, with a last commit of what is finished. Also a static member, which
        otherwise leaves by its session timeout alone."""
        self._joined.consumer.unsubscribe()
        deadline = time.monotonic() + _LEAVE_TIMEOUT_S
        while self._assigned.numbers() and time.monotonic() < deadline:
            poll(0.05)

    def _replace_member(self) -> None:
        """A new consumer joins the group in the place of this one."""
        lost = self._joined
        # This comes first, so that none of its partitions is taken for one of the new member.
        lost.retire()
        paused = lost.rebalance.paused
        member = Member(self._settings, self._assigned, self._heard_by, self._starts, paused)
        self._join(member)
        self._subscribe()

    def _subscribe(self) -> None:
        """Join the group, or tell it of other topics.

        This waits while the group has no coordinator, since nobody can say then whether the group
        has begun.
        """
        member = self._joined
        if self._entries is not None:
            if time.monotonic() < self._ask_at:
                return
            if not self._starts.look(self._entries, member.consumer, member.watch):
                self._ask_at = time.monotonic() + _ASK_AGAIN_S
                return
            self._entries = None
        if topics := self._asked_for():
            member.subscribe(topics)
        elif self._run is None:
            member.subscribe([])

    def _asked_for(self) -> list[str]:
        """The topics to read; none of a bounded run that is complete."""
        if self._run is None:
            return self._topics.names
        return [] if self._run.is_complete else list(self._run.topics)

    def _set_paused(self, paused: bool) -> None:
        if self._reading is None or self._joined.rebalance.paused == paused:
            return
        self._joined.rebalance.paused = paused
        consumer = self._joined.consumer
        if asked := client_partitions(self._assigned.numbers()):
            (consumer.pause if paused else consumer.resume)(asked)

    def _await_topics(self) -> None:
        member = self._joined
        await_topics(member.consumer, member.watch, self._settings, self._topics.named)
