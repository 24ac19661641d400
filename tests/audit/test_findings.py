"""Findings: those of the parts of an audit add up."""

from __future__ import annotations

from consumer.audit.audit import Role
from consumer.audit.findings import Findings, Kind, Reason, Unsaid
from consumer.audit.ranges import parts
from consumer.contracts.messages import TopicPartition
from tests.support.memory.audited import DEAD, OUT, Log, given, outcome_of


def test_the_parts_of_an_audit_find_what_the_whole_finds() -> None:
    """Also what only shows over the border of two parts: a swap, and a double in the other's."""
    log = Log.of([given(n, b"{" if n == 4 else b"") for n in range(30)])
    outcomes = log.outcomes
    outcomes[9], outcomes[10] = outcomes[10], outcomes[9]
    outcomes.append(outcomes[2])
    del outcomes[25]
    whole = log.audited()
    assert dict(whole.counts) == {Kind.LOST: 1, Kind.DOUBLED: 1, Kind.REORDERED: 1}
    ends = log.ranges()
    for most in (1, 7, 10, 29):
        added = Findings(20)
        for part in parts(ends, most):
            added.add_all(log.audited(part=part))
        assert added == whole


def test_what_cannot_be_said_is_told_once() -> None:
    gap = Unsaid(Reason.REMOVED, TopicPartition(OUT, 0), 0, 4)
    added = Findings(20)
    log = Log.of([given(n) for n in range(4)])
    for part in parts(log.ranges(), 1):
        added.add_all(log.audited([gap], part=part))
    assert added.unsaid == [gap]


def test_what_is_of_no_single_input_is_counted_once() -> None:
    log = Log.of([given(n) for n in range(4)])
    log.outcomes.append((Role.DEAD_LETTERS, given(0, topic=DEAD)))
    log.outcomes.append(outcome_of(given(500)))
    ends = {TopicPartition("news", 0): 4}
    whole = log.audited(ends=ends)
    assert (whole.foreign, dict(whole.counts)) == (1, {Kind.INVENTED: 1})
    added = Findings(20)
    for number, part in enumerate(parts(log.ranges(), 1)):
        added.add_all(log.audited(part=part, ends=ends, tells_beyond=number == 0))
    assert added == whole


def test_no_more_are_kept_than_were_asked_for() -> None:
    added = Findings(3)
    log = Log([given(n) for n in range(10)], [])
    for part in parts(log.ranges(), 2):
        added.add_all(log.audited(most=3, part=part))
    assert added.counts[Kind.LOST] == 10
    assert [one.input.offset for one in added.kept[Kind.LOST]] == [0, 1, 2]
