"""Settings: every option once, with type, default, unit and doc.

Flags, `NERSTREAM_*` variables, the TOML file, the generated reference in `docs/settings.md` and
the deploy files are all made from, or held against, this class. `consumer.settings_sources`
reads the values and names the source of a wrong one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

#: What stands in the place of a secret wherever settings are shown.
MASK = "********"

#: librdkafka properties that the worker's guarantees rest on; they cannot be passed through.
RESERVED_KAFKA_PROPERTIES: Mapping[str, str] = {
    "bootstrap.servers": "use bootstrap_servers",
    "group.id": "use group_id",
    "group.protocol": "use group_protocol",
    "transactional.id": "use instance",
    "enable.auto.commit": "the worker commits by itself, after the outputs",
    "enable.auto.offset.store": "the worker commits by itself, after the outputs",
    "enable.idempotence": "it is always on, so that order holds",
    "auto.offset.reset": "use auto_offset_reset",
    "isolation.level": "it is always read_committed",
    "partitioner": "it is always murmur2_random, as in the Java client",
    "partition.assignment.strategy": "it is always cooperative-sticky",
    "enable.partition.eof": "the worker needs it for an exact lag",
    "transaction.timeout.ms": "use transaction_timeout_ms",
}

#: A property whose name holds one of these is a secret.
_SECRET_WORDS = ("password", "secret", "key.pem", "oauthbearer.config", "sasl.jaas")


class Delivery(StrEnum):
    """What a reader of the output topic may rely on."""

    EXACTLY_ONCE = "exactly_once"
    AT_LEAST_ONCE = "at_least_once"


class GroupProtocol(StrEnum):
    """How the group shares out the partitions."""

    CLASSIC = "classic"
    CONSUMER = "consumer"


class OffsetReset(StrEnum):
    """Where to begin without a committed offset, or with one that retention has removed."""

    EARLIEST = "earliest"
    LATEST = "latest"
    ERROR = "error"


class Aggregation(StrEnum):
    """How token labels become entities."""

    WORD = "word"
    NONE = "none"
    SIMPLE = "simple"
    FIRST = "first"
    AVERAGE = "average"
    MAX = "max"


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """The least level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Milliseconds = Annotated[int, Field(ge=0)]


class Settings(BaseModel):
    """All settings of `nerstream run`. Immutable; the description of a field is its doc."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    # --- Kafka
    bootstrap_servers: str = "localhost:9092"
    """Brokers to start from, `host:port`, several separated by commas."""
    input_topics: tuple[str, ...] = ("articles",)
    """Topics to read, separated by commas; one that begins with `^` is a pattern."""
    output_topic: str = "articles-tagged"
    """Topic for the enriched articles; it must exist or the broker must create topics."""
    dead_letter_topic: str = "articles-dead-letters"
    """Topic for the rejected messages; it must exist or the broker must create topics."""
    group_id: str = "nerstream"
    """Consumer group; all workers that share the input have the same."""
    group_protocol: GroupProtocol = GroupProtocol.CLASSIC
    """`classic` is cooperative-sticky; `consumer` is KIP-848 and needs brokers of 4.0 or later."""
    instance: str = ""
    """Name of this worker within its group, the end of its transactional id; empty takes the host
    name and the first free number on this host. Two workers must never share one."""
    auto_offset_reset: OffsetReset = OffsetReset.EARLIEST
    """Where to begin where no usable offset is committed; `error` stops the worker instead."""
    kafka: Mapping[str, str] = Field(default_factory=dict)
    """Any other librdkafka property, as `kafka.NAME` (TLS, SASL, timeouts); both clients get it."""

    # --- Delivery
    delivery: Delivery = Delivery.EXACTLY_ONCE
    """`exactly_once` commits outputs and offsets in one transaction; `at_least_once` commits
    offsets once the outputs are acknowledged."""
    commit_interval_ms: Milliseconds = 100
    """Longest time, in milliseconds, that a transaction stays open to take further batches."""
    transaction_timeout_ms: Annotated[int, Field(ge=1_000, le=900_000)] = 30_000
    """Milliseconds after which the broker aborts a transaction of a worker that went silent."""
    dead_letter_max_ratio: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of rejected messages over the window above which the worker stops; 1 never stops."""
    dead_letter_window_messages: Count = 500
    """Messages that the share is taken over; nothing is judged before so many were seen."""

    # --- Messages
    text_fields: tuple[str, ...] = ("title", "body")
    """Fields of an article that hold text, separated by commas, in the order of the entities."""

    # --- Model
    model: str = "dslim/bert-base-NER"
    """Hugging Face token-classification model: hub id, local folder, or `bundled`."""
    revision: str = ""
    """Commit, tag or branch of the hub model; pin a commit in production. Empty takes `main`."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    dtype: str = "auto"
    """`auto`, `float32`, `bfloat16` or `float16`; `auto` is float32 on CPU, bfloat16 on GPU."""
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads of the model; 0 leaves it to torch (one a core)."""
    aggregation: Aggregation = Aggregation.WORD
    """How labels become entities: `word` (never inside a word) or Hugging Face's strategies."""
    window_overlap_tokens: Annotated[int, Field(ge=0)] = 128
    """Tokens that neighbouring windows of a long text share."""

    # --- Batching
    batch_tokens: Count = 16_384
    """Tokens at which a batch is closed."""
    batch_articles: Count = 256
    """Articles at which a batch is closed."""
    batch_wait_ms: Milliseconds = 50
    """Longest time, in milliseconds, that an article waits for its batch to fill while the device
    is busy or more is coming; an idle device takes what there is at once."""
    in_flight_articles: Count = 4_096
    """Articles between poll and commit above which reading pauses."""
    in_flight_bytes: Count = 268_435_456
    """Bytes of messages between poll and commit above which reading pauses."""

    # --- Life and death
    shutdown_timeout_s: Seconds = 30.0
    """Seconds that a drain may take after SIGTERM before the worker gives up, uncommitted."""
    revoke_timeout_s: Seconds = 10.0
    """Seconds that a rebalance waits for what is finished to be committed."""
    stall_timeout_s: Seconds = 120.0
    """Seconds without progress, with work at hand, after which `/healthz` turns red."""

    # --- Telemetry
    admin_host: str = "0.0.0.0"
    """Address of `/metrics`, `/healthz` and `/readyz`."""
    admin_port: Annotated[int, Field(ge=0, le=65_535)] = 9464
    """Port of the same; 0 takes a free one and logs it."""
    log_format: LogFormat = LogFormat.AUTO
    """`auto` is readable on a terminal and JSON elsewhere."""
    log_level: LogLevel = LogLevel.INFO
    """Least level that is logged."""

    @field_validator("input_topics", "text_fields", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("input_topics", "text_fields")
    @classmethod
    def _names_at_least_one(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or any(not name for name in value):
            raise ValueError("must name at least one, separated by commas")
        if len(set(value)) != len(value):
            raise ValueError("names one of them twice")
        return value

    @field_validator("bootstrap_servers", "output_topic", "dead_letter_topic", "group_id", "model")
    @classmethod
    def _not_empty(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be empty")
        return value

    @field_validator("text_fields")
    @classmethod
    def _no_reserved_fields(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        reserved = sorted({"id", "entities", "tagging"} & set(value))
        if reserved:
            raise ValueError(f"{', '.join(reserved)} has a meaning of its own in the message")
        return value

    @field_validator("kafka")
    @classmethod
    def _no_reserved_properties(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        for name in value:
            if name in RESERVED_KAFKA_PROPERTIES:
                raise ValueError(
                    f"{name} cannot be passed through: {RESERVED_KAFKA_PROPERTIES[name]}"
                )
        return value

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        """Reading what one writes would tag for ever; two kinds of output need two topics."""
        if self.output_topic == self.dead_letter_topic:
            raise ValueError("output_topic and dead_letter_topic must differ")
        for name in (self.output_topic, self.dead_letter_topic):
            if name in self.input_topics:
                raise ValueError(f"input_topics must not hold {name}, which the worker writes to")
        return self

    def shown(self) -> dict[str, Any]:
        """The settings for a log line or a page, with secrets masked."""
        values = self.model_dump(mode="json")
        values["kafka"] = {
            name: MASK if any(word in name for word in _SECRET_WORDS) else value
            for name, value in self.kafka.items()
        }
        return values
