"""A worker on Apache Kafka with a schema registry: what happens to it, and what it does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from consumer import cli
from consumer.codec.registry import framing
from consumer.codec.registry.protobuf_schema import with_additions
from tests.codec.registry.additions import AT_TOP
from tests.codec.registry.protobuf_files import compiled, message_class
from tests.conftest import TopicFactory, registry_or_skip
from tests.integration.rigs.helpers import Record, produce, read_all, wait_for_records
from tests.integration.rigs.worker_process import WorkerProcess
from tests.support.memory.memory_registry import avro_message, avro_read
from tests.support.servers.certificates import PASSWORD, Certificates
from tests.support.servers.registry_proxy import RegistryProxy

NINJS = Path(__file__).parents[2] / "codec" / "registry" / "ninjs" / "ninjs20.proto"

LIGHT = ("-m", "tests.faults.workers.light_worker")

OLD = {
    "type": "record",
    "name": "Article",
    "namespace": "news",
    "fields": [{"name": "id", "type": "string"}, {"name": "body", "type": "string"}],
}
NEW = {**OLD, "fields": [*OLD["fields"], {"name": "desk", "type": "string", "default": "none"}]}


class Ground:
    """Topics, a client of the registry, and a worker that reads Avro."""

    def __init__(
        self, kafka: str, url: str, topics: TopicFactory, group: str, folder: Path
    ) -> None:
        self.kafka = kafka
        self.url = url
        self.client = SchemaRegistryClient({"url": url})
        self.input, self.output, self.dead = (topics(name) for name in ("in", "out", "dead"))
        self._group = group
        self._folder = folder

    def settings(self, registry: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.kafka,
            "input_topics": self.input,
            "output_topic": self.output,
            "dead_letter_topic": self.dead,
            "group_id": self._group,
            "instance": "one",
            "text_fields": "body",
            "dead_letter_max_ratio": 1,
            "input_format": "avro",
            "registry": {"url": self.url, "timeout": "2", **(registry or {})},
            **more,
        }

    def worker(self, registry: Mapping[str, str] | None = None, **more: Any) -> WorkerProcess:
        settings = self.settings(registry, **more)
        if "preset" in more:
            del settings["text_fields"]
        return WorkerProcess(settings, self._folder, command=LIGHT)

    def put(self, *ids: str, schema: Any = OLD, **more: Any) -> None:
        """Write articles of these ids as a producer does."""
        schema_id = self.client.register_schema(
            f"{self.input}-value", Schema(json.dumps(schema), "AVRO")
        )
        produce(
            self.kafka,
            self.input,
            [
                Record(avro_message(schema_id, schema, {"id": one, "body": "Ada came.", **more}))
                for one in ids
            ],
        )

    def articles(self, count: int) -> list[Any]:
        """The articles of the output, once there are so many; no more, and no dead letters."""
        records = wait_for_records(self.kafka, self.output, count)
        assert len(records) == count
        assert read_all(self.kafka, self.dead) == []
        return [self.read(record.value or b"") for record in records]

    def read(self, value: bytes) -> Any:
        schema = self.client.get_schema(framing.schema_id_of(value))
        assert schema.schema_str is not None
        return avro_read(value, json.loads(schema.schema_str))


@pytest.fixture
def ground(
    kafka: str, registry: str, topics: TopicFactory, group: str, tmp_path: Path
) -> Iterator[Ground]:
    made = Ground(kafka, registry, topics, group, tmp_path)
    yield made
    made.client.close()


def waits(worker: WorkerProcess) -> bool:
    """Whether `/readyz` says that it waits for the registry, and `/healthz` that it lives."""
    status, body = worker.get("/readyz")
    return status == 503 and "schema registry" in body and worker.get("/healthz")[0] == 200


@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_articles_tombstones_keys_and_headers(ground: Ground, delivery: str) -> None:
    schema_id = ground.client.register_schema(
        f"{ground.input}-value", Schema(json.dumps(OLD), "AVRO")
    )
    value = avro_message(schema_id, OLD, {"id": "a", "body": "Ada met Bo."})
    headers = (("trace", b"\x00\xff"), ("empty", None), ("trace", b"2"))
    records = [
        Record(value, b"k", headers, 1_700_000_000_000),
        Record(None, b"gone", headers, 1_700_000_000_001),
    ]
    produce(ground.kafka, ground.input, records)
    with ground.worker(delivery=delivery) as worker:
        article, tombstone = sorted(
            wait_for_records(ground.kafka, ground.output, 2), key=lambda one: one.key or b""
        )[::-1]
        assert worker.terminate() == 0
    assert (article.key, tombstone.key) == (b"k", b"gone")
    assert tombstone.value is None
    for record in (article, tombstone):
        assert record.headers[: len(headers)] == headers
    read = ground.read(article.value or b"")
    assert (read["id"], read["body"]) == ("a", "Ada met Bo.")
    assert [(one["text"], one["field"]) for one in read["entities"]] == [
        ("Ada", "body"),
        ("Bo", "body"),
    ]
    assert read["tagging"]["model"] == "light"


def test_the_schema_evolves_in_mid_run(ground: Ground) -> None:
    with ground.worker() as worker:
        ground.put("a")
        ground.articles(1)
        ground.put("b", schema=NEW, desk="world")
        ground.put("c")
        assert [one.get("desk") for one in ground.articles(3)] == [None, "world", None]
        assert worker.terminate() == 0
    assert ground.client.get_versions(f"{ground.output}-value") == [1, 2]


def test_what_is_no_message_of_the_registry_is_a_dead_letter(ground: Ground) -> None:
    with ground.worker() as worker:
        produce(ground.kafka, ground.input, [b"\x01\x00\x00\x00\x01\x02a", b"\x00\x7f\xff\xff\xff"])
        letters = wait_for_records(ground.kafka, ground.dead, 2)
        ground.put("a")
        wait_for_records(ground.kafka, ground.output, 1)
        assert worker.terminate() == 0
    told = [dict(letter.headers) for letter in letters]
    codes = [one["__nerstream.errors.code"] for one in told]
    assert codes == [b"not_framed", b"unknown_schema"]
    assert b"01 00 00 00 01" in (told[0]["__nerstream.errors.message"] or b"")
    assert letters[0].value == b"\x01\x00\x00\x00\x01\x02a"


def test_a_registry_that_is_away_at_the_start_is_waited_for(ground: Ground) -> None:
    proxy = RegistryProxy(ground.url)
    ground.put("a", "b")
    with ground.worker({"url": proxy.url}) as worker:
        worker.wait_until(lambda: waits(worker), "it waits")
        worker.wait_until(lambda: worker.has_said("waiting for the schema registry"), "it says so")
        with proxy:
            assert [one["id"] for one in ground.articles(2)] == ["a", "b"]
            worker.wait_ready()
            assert worker.terminate() == 0


def test_a_worker_that_waits_can_be_stopped(ground: Ground) -> None:
    """What it has read is let go, and the next one reads it."""
    proxy = RegistryProxy(ground.url)
    ground.put("a", "b")
    with ground.worker({"url": proxy.url}, shutdown_timeout_s=8) as worker:
        worker.wait_until(lambda: waits(worker), "it waits")
        worker.wait_until(
            lambda: worker.metric("nerstream_in_flight_messages") == 2, "it holds them"
        )
        assert worker.terminate() == 0
    with proxy, ground.worker({"url": proxy.url}) as worker:
        assert len(ground.articles(2)) == 2
        assert worker.terminate() == 0


def test_a_registry_that_goes_in_mid_run_is_waited_for(
    kafka: str, topics: TopicFactory, group: str, tmp_path: Path
) -> None:
    """Killed, and later hanging: known schemas need it not, new ones wait, reading pauses."""
    with registry_of_ones_own() as server:
        ground = Ground(kafka, server.address, topics, group, tmp_path)
        with closing(ground.client), ground.worker(in_flight_articles=50) as worker:
            ground.put("a")
            ground.articles(1)
            # Registered before, written after.
            new_id = ground.client.register_schema(
                f"{ground.input}-value", Schema(json.dumps(NEW), "AVRO")
            )
            server.kill()
            ground.put("b")
            ground.articles(2)
            more = [
                avro_message(new_id, NEW, {"id": str(n), "body": "Ada.", "desk": "x"})
                for n in range(500)
            ]
            produce(kafka, ground.input, more)
            worker.wait_until(lambda: waits(worker), "it waits")
            worker.wait_until(lambda: worker.metric("nerstream_paused") == 1, "it reads no more")
            assert worker.metric("nerstream_in_flight_messages") < 500
            server.restart()
            found = ground.articles(502)
            assert [one["id"] for one in found[2:]] == [str(n) for n in range(500)]
            worker.wait_ready()
            newest = {**NEW, "fields": [*NEW["fields"], {"name": "n", "type": "int"}]}
            newest_id = ground.client.register_schema(
                f"{ground.input}-other", Schema(json.dumps(newest), "AVRO")
            )
            server.hang()
            record = {"id": "z", "body": "Bo.", "desk": "y", "n": 5}
            produce(kafka, ground.input, [avro_message(newest_id, newest, record)])
            worker.wait_until(lambda: waits(worker), "it waits again")
            server.go_on()
            assert ground.articles(503)[-1]["n"] == 5
            assert worker.terminate() == 0


def test_a_password(ground: Ground) -> None:
    with RegistryProxy(ground.url, user_info="me:hidden:word") as proxy:
        ground.put("a")
        with ground.worker({"url": proxy.url}) as worker:
            assert worker.wait() == 1
            text = worker.log.read_text()
        assert "refuses the worker (HTTP 401" in text
        assert "registry.basic.auth.user.info" in text
        assert "Traceback" not in text
        with ground.worker({"url": proxy.url, "basic.auth.user.info": "me:hidden:word"}) as worker:
            ground.articles(1)
            assert worker.terminate() == 0
            assert "hidden" not in worker.log.read_text()
        ground.put("b")
        in_url = proxy.url.replace("://", "://me:hidden%3Aword@")
        with ground.worker({"url": in_url}) as worker:
            ground.articles(2)
            assert worker.terminate() == 0
            assert "hidden" not in worker.log.read_text()


def test_a_certificate(ground: Ground, tmp_path: Path) -> None:
    files = Certificates(tmp_path)
    with RegistryProxy(ground.url, tls=files.server(asks=True)) as proxy:
        ground.put("a")
        registry = {"url": proxy.url, "ssl.ca.location": str(files.ca)}
        with ground.worker(registry, shutdown_timeout_s=8) as worker:
            worker.wait_until(lambda: waits(worker), "it is not let in")
            assert worker.terminate() == 0
        registry |= {
            "ssl.certificate.location": str(files.client),
            "ssl.key.location": str(files.client_key),
            "ssl.key.password": PASSWORD,
        }
        with ground.worker(registry) as worker:
            ground.articles(1)
            assert worker.terminate() == 0
            assert PASSWORD not in worker.log.read_text()


def test_an_address_that_is_no_registry_s(ground: Ground) -> None:
    with ground.worker({"url": ground.url.replace("/apis/ccompat/v7", "")}) as worker:
        assert worker.wait() == 1
        assert "no schema registry" in worker.log.read_text() or (
            "no such page" in worker.log.read_text()
        )


def test_a_file_that_is_missing_is_a_wrong_setting(ground: Ground) -> None:
    with ground.worker({"ssl.ca.location": "/nowhere/ca.pem"}) as worker:
        assert worker.wait() == 2
        assert "registry" in worker.log.read_text()
        assert "Traceback" not in worker.log.read_text()


def test_ninjs_by_the_protobuf_that_its_makers_publish(ground: Ground) -> None:
    published = compiled(NINJS.read_text(encoding="utf-8"))
    item = message_class(published, "Ninjs")
    message = item(
        uri="urn:newsroom:20",
        type="text",
        headlines=[{"role": "main", "value": "Ada met Bo."}],
        bodies=[{"contenttype": "text/html", "value": "<p>Ada came.</p>"}],
        associations=[{"uri": "urn:newsroom:21", "pubstatus": "withheld"}],
    )
    picture = item(uri="urn:newsroom:22", type="picture")
    write = ProtobufSerializer(item, ground.client, {"subject.name.strategy.type": "TOPIC"})
    context = SerializationContext(ground.input, MessageField.VALUE)
    produce(ground.kafka, ground.input, [write(one, context) or b"" for one in (message, picture)])
    with ground.worker(input_format="protobuf", preset="ninjs") as worker:
        records = wait_for_records(ground.kafka, ground.output, 2)
        assert read_all(ground.kafka, ground.dead) == []
        assert worker.terminate() == 0
    values = [record.value or b"" for record in records]
    tagged = message_class(with_additions(published, [0], AT_TOP.top), "Ninjs")
    context = SerializationContext(ground.output, MessageField.VALUE)
    reading = {"subject.name.strategy.type": "TOPIC"}
    whole: list[Any] = [
        ProtobufDeserializer(tagged, reading, ground.client)(one, context) for one in values
    ]
    found = {(one.field, one.text, one.start) for one in whole[0].entities}
    assert found == {
        ("/headlines/0/value", "Ada", 0),
        ("/headlines/0/value", "Bo", 8),
        ("/bodies/0/value", "Ada", 3),
    }
    assert (list(whole[1].entities), whole[1].tagging.skipped) == ([], "no_text")
    # Who has the published classes reads on, and finds what was written.
    older = ProtobufDeserializer(item, reading, ground.client)
    for value, was in zip(values, (message, picture), strict=True):
        read: Any = older(value, context)
        read.DiscardUnknownFields()
        assert read == was


def test_avro_in_and_json_out(ground: Ground) -> None:
    ground.put("a", schema=NEW, desk="world")
    with ground.worker(output_format="json", output_field="nerstream") as worker:
        (record,) = wait_for_records(ground.kafka, ground.output, 1)
        assert worker.terminate() == 0
    article = json.loads(record.value or b"")
    assert {name: article[name] for name in ("id", "desk")} == {"id": "a", "desk": "world"}
    assert [one["text"] for one in article["nerstream"]["entities"]] == ["Ada"]
    assert f"{ground.output}-value" not in ground.client.get_subjects()


@contextmanager
def registry_of_ones_own() -> Iterator[Any]:
    server = registry_or_skip()
    try:
        yield server
    finally:
        server.stop()


def test_doctor_asks_the_registry_as_the_worker_does(
    ground: Ground, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(**registry: str) -> tuple[int, dict[str, dict[str, Any]], str]:
        settings = ground.settings(registry)
        flags = [
            word
            for name, value in settings.items()
            for word in (
                [f"--{name.replace('_', '-')}", str(value)]
                if name != "registry"
                else [part for one in value.items() for part in ("--registry", "=".join(one))]
            )
        ]
        code = cli.main(["doctor", "--json", "--no-model", "--sample", "10", *flags])
        out, err = capsys.readouterr()
        assert "hidden" not in out + err
        lines = [json.loads(line) for line in out.splitlines()]
        return code, {one["check"]: one for one in lines}, out

    ground.put("a", "b")
    code, found, out = asked()
    assert (code, found["answer"]["room"], found["answer"]["status"]) == (0, "registry", "green"), (
        out
    )
    assert found["answer"]["text"] == f"{ground.url} answers; messages are in avro"
    assert found["rejections"]["text"] == "none of 2 messages would be rejected"

    with RegistryProxy(ground.url, user_info="me:hidden:word") as proxy:
        code, found, out = asked(url=proxy.url)
        assert (code, found["answer"]["status"]) == (1, "red"), out
        assert (
            f"the schema registry {proxy.url} refuses the worker (HTTP 401"
            in (found["answer"]["text"])
        )
        assert "registry.basic.auth.user.info" in found["answer"]["remedy"]
        # Kafka is judged all the same.
        assert found["bootstrap"]["status"] == "green"
        monkeypatch.setenv("NERSTREAM_REGISTRY_BASIC_AUTH_USER_INFO", "me:hidden:word")
        code, found, out = asked(url=proxy.url)
        assert (code, found["answer"]["status"]) == (0, "green"), out
        proxy.shut()
        code, found, out = asked(url=proxy.url)
    assert (code, found["answer"]["status"]) == (1, "red"), out
    assert "does not answer" in found["answer"]["text"]
    assert "check registry.url" in found["answer"]["remedy"]
    assert found["rejections"]["status"] == "grey"
