"""How the messages of a fault run are spelled: in JSON, or in Avro with a schema registry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from consumer.codec.json_comparison import JsonComparison
from consumer.codec.registry import framing
from consumer.contracts.ports import Comparison
from consumer.loading import comparison_from
from consumer.settings.schema import Settings
from tests.faults.feeding import inputs
from tests.faults.workers.light_tagger import NOT_A_NUMBER
from tests.integration.rigs.helpers import Record
from tests.integration.servers.registry_server import RegistryServer
from tests.support.memory.memory_registry import avro_message, avro_read


class Wire(Protocol):
    """Makes what is fed, and reads what comes out."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the workers need to know."""
        ...

    @property
    def comparison(self) -> Comparison:
        """Holds outputs against inputs, as `nerstream audit` does."""
        ...

    def record(self, number: int) -> Record:
        """Message `number`, without a key and a partition."""
        ...

    def expected(self, number: int) -> inputs.Expected:
        """What must come of it."""
        ...

    def is_long(self, number: int) -> bool:
        """Whether it is one of the long articles."""
        ...

    def read(self, value: bytes) -> dict[str, Any]:
        """What a message holds."""
        ...


class JsonWire:
    """The inputs as they are."""

    settings: Mapping[str, Any] = {}
    comparison: Comparison = JsonComparison()

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    def record(self, number: int) -> Record:
        return inputs.record(number, self._seed)

    def expected(self, number: int) -> inputs.Expected:
        return inputs.expected(number, self._seed)

    def is_long(self, number: int) -> bool:
        return inputs.is_long(number, self._seed)

    def read(self, value: bytes) -> dict[str, Any]:
        document = json.loads(value)
        assert isinstance(document, dict)
        return document


JSON_WIRE = JsonWire()

_OLD: dict[str, Any] = {
    "type": "record",
    "name": "faults.Article",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "title", "type": ["null", "string"]},
        {"name": "body", "type": "string"},
        {"name": "n", "type": "long"},
    ],
}
_NEW: dict[str, Any] = {
    **_OLD,
    "fields": [*_OLD["fields"], {"name": "desk", "type": "string", "default": "none"}],
}

#: Messages of one version of the schema, before the other one comes again.
_VERSION_MESSAGES = 400

_UNKNOWN = b"\x00\x7f\xff\xff\xff\x02a"


class AvroWire:
    """The same articles in Avro, in two versions of their schema by turns.

    Args:
        server: the registry; rows may stop it.
        topic: the input topic.
    """

    def __init__(self, server: RegistryServer, topic: str, seed: int = 0) -> None:
        self.server = server
        self._seed = seed
        self._client = SchemaRegistryClient({"url": server.address})
        self._ids = [
            self._client.register_schema(f"{topic}-value", Schema(json.dumps(schema), "AVRO"))
            for schema in (_OLD, _NEW)
        ]
        self.comparison: Comparison = comparison_from(Settings(**self.settings))
        self._schemas: dict[int, Any] = dict(zip(self._ids, (_OLD, _NEW), strict=True))

    @property
    def settings(self) -> Mapping[str, Any]:
        registry = {"url": self.server.address, "timeout": "2"}
        return {"input_format": "avro", "registry": registry}

    def record(self, number: int) -> Record:
        plain = inputs.record(number, self._seed)
        if plain.value is None:
            return plain
        code = self.expected(number).rejected
        value = self._poison(code) if code else self._article(number, plain.value)
        return replace(plain, value=value)

    def expected(self, number: int) -> inputs.Expected:
        right = inputs.expected(number, self._seed)
        return right if right.rejected is None else replace(right, rejected=_CODES[right.rejected])

    def is_long(self, number: int) -> bool:
        return inputs.is_long(number, self._seed)

    def read(self, value: bytes) -> dict[str, Any]:
        schema_id = framing.schema_id_of(value)
        if schema_id not in self._schemas:
            text = self._client.get_schema(schema_id).schema_str
            assert text is not None
            self._schemas[schema_id] = json.loads(text)
        record = avro_read(value, self._schemas[schema_id])
        assert isinstance(record, dict)
        return record

    def close(self) -> None:
        self._client.close()
        self.comparison.close()

    def _article(self, number: int, plain: bytes) -> bytes:
        version = number // _VERSION_MESSAGES % 2
        return self._written(version, {**json.loads(plain), "desk": "world"})

    def _poison(self, code: str) -> bytes:
        match code:
            case "not_framed":
                return b'{"id": "x", "body": "Ada"}'
            case "unknown_schema":
                return _UNKNOWN
            case "invalid_avro":
                return framing.prefix(self._ids[0]) + b"\x02"
            case "empty_id":
                return self._written(0, {"id": "", "title": "Ada", "body": "", "n": 0})
            case "no_text":
                return self._written(0, {"id": "x", "title": None, "body": "", "n": 0})
            case _:
                body = f"Ada {NOT_A_NUMBER}"
                return self._written(0, {"id": "x", "title": None, "body": body, "n": 0})

    def _written(self, version: int, record: Mapping[str, Any]) -> bytes:
        schema = (_OLD, _NEW)[version]
        kept = {field["name"]: record[field["name"]] for field in schema["fields"]}
        return avro_message(self._ids[version], schema, kept)


#: What is wrong with a message in Avro where in JSON it is this.
_CODES = {
    "invalid_json": "invalid_avro",
    "invalid_utf8": "not_framed",
    "not_an_object": "not_framed",
    "missing_id": "empty_id",
    "wrong_type": "unknown_schema",
    "no_text": "no_text",
    "not_a_number": "not_a_number",
}
