"""Messages that the output topic does not take: dead letters, and their neighbours are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

VALUE = b'{"id": "7", "title": "Oslo"}'
FAR_MS = 4_102_444_800_000
ANY_TIME = {"message.timestamp.after.max.ms": str(2**63 - 1), "retention.ms": "-1"}


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
@pytest.mark.parametrize(
    ("output_config", "odd", "code"),
    [
        ({}, Record(VALUE, b"k", timestamp_ms=FAR_MS, partition=0), b"timestamp_refused"),
        ({"cleanup.policy": "compact"}, Record(VALUE, partition=0), b"record_refused"),
    ],
)
def test_it_goes_to_the_dead_letters_alone(
    kafka: str,
    topics: TopicFactory,
    group: str,
    tmp_path: Path,
    delivery: str,
    output_config: Mapping[str, str],
    odd: Record,
    code: bytes,
) -> None:
    taken = topics("in", config=ANY_TIME)
    output, dead = topics("out", config=output_config), topics("dead")
    good = [Record(b'{"id": "%d", "body": "x"}' % n, b"k%d" % n, partition=0) for n in range(4)]
    helpers.produce(kafka, taken, [*good[:2], odd, *good[2:]])
    settings = {
        "bootstrap_servers": kafka,
        "input_topics": taken,
        "output_topic": output,
        "dead_letter_topic": dead,
        "group_id": group,
        "delivery": delivery,
    }
    command = ("-m", "tests.faults.workers.light_worker")
    with WorkerProcess(settings, tmp_path, command=command) as worker:
        (letter,) = helpers.wait_for_records(kafka, dead, 1)
        helpers.wait_for_records(kafka, output, 4)
        assert worker.terminate() == 0, worker.log.read_text()
    done = helpers.read_all(kafka, output)
    assert {record.key for record in done} == {record.key for record in good}
    if delivery == "exactly_once":
        assert [record.key for record in done] == [record.key for record in good]
    assert letter.value == VALUE
    reasons = dict(letter.headers)
    assert reasons["__nerstream.errors.code"] == code
    assert reasons["__nerstream.errors.offset"] == b"2"
    if odd.timestamp_ms is not None:
        # The dead-letter topic does not take it either; the header keeps it.
        assert letter.timestamp_ms != FAR_MS
        assert reasons["__nerstream.errors.timestamp"] == b"%d" % FAR_MS
    assert helpers.committed_offsets(kafka, group, taken) == {0: 5}
