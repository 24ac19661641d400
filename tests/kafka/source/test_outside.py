"""Outside: where a partition is read on whose log does not reach to where it stood."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from consumer.contracts.choices import JumpReason
from consumer.kafka.source.outside import Outside

OUT_OF_RANGE = KafkaError(KafkaError._AUTO_OFFSET_RESET)


@pytest.mark.parametrize(
    ("position", "low", "high", "goes_on"),
    [
        (20, 50, 90, (50, JumpReason.REMOVED)),
        (20, 50, 50, (50, JumpReason.REMOVED)),
        (90, 50, 70, (70, JumpReason.CUT)),
        (90, 0, 0, (0, JumpReason.CUT)),
        # Something has changed since the client said so.
        (60, 50, 70, (60, None)),
        (50, 50, 70, (50, None)),
        (70, 50, 70, (70, None)),
    ],
)
def test_what_is_there_and_was_not_read_is_read(
    position: int, low: int, high: int, goes_on: tuple[int, JumpReason | None]
) -> None:
    heard = Outside.heard(1, position, None, OUT_OF_RANGE)
    assert heard.goes_on(position, low, high) == goes_on


@pytest.mark.parametrize(
    ("low", "high", "start"),
    [
        (0, 64, 64),
        # The new leader has written since, past where the old log was read to.
        (0, 200, 64),
        (80, 200, 80),
    ],
)
def test_a_log_that_was_cut_is_read_from_the_cut(low: int, high: int, start: int) -> None:
    """In the words of librdkafka 2.16, which gives no offset with them."""
    said = (
        "Partition log truncation detected at offset 90 (leader epoch 0): broker end offset is 64 "
        "(offset leader epoch 0). Reset to INVALID.: Local: Partition log truncation detected"
    )
    heard = Outside.heard(1, None, 90, KafkaError(KafkaError._AUTO_OFFSET_RESET, said))
    assert (heard.position, heard.cut) == (90, 64)
    assert heard.goes_on(90, low, high) == (start, JumpReason.CUT)


@pytest.mark.parametrize("reached", [None, 0, 64])
def test_a_cut_of_a_place_where_this_assignment_never_was_moves_nothing(
    reached: int | None,
) -> None:
    """The client tells it late: the topic was made again, and its successor was empty then."""
    heard = Outside(1, 90, OUT_OF_RANGE, 0, reached)
    assert heard.goes_on(64, 0, 200) == (64, None)
    assert heard.goes_on(30, 50, 200) == (50, JumpReason.REMOVED)


def test_a_cut_counts_after_a_rewind_too() -> None:
    assert Outside(1, 90, OUT_OF_RANGE, 64, 90).goes_on(80, 0, 200) == (64, JumpReason.CUT)
    assert Outside(1, 90, OUT_OF_RANGE, 64, 90).goes_on(50, 0, 200) == (50, None)
