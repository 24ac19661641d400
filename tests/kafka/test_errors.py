"""What the answers of brokers mean."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException

from consumer.kafka.errors import LEADER_MOVED, error_of, offset_of


@pytest.mark.parametrize("offset", [0, 7, -1])
def test_an_offset_is_what_it_is(offset: int) -> None:
    assert offset_of(SimpleNamespace(offset=offset)) == offset


def test_an_answer_without_one_is_an_error_that_may_pass() -> None:
    with pytest.raises(KafkaException) as caught:
        offset_of(SimpleNamespace(offset=OFFSET_INVALID))
    assert error_of(caught.value).code() in LEADER_MOVED - {KafkaError.FENCED_LEADER_EPOCH}
