"""OffsetTracker: a committed offset never passes a message without an outcome."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.contracts.choices import ReleaseReason
from consumer.contracts.messages import RawMessage, TopicPartition
from consumer.pipeline.bookkeeping.offsets import OffsetTracker, Rewind
from consumer.pipeline.bookkeeping.ownership import Finished
from tests.support.fakes import P0, P1, raw


def tracker(*partitions: TopicPartition) -> OffsetTracker:
    one = OffsetTracker()
    one.assign(dict.fromkeys(partitions or (P0,), 1))
    return one


def test_pending_is_the_last_resolved_offset_plus_one() -> None:
    offsets = tracker(P0, P1)
    assert offsets.pending() == {}
    for offset in (3, 4, 5):
        offsets.resolve(raw(offset))
    offsets.resolve(raw(9, partition=P1))
    assert offsets.pending() == {P0: 6, P1: 10}
    assert offsets.pending_assignments() == {P0: 1, P1: 1}
    offsets.committed()
    assert offsets.pending() == {}
    assert offsets.pending_assignments() == {}
    offsets.resolve(raw(6))
    assert offsets.pending() == {P0: 7}


def test_gaps_of_compaction_and_markers_are_passed() -> None:
    offsets = tracker()
    for offset in (0, 7, 100):
        offsets.resolve(raw(offset))
    assert offsets.pending() == {P0: 101}


def test_an_offset_that_no_message_moves_may_pass_what_is_resolved() -> None:
    offsets = tracker()
    assert offsets.may_pass(P0, Finished(3, 1))
    offsets.resolve(raw(4))
    assert not offsets.may_pass(P0, Finished(3, 1)), "it would go backwards"
    assert not offsets.may_pass(P0, Finished(6, 1)), "the message is not committed"
    offsets.committed()
    assert offsets.may_pass(P0, Finished(6, 1))
    assert not offsets.may_pass(P0, Finished(4, 1))


def test_no_offset_passes_for_another_assignment() -> None:
    offsets = tracker()
    assert not offsets.may_pass(P1, Finished(3, 1))
    assert not offsets.may_pass(P0, Finished(3, 0))
    offsets.resolve(raw(4))
    offsets.aborted()
    assert not offsets.may_pass(P0, Finished(6, 1)), "it is read again"
    offsets.assign({P0: 2})
    assert not offsets.may_pass(P0, Finished(6, 1))
    assert offsets.may_pass(P0, Finished(6, 2))
    offsets.revoke([P0])
    assert not offsets.may_pass(P0, Finished(6, 2))


@pytest.mark.parametrize("offset", [4, 5])
def test_an_offset_out_of_order_is_a_defect(offset: int) -> None:
    offsets = tracker()
    offsets.resolve(raw(5))
    offsets.committed()
    with pytest.raises(RuntimeError, match=f"out of order: {offset} after 5"):
        offsets.resolve(raw(offset))


def test_only_the_current_assignment_is_accepted() -> None:
    offsets = tracker()
    assert offsets.accepts(raw(0, assignment=1))
    assert not offsets.accepts(raw(0, assignment=0))
    offsets.assign({P0: 2})
    assert not offsets.accepts(raw(0, assignment=1))
    assert offsets.accepts(raw(0, assignment=2))


@pytest.mark.parametrize("message", [raw(0, assignment=2), raw(0, partition=P1)])
def test_a_message_before_its_assignment_is_a_defect(message: RawMessage) -> None:
    offsets = tracker()
    with pytest.raises(RuntimeError, match="came before its assignment"):
        offsets.accepts(message)


def test_an_abort_rewinds_to_the_first_offset_since_the_last_commit() -> None:
    offsets = tracker(P0, P1)
    offsets.resolve(raw(0))
    offsets.resolve(raw(1, partition=P1))
    offsets.committed()
    offsets.resolve(raw(4))
    offsets.resolve(raw(5))
    assert offsets.aborted() == {P0: Rewind(4, 1)}
    assert offsets.pending() == {}
    assert offsets.rewinding
    assert not offsets.accepts(raw(6))
    assert offsets.accepts(raw(2, partition=P1))
    offsets.assign({P0: 3})
    assert not offsets.rewinding
    assert not offsets.accepts(raw(6, assignment=1))
    assert offsets.accepts(raw(4, assignment=3))
    offsets.resolve(raw(4, assignment=3))
    assert offsets.pending_assignments() == {P0: 3}


def test_an_abort_with_nothing_pending_rewinds_nothing() -> None:
    offsets = tracker()
    assert offsets.aborted() == {}
    assert offsets.accepts(raw(0))
    assert not offsets.rewinding


def test_a_revoked_partition_is_forgotten() -> None:
    offsets = tracker()
    offsets.resolve(raw(8))
    offsets.committed()
    offsets.revoke([P0, P1])
    assert not offsets.accepts(raw(9))
    offsets.assign({P0: 5})
    offsets.resolve(raw(3, assignment=5))  # another worker's commits do not matter to the order
    assert offsets.pending() == {P0: 4}


def test_a_revoked_partition_is_not_rewound() -> None:
    offsets = tracker()
    offsets.resolve(raw(0))
    offsets.aborted()
    offsets.revoke([P0])
    assert not offsets.rewinding


def test_revoking_what_is_uncommitted_is_a_defect() -> None:
    offsets = tracker()
    offsets.resolve(raw(0))
    with pytest.raises(AssertionError, match="uncommitted"):
        offsets.revoke([P0])


def test_reasons_of_a_release() -> None:
    offsets = tracker(P0, P1)
    offsets.resolve(raw(0))
    offsets.aborted()
    assert offsets.release_reason(raw(1)) is ReleaseReason.REWOUND
    offsets.assign({P0: 2})
    assert offsets.release_reason(raw(1)) is ReleaseReason.REWOUND
    offsets.revoke([P1])
    assert offsets.release_reason(raw(1, partition=P1)) is ReleaseReason.REVOKED


class Model:
    """One partition through a pipeline of messages in order, with another worker beside it."""

    def __init__(self) -> None:
        self.offsets = OffsetTracker()
        self.pipeline: deque[RawMessage] = deque()
        self.rewinds: deque[Rewind] = deque()
        self.sent: list[int] = []
        self.final: list[int] = []
        self.committed = 0
        self.assigned = False
        self.number = 0
        self.position = 0

    def assign(self) -> None:
        if not self.assigned:
            self.assigned = True
            self.position = self.committed
            self._number()

    def read(self) -> None:
        if self.assigned:
            message = raw(self.position)
            self.pipeline.append(message._replace(assignment=self.number))
            self.position += 1

    def publish(self) -> None:
        if self.pipeline:
            message = self.pipeline.popleft()
            if self.offsets.accepts(message):
                self.offsets.resolve(message)
                self.sent.append(message.position.offset)

    def commit(self) -> None:
        pending = self.offsets.pending()
        assert bool(pending) == bool(self.sent)
        if pending:
            self._final(self.sent, pending[P0])
            self.offsets.committed()
            self.sent = []

    def abort(self) -> None:
        self.sent = []
        rewinds = self.offsets.aborted()
        if rewinds:
            self.rewinds.append(rewinds[P0])

    def rewind(self) -> None:
        if self.rewinds:
            rewind = self.rewinds.popleft()
            if self.assigned and rewind.assignment == self.number:
                self.position = rewind.offset
                self._number()

    def revoke(self) -> None:
        if self.assigned:
            self.commit()
            self.offsets.revoke([P0])
            self.assigned = False

    def other_worker(self) -> None:
        if not self.assigned:
            self._final([self.committed], self.committed + 1)

    def _number(self) -> None:
        self.number += 1
        self.offsets.assign({P0: self.number})

    def _final(self, sent: list[int], committed: int) -> None:
        self.final.extend(sent)
        self.committed = committed
        assert self.final == list(range(committed)), "an offset was passed, doubled or moved"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["read", "read", "read", "publish", "publish", "publish"]),
            st.sampled_from(
                ["commit", "abort", "rewind", "revoke", "assign", "assign", "other_worker"]
            ),
        ),
        max_size=120,
    )
)
def test_whatever_happens_every_offset_becomes_final_once_and_in_order(steps: list[str]) -> None:
    model = Model()
    model.assign()
    for step in steps:
        getattr(model, step)()
    # And it always ends: let go on what is left, and everything read becomes final.
    model.assign()
    while model.rewinds:
        model.rewind()
    read = model.position
    while model.pipeline:
        model.publish()
    model.commit()
    assert model.committed == read
