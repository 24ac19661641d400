"""Every choice, declared once: what a setting, a metric's label, a header or a message may say.

Settings, metrics, the tagger and the references are made from these.
"""

from __future__ import annotations

import re
from enum import StrEnum

# --- Settings


class Delivery(StrEnum):
    """What a reader of the output topic may rely on."""

    EXACTLY_ONCE = "exactly_once"
    AT_LEAST_ONCE = "at_least_once"


class GroupProtocol(StrEnum):
    """How the group shares out the partitions."""

    CLASSIC = "classic"
    CONSUMER = "consumer"


class OffsetReset(StrEnum):
    """Where a group begins that has committed nothing, and whether a lost place stops it."""

    EARLIEST = "earliest"
    LATEST = "latest"
    ERROR = "error"


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


class Dtype(StrEnum):
    """The precision in which the model computes."""

    AUTO = "auto"  # the fastest on this device that keeps the entities
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"
    INT16 = "int16"  # on a CPU alone
    INT8 = "int8"  # on a CPU alone


#: What a device may be called, for who has called it otherwise.
DEVICE_FORMS = "auto, cpu, cuda or cuda:N"

_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,4})?")


def is_device(name: str) -> bool:
    """Whether a device may be called so, see `DEVICE_FORMS`; not whether it is there."""
    return _DEVICE.fullmatch(name) is not None


class Aggregation(StrEnum):
    """How token labels become entities; all but `word` are Hugging Face's, by the same names."""

    WORD = "word"
    NONE = "none"
    SIMPLE = "simple"
    FIRST = "first"
    AVERAGE = "average"
    MAX = "max"


class InputFormat(StrEnum):
    """How the values of messages are written; all but `json` need a schema registry."""

    JSON = "json"
    JSON_SCHEMA = "json-schema"
    AVRO = "avro"
    PROTOBUF = "protobuf"


class OutputFormat(StrEnum):
    """How the enriched messages are written."""

    SAME = "same"  # as the input
    JSON = "json"
    JSON_SCHEMA = "json-schema"
    AVRO = "avro"
    PROTOBUF = "protobuf"


class SubjectNameStrategy(StrEnum):
    """Under which subject the schema of the output is registered; Confluent's strategies."""

    TOPIC = "topic"  # <output topic>-value
    RECORD = "record"  # <full name of the record>
    TOPIC_RECORD = "topic-record"  # <output topic>-<full name of the record>


class NoText(StrEnum):
    """What becomes of a message that holds no text to tag."""

    REJECT = "reject"
    PASS = "pass"


class AlreadyTagged(StrEnum):
    """What becomes of a message that carries the answer of this very model."""

    TAG = "tag"
    PASS = "pass"


class Preset(StrEnum):
    """Messages of a known kind, for which settings are ready."""

    NONE = "none"
    NINJS = "ninjs"
    NEWSARTICLE = "newsarticle"
    CLOUDEVENTS = "cloudevents"


class TextFormat(StrEnum):
    """What the text of a field is."""

    PLAIN = "plain"
    REFERENCES = "references"  # plain but for character references: `Smith &amp; Baird`
    HTML = "html"  # and XHTML


class Switch(StrEnum):
    """A setting that is on or off."""

    OFF = "off"
    ON = "on"


# --- What passes without being tagged


class SkipReason(StrEnum):
    """Why a message passed without being tagged; the value of `tagging.skipped`."""

    NO_TEXT = "no_text"  # it holds no text where the settings say that text is
    LANGUAGE = "language"  # its language is none of those that are tagged


# --- Rejections


class RejectCode(StrEnum):
    """Why a message became a dead letter; the value of `__nerstream.errors.code`."""

    INVALID_UTF8 = "invalid_utf8"  # the value's bytes are not UTF-8
    INVALID_JSON = "invalid_json"  # UTF-8, but not one JSON value
    NESTED_TOO_DEEP = "nested_too_deep"  # arrays or objects nested past the limit
    NOT_AN_OBJECT = "not_an_object"  # JSON, but a list, string, number, true, false or null
    NOT_FRAMED = "not_framed"  # does not begin with a zero byte and the id of a schema
    UNKNOWN_SCHEMA = "unknown_schema"  # the schema registry has no schema of this id
    WRONG_SCHEMA = "wrong_schema"  # the schema is of another format, or takes no entities
    INVALID_AVRO = "invalid_avro"  # the bytes are none that the schema could have written
    INVALID_PROTOBUF = "invalid_protobuf"  # as `invalid_avro`
    MISSING_ID = "missing_id"  # no field `id`
    EMPTY_ID = "empty_id"  # `id` is the empty string
    WRONG_TYPE = "wrong_type"  # `id` or a text field is not a string
    NO_TEXT = "no_text"  # no text field, or only empty ones
    INVALID_HEADER = "invalid_header"  # a header's name is not UTF-8 or has a NUL
    TOKENIZATION_FAILED = "tokenization_failed"  # the tokenizer raised on this text alone
    OUT_OF_MEMORY = "out_of_memory"  # a single article that the device cannot hold
    NOT_A_NUMBER = "not_a_number"  # the model answered with NaN or infinite logits
    TOO_LARGE = "too_large"  # the enriched message exceeds what the output topic takes
    TIMESTAMP_REFUSED = "timestamp_refused"  # it is 0, or the output topic does not take it
    RECORD_REFUSED = "record_refused"  # the output topic does not take it, without a key perhaps


class RejectStage(StrEnum):
    """The step in which a message was rejected; the value of `__nerstream.errors.stage`."""

    PREPARE = "prepare"
    TAG = "tag"
    PUBLISH = "publish"


# --- What happens on the way, as metrics tell it


class Step(StrEnum):
    """What the worker does with a unit of work; the commit is a step of the publish stage."""

    POLL = "poll"
    PREPARE = "prepare"
    TAG = "tag"
    PUBLISH = "publish"
    COMMIT = "commit"


class Queue(StrEnum):
    """A queue between two stages."""

    INCOMING = "incoming"  # messages that were read
    BATCHES = "batches"  # for the model
    TAGGED = "tagged"  # batches with their outcomes, for Kafka


class WorkerState(StrEnum):
    """Where a worker under a supervisor is in its life."""

    AWAITED = "awaited"  # its start, or next start, is put off
    STARTING = "starting"
    WORKING = "working"
    ENDED = "ended"


class ReleaseReason(StrEnum):
    """Why work in flight was let go without an outcome; the message will be read again."""

    REVOKED = "revoked"  # the partition moved to another worker
    REWOUND = "rewound"  # a transaction was aborted and the partition is read again
    STOPPED = "stopped"  # the worker ends, and would not have got to it in time


class TransactionOutcome(StrEnum):
    """How a transaction, or a commit under at_least_once, ended."""

    COMMITTED = "committed"
    ABORTED = "aborted"


class RebalanceEvent(StrEnum):
    """What the group told this worker about its partitions, and what it did about others."""

    ASSIGNED = "assigned"
    REVOKED = "revoked"
    LOST = "lost"
    REJOINED = "rejoined"  # it left and joined again, since no worker had some partition


class DropReason(StrEnum):
    """Why an entity that the model found is not published."""

    SCORE = "score"  # its score is below the least that is asked for
    TYPE = "type"  # its type is none of those that are kept


class JumpReason(StrEnum):
    """What became of the place at which a partition was read."""

    RECREATED = "recreated"  # the topic was deleted and made again: another topic of that name
    REMOVED = "removed"  # retention or DeleteRecords went past it before it was read
    CUT = "cut"  # it lies beyond the end: a leader without the newest messages was elected


class ShadowFate(StrEnum):
    """What became of an article of the sample that a second model is to tag too."""

    COMPARED = "compared"
    WORKER_BUSY = "worker_busy"  # skipped: batches were waiting, or full
    SHADOW_BEHIND = "shadow_behind"  # skipped: it had not done with the last ones
    REFUSED = "refused"  # the second model cannot tag it
    FAILED = "failed"  # its process has ended, or does not answer


class FoundBy(StrEnum):
    """Which of two models found an entity."""

    BOTH = "both"
    SERVING = "serving"  # the one that serves, alone
    SHADOW = "shadow"  # the second one, alone


class SpanFate(StrEnum):
    """What became of a span of a trace."""

    EXPORTED = "exported"  # the receiver took it
    FAILED = "failed"  # the receiver did not answer, or refused it
    DROPPED = "dropped"  # it found the queue full
