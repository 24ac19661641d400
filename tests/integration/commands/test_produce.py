"""`nerstream produce` on Apache Kafka."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from consumer import cli
from consumer.resources import SAMPLES_PATH, sample_lines
from tests.conftest import TopicFactory
from tests.integration.rigs.helpers import end_offsets, read_all


def produce(kafka: str, topic: str, file: Path, *more: str) -> int:
    return cli.main(
        ["produce", str(file), f"--topic={topic}", f"--bootstrap-servers={kafka}", *more]
    )


def java_partition(key: bytes, partitions: int) -> int:
    """The Java client's murmur2 over the key, positive, modulo the partitions."""
    mask, multiplier = 0xFFFFFFFF, 0x5BD1E995
    state = 0x9747B28C ^ len(key)
    whole = len(key) // 4 * 4
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * multiplier & mask
        word = (word ^ word >> 24) * multiplier & mask
        state = (state * multiplier & mask) ^ word
    if rest := key[whole:]:
        state = (state ^ int.from_bytes(rest, "little")) * multiplier & mask
    state = (state ^ state >> 13) * multiplier & mask
    return ((state ^ state >> 15) & 0x7FFFFFFF) % partitions


def test_the_samples_arrive_in_order_on_the_partitions_of_the_java_client(
    kafka: str, topics: TopicFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = topics("produce", partitions=5)
    assert produce(kafka, topic, SAMPLES_PATH, "--json") == 0
    assert json.loads(capsys.readouterr().out)["produced"] == 60
    records = read_all(kafka, topic)
    assert sorted(one.value or b"" for one in records) == sorted(sample_lines())
    keyed = [one for one in records if one.key is not None]
    assert len(keyed) == 58  # without an id, and broken, they have no key
    assert {one.partition for one in keyed} == {0, 1, 2, 3, 4}
    order = {line: number for number, line in enumerate(sample_lines())}
    for one in keyed:
        assert one.partition == java_partition(one.key or b"", 5)
    for partition in range(5):
        numbers = [order[one.value or b""] for one in keyed if one.partition == partition]
        assert numbers == sorted(numbers)


def test_a_missing_topic(kafka: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "a"}\n')
    assert produce(kafka, "no-such-topic", path) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("nerstream: error: the topic no-such-topic (--topic) cannot be used: ")
    assert "create the topic" in err


def test_a_message_that_the_topic_does_not_take_stops_it(
    kafka: str, topics: TopicFactory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = topics("small", config={"max.message.bytes": "2000"})
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "a"}\n' + json.dumps({"id": "b", "x": "x" * 5_000}) + "\n")
    assert produce(kafka, topic, path, "--kafka=linger.ms=0", "--rate=5") == 1
    err = capsys.readouterr().err
    # Where the producer was slow to begin, both travel together and both are refused.
    found = re.match(rf"nerstream: error: topic {topic} takes no more after ([01]) messages: ", err)
    assert found is not None, err
    assert "raise max.message.bytes of the topic" in err
    assert len(read_all(kafka, topic)) == int(found[1])


def test_more_than_fits_in_the_buffer(
    kafka: str, topics: TopicFactory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = topics("many", partitions=2)
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps({"id": str(n), "x": "x" * 200}) + "\n" for n in range(100)))
    small = ("--kafka=queue.buffering.max.messages=50", "--kafka=queue.buffering.max.kbytes=64")
    assert produce(kafka, topic, path, "--repeat=20", *small) == 0
    assert "produced 2,000 messages" in capsys.readouterr().err
    assert sum(end_offsets(kafka, topic).values()) == 2_000
