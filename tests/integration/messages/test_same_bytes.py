"""Records of odd bytes through a worker: each leaves as it came, or is rejected with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from consumer.kafka import header_names
from consumer.kafka.messages import raw_message
from tests.conftest import TopicFactory
from tests.integration.rigs import helpers, raw_records
from tests.integration.rigs.murmur2 import partition_of
from tests.integration.rigs.raw_records import RawRecord
from tests.integration.rigs.worker_process import WorkerProcess

pytestmark = pytest.mark.kafka

PARTITIONS = 3
OURS, PREFIX = "__nerstream.", "__nerstream.errors."
ODD = ((b"", b"e"), (b"a", b""), (b"a", None), (b"b", b"\0\xff"), ("é".encode(), b"1"))
NOW_MS = 1_700_000_000_000


def article(name: str) -> bytes:
    return json.dumps({"id": name, "title": "Oslo"}).encode()


#: What leaves as it came, but for the entities.
CARRIED = [
    RawRecord(article("no timestamp"), b"k", (), -1),
    RawRecord(article("before 1970"), b"k", ODD, -5),
    RawRecord(article("1970"), b"k", (), 1),
    RawRecord(article("empty key"), b"", (), NOW_MS),
    RawRecord(article("long name"), b"k", ((b"n" * 30_000, b"1"),), NOW_MS),
    RawRecord(article("many of one name"), b"k", ((b"n", b"1"), (b"n", None)) * 300, NOW_MS),
    RawRecord(None, b"tombstone", ODD, -1),
    RawRecord(None, b"", ODD, -5),
]

#: What cannot be carried: the code, and the headers that can.
REJECTED = [
    (RawRecord(article("0"), b"k", ODD, 0), b"timestamp_refused", ODD),
    (RawRecord(None, b"k", ODD, 0), b"timestamp_refused", ODD),
    (RawRecord(b"no article", b"k", ODD, 0), b"invalid_json", ODD),
    (RawRecord(b"no article", b"", ODD, -1), b"invalid_json", ODD),
    (RawRecord(b"", None, (), NOW_MS), b"invalid_json", ()),
    (
        RawRecord(article("nul"), b"k", ((b"nul\0name", b"x"), *ODD), NOW_MS),
        *(b"invalid_header", ODD),
    ),
    (RawRecord(None, b"k", (*ODD, (b"nul\0", None)), NOW_MS), b"invalid_header", ODD),
    (
        RawRecord(article("both"), b"k", ((b"nul", b"1"), (b"nul\0", b"2"), (b"nul", b"3")), 7),
        *(b"invalid_header", ((b"nul", b"1"), (b"nul", b"3"))),
    ),
    (
        RawRecord(article("alone"), b"k", ((b"\0", b""), (b"", b"")), 7),
        b"invalid_header",
        ((b"", b""),),
    ),
    (RawRecord(article("not UTF-8"), b"k", ((b"\xff", b"1"), *ODD), 7), b"invalid_header", ODD),
    (RawRecord(article("0 and nul"), b"k", ((b"a\0b", b""),), 0), b"invalid_header", ()),
]


def named(headers: helpers.Headers) -> tuple[tuple[bytes, bytes | None], ...]:
    return tuple((name.encode(), value) for name, value in headers if not name.startswith(OURS))


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_each_record_leaves_as_it_came_or_is_rejected_with_the_reason(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path, delivery: str
) -> None:
    taken, output, dead = topics("in"), topics("out", PARTITIONS), topics("dead")
    bad = [record for record, _, _ in REJECTED]
    for record in (*CARRIED, *bad):
        raw_records.produce(kafka, taken, [record])
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
        done = helpers.wait_for_records(kafka, output, len(CARRIED))
        letters = helpers.wait_for_records(kafka, dead, len(REJECTED))
        assert worker.terminate() == 0, worker.log.read_text()
    assert len(done) == len(CARRIED)
    assert len(letters) == len(REJECTED)

    by_start = {(one.value or b"")[:30] + (one.key or b""): one for one in done}
    for record in CARRIED:
        got = by_start[(record.value or b"")[:30] + (record.key or b"")]
        assert (got.key, got.timestamp_ms) == (record.key, record.timestamp_ms)
        assert named(got.headers) == tuple(record.headers)
        assert got.partition == partition_of(record.key or b"", PARTITIONS)
        assert (got.value is None) == (record.value is None)

    for letter, (record, code, headers) in zip(letters, REJECTED, strict=True):
        assert (letter.key, letter.value) == (record.key, record.value)
        assert named(letter.headers) == tuple(headers)
        reasons = dict(letter.headers)
        assert reasons[f"{PREFIX}code"] == code
        # Without one, where the client would write the present time.
        assert letter.timestamp_ms == (record.timestamp_ms or -1)
        stated = b"" if record.timestamp_ms == -1 else b"%d" % record.timestamp_ms
        assert reasons[f"{PREFIX}timestamp"] == stated


def test_messages_of_another_layout_are_read_as_the_client_does_and_that_is_told(
    kafka: str,
    topics: TopicFactory,
    group: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    topic = topics()
    header_names._warn.cache_clear()
    raw_records.produce(kafka, topic, [RawRecord(b"v", b"k", ((b"a\0b", b"1"),), 1)] * 2)
    monkeypatch.setattr(header_names._Layout, "topic", 0)
    reader = Consumer({"bootstrap.servers": kafka, "group.id": group})
    reader.assign([TopicPartition(topic, 0, 0)])
    got: list[Message] = []
    while len(got) < 2:
        message = reader.poll(1)
        if message is not None and message.error() is None:
            got.append(raw_message(message, 1))
    reader.close()
    assert [(one.headers, one.has_unreadable_headers) for one in got] == [
        ((("a", b"1"),), False)
    ] * 2
    assert caplog.text.count("are not looked over") == 1
