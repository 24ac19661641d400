"""What a format costs: `python -m benchmarks.formats`.

A worker with a tagger that does nothing drains the same articles in JSON, and in Avro, Protobuf and
JSON Schema with a schema registry, in turns on one broker. What counts is the rate after the first
tenth. And what the codec alone takes of an article, in the same turns.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from benchmarks.processes.draining import drained
from consumer.bench.articles import news_articles
from consumer.contracts.choices import InputFormat
from consumer.contracts.messages import (
    Article,
    Entity,
    ModelInfo,
    Position,
    RawMessage,
    TopicPartition,
)
from consumer.contracts.messages import TaggedArticle as Tagged
from consumer.loading import worker_codec_from
from consumer.settings.schema import Settings
from tests.codec.registry.protobuf_files import compiled, message_class
from tests.integration.servers.kafka_server import KafkaServer
from tests.integration.servers.registry_server import RegistryServer

FORMATS = ("json", "json-schema", "avro", "protobuf")

_AVRO = {
    "type": "record",
    "name": "Article",
    "fields": [{"name": name, "type": "string"} for name in ("id", "title", "body")],
}
_PROTOBUF = (
    'syntax = "proto3"; message Article { string id = 1; string title = 2; string body = 3; }'
)
_JSON_SCHEMA = {"title": "Article", "type": "object", "properties": {"id": {"type": "string"}}}


def main() -> None:
    """Run all, print a table and, on request, write the record."""
    parser = argparse.ArgumentParser(description="what a format costs")
    parser.add_argument("--count", type=int, default=100_000, help="articles of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--article-bytes", type=int, default=2_048)
    parser.add_argument("--machine", default="", help="what to call this machine")
    parser.add_argument("--record", type=Path, help="file for the figures, as JSON")
    asked = parser.parse_args()
    rates: dict[str, list[float]] = {name: [] for name in FORMATS}
    codecs: dict[str, list[dict[str, float]]] = {name: [] for name in FORMATS}
    with KafkaServer(on_disk=True) as kafka, RegistryServer() as registry:
        values = _values(registry.address, asked.article_bytes)
        _drained(kafka.bootstrap_servers, registry.address, "json", values["json"], 20_000)
        for number in range(asked.rounds):
            for name in FORMATS if number % 2 else FORMATS[::-1]:
                print(f"round {number + 1}: {name} ...", file=sys.stderr)
                where = (kafka.bootstrap_servers, registry.address, name, values[name])
                rates[name].append(_drained(*where, asked.count))
                codecs[name].append(_codec_alone(registry.address, name, values[name]))
    record: dict[str, Any] = {
        "benchmark": "formats",
        "machine": asked.machine,
        "article_bytes": asked.article_bytes,
        "articles": asked.count,
        "articles_per_s": {
            name: {"median": statistics.median(found), "runs": [round(one) for one in found]}
            for name, found in rates.items()
        },
        "of_json": {
            name: statistics.median(
                one / json_one for one, json_one in zip(found, rates["json"], strict=True)
            )
            for name, found in rates.items()
        },
        "codec_us": {
            name: {part: statistics.median(one[part] for one in found) for part in found[0]}
            for name, found in codecs.items()
        },
    }
    for name in FORMATS:
        figures, codec = record["articles_per_s"][name], record["codec_us"][name]
        print(
            f"{name:12} {figures['median']:>9,.0f} articles/s, {record['of_json'][name]:.2f} of"
            " json;"
            f" decode {codec['decode']:.1f} us, encode {codec['encode']:.1f} us"
        )
    if asked.record is not None:
        asked.record.write_text(json.dumps(record, indent=1) + "\n")


def _values(registry: str, size_bytes: int) -> dict[str, list[bytes]]:
    """The same articles in each format."""
    client = SchemaRegistryClient({"url": registry})
    schemas = {
        "avro": (json.dumps(_AVRO), "AVRO"),
        "protobuf": (_PROTOBUF, "PROTOBUF"),
        "json-schema": (json.dumps(_JSON_SCHEMA), "JSON"),
    }
    prefixes = {
        name: b"\x00" + client.register_schema(f"bench-{name}", Schema(*one)).to_bytes(4, "big")
        for name, one in schemas.items()
    }
    client.close()
    plain = news_articles(2_000, 1, size_bytes)
    documents = [json.loads(value) for value in plain]
    record = fastavro.parse_schema(_AVRO)
    message = message_class(compiled(_PROTOBUF), "Article")
    return {
        "json": plain,
        "json-schema": [prefixes["json-schema"] + value for value in plain],
        "avro": [prefixes["avro"] + _avro(record, one) for one in documents],
        "protobuf": [
            prefixes["protobuf"]
            + b"\x00"
            + message(**{name: one[name] for name in ("id", "title", "body")}).SerializeToString()
            for one in documents
        ],
    }


def _avro(schema: Any, document: Mapping[str, Any]) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, document)
    return stream.getvalue()


def _settings(bootstrap: str, registry: str, name: str) -> Settings:
    mark = uuid.uuid4().hex[:8]
    return Settings(
        bootstrap_servers=bootstrap,
        input_topics=(f"bench-in-{mark}",),
        output_topic=f"bench-out-{mark}",
        dead_letter_topic=f"bench-dead-{mark}",
        group_id=f"bench-{mark}",
        input_format=InputFormat(name),
        registry={"url": registry},
    )


def _drained(
    bootstrap: str, registry: str, name: str, values: Sequence[bytes], count: int
) -> float:
    """Articles a second of a worker that finds so many waiting."""
    flags = {"input_format": name, "registry": {"url": registry}}
    return drained(bootstrap, values, count, flags, ("-m", "benchmarks.processes.null_worker")).rate


def _codec_alone(registry: str, name: str, values: Sequence[bytes]) -> dict[str, float]:
    """Microseconds to decode an article, and to encode it with two entities."""
    codec = worker_codec_from(_settings("nowhere:9092", registry, name))
    raws = [
        RawMessage(Position(TopicPartition("t", 0), number), None, value, (), 0, 0)
        for number, value in enumerate(values)
    ]
    model = ModelInfo("null", "0", "cpu", "float32", ())
    found = (Entity("title", "LOC", "Lisbon", 0, 6, 0.9),) * 2
    codec.decode(raws[0])  # fetches the schema
    started = time.perf_counter()
    articles = [one for one in map(codec.decode, raws) if isinstance(one, Article)]
    decoded = time.perf_counter()
    for article in articles:
        codec.encode(Tagged(article, found, 1, model), 1_700_000_000_000)
    ended = time.perf_counter()
    codec.close()
    each = 1e6 / len(articles)
    return {"decode": (decoded - started) * each, "encode": (ended - decoded) * each}


if __name__ == "__main__":
    main()
