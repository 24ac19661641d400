"""The commands of the guide to schemas do what it says, on Apache Kafka and a real registry."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from consumer.codec.registry import framing
from consumer.contracts.choices import RejectCode, SubjectNameStrategy
from tests.conftest import TopicFactory
from tests.integration.rigs.helpers import produce, wait_for_records
from tests.integration.rigs.worker_process import WorkerProcess
from tests.support.memory.memory_registry import avro_message
from tests.support.servers.registry_proxy import RegistryProxy

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "your-schemas.md").read_text()

COMMANDS = [
    re.sub(r"\\\n\s*", "", block).removeprefix("$ ").strip()
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
]

ARTICLE = json.loads(
    (Path(__file__).parents[2] / "schemas" / "article.v1.avsc").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("command", COMMANDS, ids=["avro", "json", "password"])
def test_each_command_tags_articles(
    command: str, kafka: str, registry: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    words = shlex.split(command)
    at = words.index(".venv/bin/nerstream")
    variables = dict(word.split("=", 1) for word in words[:at])
    assert words[at + 1] == "run"
    read, written, dead = (topics(name) for name in ("articles", "tagged", "dead"))
    with RegistryProxy(
        registry, variables.get("NERSTREAM_REGISTRY_BASIC_AUTH_USER_INFO", "")
    ) as proxy:
        ours = {
            "localhost:9092": kafka,
            "url=http://localhost:8081": f"url={proxy.url}",
            "articles": read,
            words[words.index("--output-topic") + 1]: written,
        }
        flags = tuple(ours.get(word, word) for word in words[at + 2 :])
        client = SchemaRegistryClient({"url": registry})
        schema_id = client.register_schema(f"{read}-value", Schema(json.dumps(ARTICLE), "AVRO"))
        client.close()
        record = {"id": "a", "title": "Ada", "body": None}
        produce(kafka, read, [avro_message(schema_id, ARTICLE, record)])
        settings = {"dead_letter_topic": dead, "group_id": group, "instance": "one"}
        light = ("-m", "tests.faults.workers.light_worker", *flags)
        with WorkerProcess(settings, tmp_path, command=light, variables=variables) as worker:
            (output,) = wait_for_records(kafka, written, 1)
            assert worker.terminate() == 0
        value = output.value or b""
        if "json" in words:
            assert [one["text"] for one in json.loads(value)["entities"]] == ["Ada"]
        else:
            assert framing.schema_id_of(value) != schema_id
        assert "sesame" not in worker.log.read_text()


def test_the_codes_and_strategies_are_those_of_the_code() -> None:
    assert {
        code.value
        for code in (
            RejectCode.NOT_FRAMED,
            RejectCode.UNKNOWN_SCHEMA,
            RejectCode.WRONG_SCHEMA,
            RejectCode.INVALID_AVRO,
            RejectCode.INVALID_PROTOBUF,
        )
    } <= set(re.findall(r"`([a-z_]+)`", PAGE))
    table = PAGE.split("| `subject_name_strategy` |", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"^\| `([a-z-]+)`", table, re.MULTILINE) == list(SubjectNameStrategy)
