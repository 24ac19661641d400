"""The plan of a bounded run, and the text that keeps it."""

from __future__ import annotations

import pytest

from consumer.contracts.messages import TopicPartition
from consumer.contracts.runs import RunState
from consumer.kafka.source.runs.plan import Found, RunPlan
from consumer.kafka.source.stamps import Span, span_in, stamped, topic_id_in

A, B = TopicPartition("news", 0), TopicPartition("news", 1)


@pytest.mark.parametrize(
    ("found", "start", "end"),
    [
        (Found(low=2, high=9, begin=2, end=None), 2, 9),
        (Found(low=2, high=9, begin=4, end=7), 4, 7),
        # No message is so late: the run begins, or ends, behind all that is there.
        (Found(low=2, high=9, begin=None, end=None), 9, 9),
        (Found(low=2, high=9, begin=None, end=7), 9, 9),
        # The end is before the begin, where times in the log are not in order.
        (Found(low=2, high=9, begin=7, end=4), 7, 7),
        # Retention was faster than the answers.
        (Found(low=5, high=9, begin=4, end=None), 5, 9),
        # What came since the end was asked for.
        (Found(low=2, high=9, begin=2, end=11), 2, 9),
        (Found(low=2, high=9, begin=10, end=None), 10, 10),
        (Found(low=0, high=0, begin=0, end=None), 0, 0),
    ],
)
def test_a_span_is_within_the_log_and_never_backwards(found: Found, start: int, end: int) -> None:
    assert found.span(3, "a-to-b") == Span(start, end, 3, "a-to-b")


def test_a_commit_says_the_topic_and_the_span_and_each_is_found_again() -> None:
    span = Span(4, 7, 2, "a-to-b")
    [both] = stamped({A: 5}, {A: "id-of.it"}, {}, {A: span})
    [one] = stamped({A: 5}, {}, {}, {A: span})
    [other] = stamped({A: 5}, {A: "id-of.it"}, {}, {})
    [none] = stamped({A: 5}, {}, {})
    texts = [found.metadata for found in (both, one, other, none)]
    assert texts[2] == "nerstream topic-id=id-of.it"
    assert [topic_id_in(text) for text in texts] == ["id-of.it", None, "id-of.it", None]
    assert [span_in(text) for text in texts] == [span, span, None, None]


def test_a_commit_says_what_was_gone_and_an_older_one_says_nothing_of_it() -> None:
    span = Span(4, 7, 2, "a-to-b", gone=2)
    [text] = [one.metadata for one in stamped({A: 5}, {A: "id-of.it"}, {}, {A: span})]
    assert text == "nerstream topic-id=id-of.it run=4..7/2/a-to-b gone=2"
    assert (span_in(text), topic_id_in(text)) == (span, "id-of.it")
    assert span_in("nerstream run=4..7/2/a-to-b") == span._replace(gone=0)


@pytest.mark.parametrize(
    "text", [None, "", "other run=1..2/3/a", "nerstream run=1..x/3/a", "run=1..2/3/a"]
)
def test_what_another_program_wrote_is_no_span(text: str | None) -> None:
    assert span_in(text) is None


def test_a_run_is_complete_when_each_partition_is_committed_to_its_end() -> None:
    plan = RunPlan({A: Span(4, 7, 2, "a-to-b"), B: Span(0, 10, 2, "a-to-b")})
    assert plan.state() == RunState(0, 13, False)
    plan.note({A: 7, B: 9})
    assert plan.state() == RunState(12, 13, False)
    assert [plan.unfinished(one) for one in (A, B)] == [False, True]
    # Behind the end, as where retention took it: not more than all of it.
    plan.note({B: 15})
    assert plan.state() == RunState(13, 13, True)


def test_a_partition_of_the_run_whose_offset_is_gone_is_missed() -> None:
    assert RunPlan({A: Span(4, 7, 2, "a-to-b"), B: Span(0, 10, 2, "a-to-b")}).missing == 0
    assert RunPlan({A: Span(4, 7, 2, "a-to-b")}).missing == 1
