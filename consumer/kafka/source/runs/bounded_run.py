"""BoundedRun: fixes where a run begins and ends, once, and knows when it is over."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.choices import JumpReason
from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import TopicPartition
from consumer.contracts.runs import RunState
from consumer.kafka.client import ClientWatch, passing
from consumer.kafka.errors import error_of, problem
from consumer.kafka.source.assigned import AssignedPartitions
from consumer.kafka.source.member import Member
from consumer.kafka.source.runs.answers import places, result_of
from consumer.kafka.source.runs.group_offsets import GroupOffsets
from consumer.kafka.source.runs.plan import RunPlan
from consumer.kafka.source.runs.removals import Removals
from consumer.kafka.source.stamps import Span, span_in, stamped
from consumer.kafka.source.starts import Starts
from consumer.settings.run_bounds import plain
from consumer.settings.schema import Settings

#: Longest wait, in seconds, for one answer.
_ANSWER_S = 5.0

#: Seconds between two looks at what the group has committed, and between two commits of an end.
_EVERY_S = 1.0

#: What a coordinator answers to an offset from outside of a group that has members: another worker
#: has the plan by now.
_HAS_MEMBERS = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)

_log = logging.getLogger(__name__)


class BoundedRun(Starts):
    """Takes the place of `Starts` in a bounded run. Owned by the poll thread.

    The plan is committed before the group is joined: an offset for each partition of the run, with
    its begin and its end in the text beside it, in one request. Each later commit repeats that
    text. Kafka takes such a commit only while the group has no members. So where several workers
    begin at once, the last commit before the first worker joins decides. All workers read the plan
    again once they are members, and then it is the same for all.

    Args:
        settings: the bounds, the group.
        assigned: told the ends.
        client: gives the admin client to ask with.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        settings: Settings,
        assigned: AssignedPartitions,
        client: Callable[[], Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(settings)
        self._assigned = assigned
        self._client = client
        self._clock = clock
        self._plan: RunPlan | None = None
        self._removals = Removals()
        self._offsets = GroupOffsets(settings)
        self._pending: Future[Mapping[TopicPartition, Any]] | None = None
        self._asked = f"{plain(settings.run_from)}-to-{plain(settings.run_until)}"
        self._asked_at = 0.0
        self._finished_at: dict[TopicPartition, float] = {}

    @property
    def topics(self) -> list[str]:
        """The topics of the run; fixed like its ends."""
        return sorted({one.topic for one in self._plan.spans}) if self._plan else []

    @property
    def is_complete(self) -> bool:
        """Whether the group stands at the end of each partition."""
        return self._plan is not None and self._plan.state().is_complete

    @property
    def spans(self) -> Mapping[TopicPartition, Span]:
        """What the run reads."""
        return self._plan.spans if self._plan else {}

    def spans_at(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, Span]:
        """What a commit of these offsets repeats. Any thread."""
        plan = self._plan
        return plan.spans_at(offsets) if plan else {}

    def state(self) -> RunState | None:
        """How far the run is; None before that is known."""
        return self._plan.state() if self._plan else None

    def look(
        self, entries: Iterable[Collection[TopicPartition]], client: Any, watch: ClientWatch
    ) -> bool:
        """Take the plan of the run, or draw it up where there is none; blocks for some seconds.

        Raises:
            KafkaProblem: there is nothing to read, or the group is another one's.
        """
        partitions = sorted({one for entry in entries for one in entry})
        try:
            if not partitions:
                raise KafkaProblem(
                    "a bounded run reads what is there when it begins, and no topic matches "
                    f"{', '.join(self._settings.input_topics)} (input_topics)"
                )
            self._take(self._committed_offsets(partitions))
            if self._plan is None:
                self._draw_up(partitions)
                self._take(self._committed_offsets(partitions))
        except KafkaException as failed:
            if error_of(failed).code() in _HAS_MEMBERS:
                return False
            if error_of(failed).code() == KafkaError._INVALID_ARG:
                # The client itself refuses the question, and will each time.
                raise problem(
                    "the bounds of the run cannot be asked for", error_of(failed)
                ) from None
            error = passing(failed, client, watch, self._settings)
            _log.debug("the bounds of the run are not known yet: %s", error)
            return False
        if self._plan is None:
            return False
        state = self._plan.state()
        _log.info(
            "bounded run %s: %d partitions, %d of %d offsets done",
            *(self._settings.group_id, len(self._plan.spans), state.done, state.total),
        )
        if state.is_complete and (state.total or state.gone):
            _log.warning(
                "the run %s is complete already; to run the same again, give it another run_group",
                self._settings.group_id,
            )
        return True

    def fix(self, consumer: Any, partitions: Sequence[TopicPartition]) -> None:
        """Read the plan as it is now that this worker is a member, after which it cannot change."""
        del consumer, partitions
        self._take(self._committed_offsets(self.spans))

    def reads(self, partition: TopicPartition) -> bool:
        """Whether the partition is a part of the run; one that was added since is not."""
        return self._plan is not None and partition in self._plan.spans

    def remedy(self, reason: JumpReason) -> str | None:
        if reason is JumpReason.REMOVED:
            return super().remedy(reason)
        return (
            "what the run was to read is gone; begin another run, with a run_group of its own, "
            "if there is anything left to read"
        )

    def removed(self, partition: TopicPartition, start: int, end: int) -> None:
        self._removals.note(partition, start, end)

    def refresh(self) -> None:
        """Ask, when it is time, what the group has committed, and take the answer. Never blocks.

        Raises:
            KafkaProblem: the group has lost the run's place in a partition.
        """
        if self._pending is not None and self._pending.done():
            pending, self._pending = self._pending, None
            try:
                self._take(pending.result())
            except KafkaException as failed:
                _log.debug("how far the run is is not known: %s", failed)
        if self.spans and self._pending is None and self._clock() - self._asked_at >= _EVERY_S:
            self._asked_at = self._clock()
            self._pending = self._offsets.ask(self.spans, _ANSWER_S)

    def finish(self, member: Member, partitions: Sequence[TopicPartition]) -> None:
        """Commit the ends of these partitions, where the group stands before them."""
        plan, now = self._plan, self._clock()
        due = {
            one: plan.spans[one].end
            for one in partitions
            if plan is not None
            and plan.unfinished(one)
            and now - self._finished_at.get(one, -_EVERY_S) >= _EVERY_S
        }
        if not due or plan is None:
            return
        self._finished_at.update(dict.fromkeys(due, now))
        ids = {one: known for one, known in self._assigned.topic_ids().items() if known}
        try:
            member.commit(stamped(due, ids, self._assigned.epochs(), plan.spans_at(due)))
        except KafkaException as failed:
            _log.debug("the ends are not committed yet: %s", failed)

    def close(self) -> None:
        """Release what asks."""
        self._offsets.close()

    def _take(self, found: Mapping[TopicPartition, Any]) -> None:
        """Learn plan and progress from the group's offsets.

        Raises:
            KafkaProblem: they are no run's, or some of them are gone.
        """
        spans = {}
        for one, offset in found.items():
            span = span_in(offset.metadata)
            if span is None:
                raise KafkaProblem(
                    f"the group {self._settings.group_id} has an offset in {one.topic} "
                    f"[{one.partition}] that belongs to no bounded run; give the run a run_group "
                    "of its own"
                )
            if span.asked != self._asked:
                raise KafkaProblem(
                    f"the run {self._settings.group_id} was begun from {span.asked}, and is now "
                    f"asked for from {self._asked}; ask for the same, or give the other run a "
                    "run_group of its own"
                )
            spans[one] = span
        plan = RunPlan(spans, self._removals)
        if self._plan is not None or spans:
            gone = len(self._plan.spans.keys() - spans.keys()) if self._plan else 0
            if gone or plan.missing:
                raise KafkaProblem(
                    f"the run {self._settings.group_id} has lost its place in "
                    f"{max(gone, plan.missing)} partitions: a topic was deleted, or its offsets "
                    "were; begin another run, with a run_group of its own"
                )
            plan.note({one: offset.offset for one, offset in found.items()})
            self._plan = plan
            self._assigned.bound(plan.ends)

    def _draw_up(self, partitions: Sequence[TopicPartition]) -> None:
        """Fix begin and end of each partition by a commit."""
        settings = self._settings
        ids = self.topic_ids({one.topic for one in partitions})
        found = places(self._client(), partitions, settings.run_from, settings.run_until, _ANSWER_S)
        spans = {one: found[one].span(len(partitions), self._asked) for one in partitions}
        offsets = {one: span.start for one, span in spans.items()}
        known = {one: ids[one.topic] for one in partitions if one.topic in ids}
        self._offsets.commit(stamped(offsets, known, {}, spans))
        for one, span in spans.items():
            _log.info(
                "the run reads %s [%s] from offset %d to %d",
                *(one.topic, one.partition, span.start, span.end),
            )

    def _committed_offsets(
        self, partitions: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, Any]:
        # Longer than the question takes, which itself ends in time.
        return result_of(self._offsets.ask(partitions, _ANSWER_S), 2 * _ANSWER_S)
