"""Compressed batches in and out, and messages up to the broker's limit, in JSON and in Avro."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from tests.conftest import TopicFactory
from tests.integration.rigs.helpers import Record as Written
from tests.integration.rigs.helpers import producer, put, wait_for_records
from tests.integration.rigs.worker_process import WorkerProcess
from tests.integration.servers.kafka_server import MAX_MESSAGE_BYTES
from tests.support.memory.memory_registry import avro_message, avro_read

CODECS = ("gzip", "snappy", "lz4", "zstd")

ARTICLE: dict[str, Any] = {
    "type": "record",
    "name": "Article",
    "fields": [{"name": "id", "type": "string"}, {"name": "body", "type": "string"}],
}


def write(kafka: str, topic: str, value: bytes, codec: str) -> None:
    client = producer(kafka, compression_type=codec)
    put(client, topic, [Written(value, b"k", (("h", b"1"),))])
    assert client.flush(60) == 0


def settings(kafka: str, read: str, written: str, dead: str, group: str) -> dict[str, Any]:
    return {
        "bootstrap_servers": kafka,
        "input_topics": read,
        "output_topic": written,
        "dead_letter_topic": dead,
        "group_id": group,
        "instance": "one",
        "text_fields": "body",
        "dead_letter_max_ratio": 1,
    }


LIGHT = ("-m", "tests.faults.workers.light_worker")


@pytest.mark.parametrize("codec", CODECS)
def test_compressed_in_and_out(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path, codec: str
) -> None:
    """The output topic takes the message only as small as it is when compressed."""
    small = {"max.message.bytes": "60000", "compression.type": "producer"}
    read = topics("in", config={"compression.type": codec})
    written, dead = topics("out", config=small), topics("dead")
    value = json.dumps({"id": "a", "body": "quiet words, " * 20_000 + "Ada"}).encode()
    write(kafka, read, value, codec)
    asked = settings(kafka, read, written, dead, group) | {"kafka": {"compression.type": codec}}
    with WorkerProcess(asked, tmp_path, command=LIGHT) as worker:
        (output,) = wait_for_records(kafka, written, 1)
        assert worker.terminate() == 0
    document = json.loads(output.value or b"")
    assert [one["text"] for one in document.pop("entities")] == ["Ada"]
    document.pop("tagging")
    assert document == json.loads(value)
    assert output.headers[0] == ("h", b"1")


def test_without_compression_it_is_too_large(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    """So that the test above proves something."""
    read, dead = topics("in"), topics("dead")
    written = topics("out", config={"max.message.bytes": "60000", "compression.type": "producer"})
    value = json.dumps({"id": "a", "body": "quiet words, " * 20_000}).encode()
    write(kafka, read, value, "zstd")
    asked = settings(kafka, read, written, dead, group) | {"kafka": {"compression.type": "none"}}
    with WorkerProcess(asked, tmp_path, command=LIGHT) as worker:
        (letter,) = wait_for_records(kafka, dead, 1)
        assert worker.terminate() == 0
    assert dict(letter.headers)["__nerstream.errors.code"] == b"too_large"


def test_avro_up_to_the_broker_s_limit(
    kafka: str, registry: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    read, written, dead = topics("in"), topics("out"), topics("dead")
    client = SchemaRegistryClient({"url": registry})
    schema_id = client.register_schema(f"{read}-value", Schema(json.dumps(ARTICLE), "AVRO"))
    # What is added takes some hundred bytes, and the batch around it some more.
    body = "quiet " * ((MAX_MESSAGE_BYTES - 4_096) // 6) + "Ada"
    write(kafka, read, avro_message(schema_id, ARTICLE, {"id": "a", "body": body}), "none")
    limit = {"message.max.bytes": str(MAX_MESSAGE_BYTES), "compression.type": "none"}
    asked = settings(kafka, read, written, dead, group) | {
        "kafka": limit,
        "input_format": "avro",
        "registry": {"url": registry},
    }
    with WorkerProcess(asked, tmp_path, command=LIGHT) as worker:
        (output,) = wait_for_records(kafka, written, 1)
        assert worker.terminate() == 0
    schema = client.get_latest_version(f"{written}-value").schema.schema_str
    client.close()
    read_back = avro_read(output.value or b"", json.loads(schema or ""))
    assert read_back["body"] == body
    assert [one["text"] for one in read_back["entities"]] == ["Ada"]
