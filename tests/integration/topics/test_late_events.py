"""What the client said of a topic before it was made again, heard afterwards."""

from __future__ import annotations

import time

import pytest

from consumer.contracts.choices import JumpReason
from consumer.contracts.messages import TopicPartition
from tests.conftest import TopicFactory
from tests.integration.rigs.reading import offsets, opened, poll_until, read, settings
from tests.integration.rigs.remade import Remade

pytestmark = pytest.mark.kafka

#: Seconds in which the client, unpolled, asks for offset 20 of a topic that has five messages, and
#: hears that there is none. Where a busy machine takes longer, the test proves less.
_CLIENT_S = 4.0


@pytest.mark.parametrize("epochs", [True, False])
def test_an_offset_out_of_range_that_was_one_of_the_old_topic_moves_nothing(
    kafka: str, topics: TopicFactory, group: str, epochs: bool
) -> None:
    """The client gives such an event no version: it comes after the partition was taken anew."""
    ground = Remade(kafka, topics("in"), topics("out"), topics("dead"), group)
    ground.feed(range(20))
    one = TopicPartition(ground.input, 0)
    with opened(settings(kafka, ground.input, group)) as (source, heard):
        assert offsets(read(source, 20)) == [*range(20)]
        poll_until(lambda: bool(source._assigned.topic_ids().get(one)), source)
        if epochs:
            # The place then has the epoch of a leader, and the client asks about that first.
            source.rewind({one: 20})
        ground.make_again()
        ground.feed(range(100, 105))
        time.sleep(_CLIENT_S)
        # As where the answer about the ids comes before the next message is looked for.
        source._watching.make_sure(source._joined, heard)
        assert heard.jumps == [(JumpReason.RECREATED, 0)]
        assert offsets(read(source, 5)) == [*range(5)]
        assert offsets(poll_until(lambda: source.end_offsets().get(one) == 5, source)) == []
        ground.feed(range(105, 110))
        assert offsets(read(source, 5)) == [*range(5, 10)]
        assert heard.jumps == [(JumpReason.RECREATED, 0)]
