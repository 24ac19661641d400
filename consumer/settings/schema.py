"""Settings: every option once, with type, default, unit and doc.

Flags, `NERSTREAM_*` variables, the TOML file, the deploy files and the generated reference in
`docs/reference/settings.md` are all made from, or held against, this class. What one value may be
is in `consumer.settings.values`, and what must be true of several together is in
`consumer.settings.rules`. `consumer.settings.sources` reads the values and names the source of a
wrong one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from consumer.contracts.choices import (
    Aggregation,
    AlreadyTagged,
    Delivery,
    Dtype,
    GroupProtocol,
    InputFormat,
    LogFormat,
    LogLevel,
    NoText,
    OffsetReset,
    OutputFormat,
    Preset,
    SubjectNameStrategy,
    Switch,
)
from consumer.settings import rules
from consumer.settings.presets import preset_values
from consumer.settings.run_bounds import EARLIEST, END, run_group
from consumer.settings.secrets import MASK, masked, without_user
from consumer.settings.values import (
    AUTO,
    Checksums,
    Count,
    CountOrNone,
    Device,
    GroupName,
    KafkaProperties,
    Languages,
    Milliseconds,
    Models,
    Name,
    NonEmpty,
    OptionalGroupName,
    OptionalMember,
    OptionalNames,
    OptionalPath,
    OptionalUrl,
    RegistryProperties,
    RunBegin,
    RunEnd,
    Seconds,
    Share,
    TextFields,
    TextFormats,
    Threads,
    Topic,
    Topics,
    TypeNames,
    Workers,
)

#: Where `--help` and the reference begin a new group: its title and its first setting.
GROUPS = {
    "bootstrap_servers": "Kafka",
    "delivery": "Delivery",
    "preset": "Messages",
    "min_score": "Entities",
    "input_format": "Schemas",
    "run_from": "Go back in time",
    "model": "Model",
    "batch_tokens": "Batching",
    "workers": "Life and death",
    "admin_host": "Telemetry",
}


class Settings(BaseModel):
    """All settings of `nerstream run`. Immutable; the description of a field is its doc."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    # --- Kafka
    bootstrap_servers: NonEmpty = "localhost:9092"
    """Brokers to start from, `host:port`, several separated by commas."""
    input_topics: Topics = ("articles",)
    """Topics to read, separated by commas. One that begins with `^` is a pattern: a regular
    expression of Python's for whole names, so `^news-.*` and not `^news-`. It takes in Kafka's own
    topics, which begin with `__`, only where it begins with `^__`."""
    output_topic: Topic = "articles-tagged"
    """Topic for the enriched articles; it must exist or the broker must create topics."""
    dead_letter_topic: Topic = "articles-dead-letters"
    """Topic for the rejected messages; it must exist or the broker must create topics."""
    group_id: GroupName = "nerstream"
    """Consumer group; all workers that share the input have the same."""
    group_protocol: GroupProtocol = GroupProtocol.CLASSIC
    """`classic` is cooperative-sticky; `consumer` is KIP-848 and needs brokers of 4.0 or later."""
    instance: Name = ""
    """Name of this worker within its group; its transactional id is `group_id@instance`. Empty
    takes the host name and the first free number on this host. Two workers must never share one."""
    topic_discovery_interval_s: Annotated[float, Field(ge=1, le=3_600)] = 10.0
    """Seconds between two looks for new partitions and, where there are patterns, for new topics.
    A look for new topics asks for the metadata of all topics of the cluster, some 50 bytes a
    partition. New partitions are looked for every 12 minutes at least."""
    auto_offset_reset: OffsetReset = OffsetReset.EARLIEST
    """Where a group begins that has no offset yet for a topic, or for any that a pattern takes in:
    `earliest` or `latest`. It commits that position before it is ready. What such a topic or
    pattern gets later, a partition or a topic, is read from its beginning under either. Where the
    place of a committed offset is gone (removed, cut, or of a topic that was made again), what is
    there is read under either. `error` stops the worker in all these cases."""
    kafka: KafkaProperties = Field(default_factory=dict)
    """Any other librdkafka property, as `kafka.NAME` (TLS, SASL, timeouts); both clients get it. A
    secret may stand in a file: `kafka.sasl.password_file`."""

    # --- Delivery
    delivery: Delivery = Delivery.EXACTLY_ONCE
    """`exactly_once` commits outputs and offsets in one transaction; `at_least_once` commits
    offsets once the outputs are acknowledged."""
    commit_interval_ms: Milliseconds = 100
    """Longest time, in milliseconds, that a transaction stays open to take further batches. Under
    `exactly_once` at most half of `transaction_timeout_ms`."""
    transaction_timeout_ms: Annotated[int, Field(ge=1_000, le=900_000)] = 30_000
    """Milliseconds after which the broker aborts a transaction of a worker that went silent."""
    dead_letter_max_ratio: Share = 0.5
    """Share of rejected messages over the window above which the worker stops; 1 never stops."""
    dead_letter_window_messages: Count = 500
    """Messages that the share is taken over; nothing is judged before so many were seen."""

    # --- Messages
    preset: Preset = Preset.NONE
    """Messages of a known kind: `ninjs` (IPTC's, 1.x to 3.x), `newsarticle` (schema.org's) or
    `cloudevents`. It sets the other settings of this group, as the guide "Your messages" lists
    them; what is given by itself wins."""
    text_fields: TextFields = ("title", "body")
    """Where an article's texts are, separated by commas, in the order of the entities: names of
    fields, or paths in JMESPath (`payload.body`, `headlines[*].value`,
    `bodies[?contenttype=='text/plain'].value`). What a path finds is a field each; its entities
    name it by its JSON Pointer."""
    id_field: OptionalPath = "id"
    """Name or path of an article's id, a string or a whole number. Empty asks for none."""
    no_text: NoText = NoText.REJECT
    """What becomes of a message without text, such as a picture: `reject` makes it a dead letter,
    `pass` publishes it with no entities and `"skipped": "no_text"` in `tagging`."""
    output_field: OptionalMember = ""
    """Member that `entities` and `tagging` are put into: a name, or names with dots between them
    (`x.nerstream`). Empty puts them beside the article's own fields."""
    text_format: TextFormats = ("plain",)
    """What the texts are: `plain`; `html`, XHTML included, whose mark-up is not tagged; or
    `references`, plain but for character references (`Smith &amp; Baird`). One format for all, or
    `FIELD=FORMAT` for some, separated by commas: `html,title=plain`. `start` and `end` count code
    points of the field as it came in under each."""
    text_format_field: str = ""
    """Name of the member beside a text that holds its media type, such as `contenttype`:
    `text/html` and `application/xhtml+xml` are read as `html`, `text/plain` is not. Where it says
    neither, `text_format` does. Empty looks for none."""
    language_field: OptionalPath = ""
    """Name or path of an article's language, a code such as `en` or `de-AT`; it is told in
    `tagging.language`. Empty is none."""
    languages: Languages = ()
    """Languages that are tagged, as codes separated by commas (`en,de`); `und` stands for articles
    whose language is not known. Others are published with no entities and
    `"skipped": "language"` in `tagging`. Empty tags all."""
    language_detection: Switch = Switch.ON
    """Whether the language is detected from the text where `languages` or `models` ask for it and a
    message does not say it; it needs `nerstream[languages]`. `off` takes it for not known."""

    # --- Entities
    min_score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    """Least score of an entity that is published."""
    types: OptionalNames = ()
    """Types of entities that are published, by the model's names, separated by commas. Empty
    publishes all."""
    type_names: TypeNames = ()
    """What types are called in the output: `PER=person,LOC=place`. Others keep the model's name;
    several may get one name, and are one type then."""
    group_mentions: Switch = Switch.OFF
    """Whether `names` stands beside `entities`: each name of the article once, with its longest
    form and the indexes of its entities."""

    # --- Schemas
    input_format: InputFormat = InputFormat.JSON
    """How the values of the input's messages are written: `json`, or, with the schema of each
    message in a schema registry, `avro`, `protobuf` or `json-schema`. These need `registry.url` and
    the extra `nerstream[registry]`."""
    output_format: OutputFormat = OutputFormat.SAME
    """How the enriched messages are written: `same` as the input, or `json`. The schema of an
    output is its input's with what is added; it is registered with the first message that needs
    it."""
    subject_name_strategy: SubjectNameStrategy = SubjectNameStrategy.TOPIC
    """Under which subject that is registered, as Confluent's strategies have it: `topic` is
    `OUTPUT_TOPIC-value`, `record` the full name of the record, `topic-record` both with a hyphen
    between them. The subject's compatibility rule holds: where it refuses a schema, the worker
    ends."""
    registry: RegistryProperties = Field(default_factory=dict)
    """The schema registry, by the properties of Confluent's client, as `registry.NAME`: `url`,
    `basic.auth.user.info`, `ssl.ca.location`, `ssl.certificate.location`, `ssl.key.location` and so
    on; a secret may stand in a file: `registry.basic.auth.user.info_file`. With
    `auto.register.schemas=false` the schemas of the output must have been registered
    before. A registry that does not answer is waited for."""

    # --- Go back in time
    run_from: RunBegin = ""
    """Makes this a bounded run, which ends by itself, and says where it begins in each partition:
    `earliest`, `latest`, or a time such as `2026-11-29T06:30` (UTC unless it says `+01:00`) or
    `2026-11-29`: then at the first message of that time or later. The places of begin and end are
    fixed once, by the first start; a start of the same run goes on. A time before 1970 is that of
    1970. Empty is `earliest` where `run_until` or `run_group` is given."""
    run_until: RunEnd = ""
    """Where a bounded run ends in each partition: `end`, behind all that is there when it is first
    started, or a time that is past: before the first message of that time or later. Empty is `end`
    where `run_from` or `run_group` is given."""
    run_group: OptionalGroupName = ""
    """Group of a bounded run, which keeps its places. Empty makes one of `group_id`, both bounds,
    the topics and the model: the same request is the same run. A name of its own begins another
    run of the same request."""
    already_tagged: AlreadyTagged = AlreadyTagged.TAG
    """What becomes of a message whose `tagging` names this very model and revision: `tag` tags it
    again, `pass` publishes it as it is, byte for byte. The flag `--only-other-revisions` is short
    for `pass`: it brings a topic of tagged articles to another model."""

    # --- Model
    model: NonEmpty = "dslim/bert-base-NER"
    """Hugging Face token-classification model: hub id, local folder, or `bundled`."""
    revision: str = ""
    """Commit, tag or branch of the hub model; pin a commit in production. Empty takes `main`."""
    models: Models = Field(default_factory=dict)
    """In place of `model` and `revision`, a model for each language: `en`, `de` and so on, as the
    articles' languages begin, and `*` for all others. Each is what `model` takes, or
    `MODEL@REVISION`. Languages that name the same model share it. Where there is no `*`, an article
    of another language, or of none that is known, is published with no entities and
    `"skipped": "language"` in `tagging`. `language_field` and `language_detection` say how an
    article's language is known."""
    model_sha256: Checksums = ()
    """Checksum of all files of the model that are read, as `nerstream doctor` shows it; a model
    whose files have another is refused. With `models` one for each, separated by commas. Empty
    takes any."""
    require_pinned_model: Switch = Switch.OFF
    """`on` refuses a model that may be another tomorrow: one of the hub without its commit as
    revision, or a folder, without `model_sha256`. The bundled one is part of nerstream."""
    shadow_model: str = ""
    """A second model, `MODEL` or `MODEL@REVISION`, that tags a share of the articles too, in a
    process of its own. Metrics say how far both agree, by type, and the log has examples. It never
    touches the output, and is skipped while the worker is busy. Empty is none."""
    shadow_share: Share = 0.05
    """Share of articles that it is offered: the same ones in every run, by their ids."""
    shadow_examples: CountOrNone = 6
    """Differences that are logged a minute at most, with the entities' text; 0 logs none."""
    device: Device = "auto"
    """`auto`, `cpu`, `cuda` or `cuda:N`."""
    dtype: Dtype = Dtype.AUTO
    """Precision of the model; `int16` and `int8` are for a CPU. `auto` is the fastest that
    keeps the entities: bfloat16 on a GPU and on a CPU that multiplies it, else int16 on AMD's
    since Zen 3, if the model's layers are such as it takes, else float32; and int8 on a CPU
    with AVX-512 VNNI and no AMX, if the model's `nerstream.json` says that it keeps them so, as
    the bundled model's does; `nerstream compare --write` measures and writes it for another. A
    model that does not run in what that is runs in float32. `float32` by name has transformers'
    numbers to the last digit; `auto`, where that is float32, is somewhat faster."""
    threads: Threads = 0
    """CPU threads of the model; 0 leaves it to torch (one a core)."""
    tokenizer_processes: Annotated[int, Field(ge=0, le=256)] = 0
    """Processes that tokenise beside the worker, for a GPU whose worker has a core of its own busy
    all the time; each takes a core and some 60 MiB. 0 tokenises in the worker's own threads."""
    aggregation: Aggregation = Aggregation.WORD
    """How labels become entities: `word` (never inside a word) or Hugging Face's strategies."""
    window_overlap_tokens: CountOrNone = 64
    """Tokens that neighbouring windows of a long text share; at most half of a window."""
    window_tokens: CountOrNone = 0
    """Longest window that the model sees at once, in tokens, special tokens included; 0, or more
    than the model takes, is the model's own limit."""

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
    workers: Workers = "1"
    """Workers of the group that this process starts and watches over, each a process of its own
    with its share of the cores or the device; from 1 to 256. One that ends is started again.
    `auto` fills the machine: on a CPU by cores and `threads`, on a GPU 4 with 3 processes that
    tokenise beside each, within memory and partitions. The admin port has the metrics of all, by
    the label `worker`."""
    shutdown_timeout_s: Seconds = 30.0
    """Seconds that a drain may take after SIGTERM before the worker gives up, uncommitted. What has
    not begun by half of it, or when no more than two batches can be done in what is left, is let
    go, for the next worker: one that is behind holds more than a slow device gets done in time."""
    revoke_timeout_s: Seconds = 10.0
    """Seconds that a rebalance waits for what is finished to be committed."""
    stall_timeout_s: Seconds = 120.0
    """Seconds without progress, with work at hand, after which `/healthz` turns red. Where it is
    the model that hangs, the worker then ends with exit code 1, uncommitted, to be started anew;
    so it must be longer than the longest forward pass, the first one included."""

    # --- Telemetry
    admin_host: NonEmpty = "127.0.0.1"
    """Address of `/metrics`, `/healthz` and `/readyz`. `127.0.0.1` is for this machine alone;
    `0.0.0.0` is every address of it, as a container needs: the image sets that."""
    admin_port: Annotated[int, Field(ge=0, le=65_535)] = 9464
    """Port of the same; 0 takes a free one and logs it."""
    admin_tls_cert: str = ""
    """Certificate for TLS on that port, a file in PEM with its chain after it. With it goes
    `admin_tls_key`. Both are read again when they change. Empty speaks HTTP without TLS."""
    admin_tls_key: str = ""
    """Key of that certificate, a file in PEM without a password."""
    admin_credentials_file: str = ""
    """File with who may read that port: a line `USER:PASSWORD` for basic authentication, or a token
    for bearer, of 12 characters or more; several are valid at once, and lines that begin with `#`
    are passed over. It is read again when it changes. `/healthz` and `/readyz` answer without
    credentials, but then without reasons. Empty lets everybody read."""
    traces: Switch = Switch.OFF
    """Whether spans of articles, batches and transactions go to a receiver of OpenTelemetry's OTLP
    (`http/protobuf`); it needs `nerstream[otel]`. The standard's variables (`OTEL_EXPORTER_OTLP_*`,
    `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*` and so on) say the rest."""
    traces_share: Share = 0.01
    """Share of articles that are traced, of those whose message has no header `traceparent`; one
    that has it is traced if its sender recorded it. `OTEL_TRACES_SAMPLER`, where it is set, is in
    the place of this."""
    traces_endpoint: OptionalUrl = ""
    """Address of the receiver without a path, such as `http://collector:4318`. Empty takes
    `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` or `OTEL_EXPORTER_OTLP_ENDPOINT`, or else
    `http://localhost:4318`."""
    admin_show_text: Switch = Switch.OFF
    """Whether the page at `/` shows excerpts of the latest articles, with their names in colour,
    and of the latest rejected messages, with the reason. `off`, since everybody who may ask the
    port would read them, articles under embargo too; figures are shown in any case. It has an
    effect with `workers=1` alone: the page of several adds up their figures and shows no text."""
    log_format: LogFormat = LogFormat.AUTO
    """`auto` is readable on a terminal and JSON elsewhere."""
    log_level: LogLevel = LogLevel.INFO
    """Least level that is logged."""

    @model_validator(mode="before")
    @classmethod
    def _preset_values(cls, values: Any) -> Any:
        """The settings of the preset, where they are not given."""
        preset = values.get("preset", Preset.NONE)
        known = preset in Preset.__members__.values()
        return preset_values(Preset(preset), values) if known else values

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        rules.topics_differ(self.input_topics, self.output_topic, self.dead_letter_topic)
        rules.commits_fit(self.delivery, self.commit_interval_ms, self.transaction_timeout_ms)
        has_names = self.group_mentions is Switch.ON
        told = ("id_field", "language_field", "text_format_field")
        told_fields = {name: getattr(self, name) for name in told}
        rules.fields_differ(self.text_fields, told_fields, self.output_field, has_names=has_names)
        rules.formats_go_together(self.input_format, self.output_format, self.registry)
        rules.formats_are_of_texts(self.text_format, self.text_fields)
        rules.languages_have_models(self.languages, self.models)
        rules.run_is_one(self.group_id, self.run_group, self.run_from, self.run_until)
        return self

    @property
    def is_bounded(self) -> bool:
        """Whether the worker ends by itself, at the ends of a run."""
        return bool(self.run_from or self.run_until or self.run_group)

    @property
    def worker_count(self) -> int | None:
        """The number of workers; None is `auto`."""
        return None if self.workers == AUTO else int(self.workers)

    def for_run(self) -> Self:
        """These settings with both bounds and the group of the bounded run; the same where there is
        none."""
        if not self.is_bounded:
            return self
        begins, ends = self.run_from or EARLIEST, self.run_until or END
        models = sorted(f"{language}={model}" for language, model in self.models.items())
        named = [*sorted(self.input_topics), "", self.output_topic]
        named += [self.model, self.revision, *models]
        group = self.run_group or run_group(self.group_id, begins, ends, named)
        bounds = {"run_from": begins, "run_until": ends}
        return self.model_copy(update={**bounds, "run_group": group, "group_id": group})

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What the text of this object shows, wherever it may be printed."""
        yield from self.shown().items()

    def shown(self) -> dict[str, Any]:
        """The settings for a log line or a page, with secrets masked."""
        values = self.model_dump(mode="json")
        values["traces_endpoint"] = without_user(self.traces_endpoint, f"{MASK}@")
        values["kafka"] = masked(self.kafka)
        values["registry"] = masked(self.registry)
        return values
