"""A header name that is not UTF-8, which Kafka takes from producers in other languages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import TopicFactory
from tests.faults.messages import header_names
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

VALUE = b'{"id": "7", "title": "Oslo"}'


def test_it_costs_its_message_that_header_and_no_other_message_anything(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    taken, output, dead = (topics(name) for name in ("in", "out", "dead"))
    good = Record(VALUE, b"k", (("traceparent", b"1"),), partition=0)
    helpers.produce(kafka, taken, [good])
    header_names.produce(kafka, taken, VALUE, b"key", (b"fine", b"a\xff\xfeb", b"\xc3"))
    helpers.produce(kafka, taken, [good])
    settings = {
        "bootstrap_servers": kafka,
        "input_topics": taken,
        "output_topic": output,
        "dead_letter_topic": dead,
        "group_id": group,
    }
    command = ("-m", "tests.faults.workers.light_worker")
    with WorkerProcess(settings, tmp_path, command=command) as worker:
        done = helpers.wait_for_records(kafka, output, 2)
        (letter,) = helpers.wait_for_records(kafka, dead, 1)
        assert worker.terminate() == 0, worker.log.read_text()
    assert [record.headers for record in done] == [
        (*good.headers, ("__nerstream.source", f"{taken}/0/{offset}".encode())) for offset in (0, 2)
    ]
    assert (letter.value, letter.key) == (VALUE, b"key")
    reasons = dict(letter.headers)
    assert reasons["__nerstream.errors.code"] == b"invalid_header"
    assert reasons["__nerstream.errors.offset"] == b"1"
    assert len(reasons) == 8 + 2
    assert letter.headers[0] == ("fine", b"v"), "the others cannot be carried"
