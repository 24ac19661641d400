"""Every metric, once: a comment says why it has its form, `worry` when to look closer.

`docs/reference/metrics.md`, the dashboard and the alert rules are made from, or held against, this
list.
"""

from __future__ import annotations

from functools import partial

from consumer.contracts.choices import (
    DropReason,
    JumpReason,
    Queue,
    RebalanceEvent,
    RejectCode,
    ReleaseReason,
    ShadowFate,
    SkipReason,
    SpanFate,
    Step,
    TransactionOutcome,
    WorkerState,
)
from consumer.telemetry.declaration import Declaration, Kind

_counter = partial(Declaration, Kind.COUNTER)
_gauge = partial(Declaration, Kind.GAUGE)
_histogram = partial(Declaration, Kind.HISTOGRAM)
_info = partial(Declaration, Kind.INFO)

#: The four that reconcile, with `IN_FLIGHT_MESSAGES`:
#: consumed = published articles + tombstones + rejected + released + in flight.
MESSAGES_CONSUMED = _counter(
    "nerstream_messages_consumed_total",
    "messages",
    "Messages read from the input topics, those that are read again included.",
    "It stands still while the lag grows: the worker is stuck, or paused behind a slow model.",
)
ARTICLES_PUBLISHED = _counter(
    "nerstream_articles_published_total",
    "articles",
    "Articles whose enriched message is committed.",
    "Its rate is below the rate at which articles are produced: add workers.",
)
#: A part of `ARTICLES_PUBLISHED`: each has an enriched message like any other.
ARTICLES_UNTAGGED = _counter(
    "nerstream_articles_untagged_total",
    "articles",
    "Published messages that no model read, by reason: they hold no text, or their language is "
    "not tagged. Their enriched message has no entities and says the reason.",
    "Its share of what is published leaps: `text_fields` or `languages` no longer fit the topic.",
    labels=("reason",),
    known=tuple(reason.value for reason in SkipReason),
)
#: A part of `ARTICLES_PUBLISHED` too.
ARTICLES_UNCHANGED = _counter(
    "nerstream_articles_unchanged_total",
    "articles",
    "Published messages that passed as they were, since this very model had tagged them "
    "(`already_tagged=pass`).",
    "It is all that is published: the topic is of this model already.",
)
TOMBSTONES_PUBLISHED = _counter(
    "nerstream_tombstones_published_total",
    "messages",
    "Messages with a null value that were passed on and committed.",
    "It moves although nobody deletes articles upstream.",
)
MESSAGES_REJECTED = _counter(
    "nerstream_messages_rejected_total",
    "messages",
    "Messages committed to the dead-letter topic, by error code.",
    "Its share of what is consumed nears `dead_letter_max_ratio`, at which the worker stops.",
    labels=("code",),
    known=tuple(code.value for code in RejectCode),
)
MESSAGES_RELEASED = _counter(
    "nerstream_messages_released_total",
    "messages",
    "Messages in flight that were let go without an outcome, by reason; they are read again.",
    "It moves steadily: rebalances or aborted transactions waste the work of the device.",
    labels=("reason",),
    known=tuple(reason.value for reason in ReleaseReason),
)
CONSUMED_BYTES = _counter(
    "nerstream_consumed_bytes_total",
    "bytes",
    "Bytes of the messages read: keys, values and headers.",
    "Divided by the messages it leaps: the articles have changed.",
)

# --- What was found and computed

ENTITIES = _counter(
    "nerstream_entities_total",
    "entities",
    "Entities in the committed articles, by type.",
    "The entities of an article drop to a fraction: wrong language, wrong model or empty texts.",
    labels=("type",),
)
ENTITIES_DROPPED = _counter(
    "nerstream_entities_dropped_total",
    "entities",
    "Entities that the model found and that are not published, by reason: their score is below "
    "`min_score`, or their type is none of `types`. They count when they are found, not when the "
    "article is committed.",
    "By `score` it leaps beside the entities: the texts, or the model, have changed.",
    labels=("reason",),
    known=tuple(reason.value for reason in DropReason),
)
TOKENS = _counter(
    "nerstream_tokens_total",
    "tokens",
    "Tokens of the articles that went through a model, overlaps and special tokens included.",
    "Its rate is what the device does; it falls while the batches stay full.",
    labels=("model", "revision"),
)
#: Beside `TOKENS`: their ratio over time is the padding, whatever the batches were.
COMPUTED_TOKENS = _counter(
    "nerstream_computed_tokens_total",
    "tokens",
    "Tokens that the device computed, padding included, by model.",
    "It grows much faster than `nerstream_tokens_total`: the device is busy with padding.",
    labels=("model", "revision"),
)
OUT_OF_MEMORY_SPLITS = _counter(
    "nerstream_out_of_memory_splits_total",
    "splits",
    "Times that a batch was halved because the device ran out of memory.",
    "It keeps moving after the first minutes: something else takes the device's memory, or "
    "`batch_tokens` is too high.",
)

# --- Batches

#: Powers of two up to four times the default `batch_articles`.
BATCH_ARTICLES = _histogram(
    "nerstream_batch_articles",
    "articles",
    "Articles in a batch.",
    "It is low while the lag grows: the batches close too early for the device.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
)
#: Powers of two up to eight times the default `batch_tokens`.
BATCH_TOKENS = _histogram(
    "nerstream_batch_tokens",
    "tokens",
    "Tokens in a batch.",
    "It is far below `batch_tokens` while the lag grows: `batch_articles` is too low.",
    buckets=(64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072),
)
#: Around the default `batch_wait_ms` of 50.
BATCH_WAIT = _histogram(
    "nerstream_batch_wait_seconds",
    "seconds",
    "Time from a batch's first article to its closing.",
    "It is a large part of the end-to-end latency: lower `batch_wait_ms`.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
#: Fine at the low end: packed sequences have no padding, bucketed batches a few percent.
BATCH_PADDING = _histogram(
    "nerstream_batch_padding_ratio",
    "ratio",
    "Share of a batch's computed tokens that is padding.",
    "It is above 0.2: articles of very different lengths share a bucket.",
    buckets=(0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75),
)

# --- Time

#: From a poll that finds something waiting to a large batch on a CPU.
STAGE_DURATION = _histogram(
    "nerstream_stage_duration_seconds",
    "seconds",
    "Time that a stage worked on one unit: `poll`, `prepare`, `tag`, `publish` or `commit`.",
    "Another stage than `tag` takes the larger share: the device waits.",
    labels=("stage",),
    known=tuple(step.value for step in Step),
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
#: From an idle GPU's answer to the backlog of a worker that was down for ten minutes.
END_TO_END_LATENCY = _histogram(
    "nerstream_end_to_end_latency_seconds",
    "seconds",
    "Time from an article's append in Kafka to the commit of its outcome.",
    "Its 99th percentile is above what the readers of the output topic expect.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
)

# --- What waits

QUEUE_DEPTH = _gauge(
    "nerstream_queue_depth",
    "items",
    "What waits in a queue: messages in `incoming`, batches in `batches` and `tagged`.",
    "`tagged` is full: Kafka is the bottleneck. `batches` is empty under lag: preparing is.",
    labels=("queue",),
    known=tuple(queue.value for queue in Queue),
)
IN_FLIGHT_MESSAGES = _gauge(
    "nerstream_in_flight_messages",
    "messages",
    "Messages between poll and commit.",
    "It does not return to 0 although nothing is produced.",
)
IN_FLIGHT_BYTES = _gauge(
    "nerstream_in_flight_bytes",
    "bytes",
    "Bytes of the messages between poll and commit.",
    "It stands at `in_flight_bytes` while the messages are few: very large articles.",
)
PAUSED = _gauge(
    "nerstream_paused",
    "0 or 1",
    "1 while reading is paused because the in-flight bound is reached.",
    "It is mostly 1: the worker is at its limit, which is normal only while it catches up.",
)
#: Up to the high watermark, as in other tools; what waits behind an open transaction counts.
PARTITION_LAG = _gauge(
    "nerstream_partition_lag_messages",
    "messages",
    "Offsets between an assigned partition's committed position and its high watermark; 0 where "
    "nothing waits, also behind transaction markers.",
    "It grows for minutes.",
    labels=("topic", "partition"),
)
PARTITION_HIGH_WATERMARK = _gauge(
    "nerstream_partition_high_watermark_offset",
    "offset",
    "The end of an assigned partition, behind every message that its replicas have.",
    "It stands still although messages are produced: look at the brokers.",
    labels=("topic", "partition"),
)
PARTITION_LAST_STABLE = _gauge(
    "nerstream_partition_last_stable_offset",
    "offset",
    "As far as an assigned partition can be read: the first offset of the oldest open transaction "
    "of a producer upstream, or the high watermark where none is open.",
    "It stands still for minutes, below the high watermark: a transaction upstream hangs, and all "
    "that was written after its first message waits. `kafka-transactions.sh find-hanging` names "
    "it, `abort` ends it.",
    labels=("topic", "partition"),
)
#: Computed at the scrape, so that it grows even if every thread of the worker hangs.
PARTITION_PROGRESS = _gauge(
    "nerstream_partition_seconds_since_progress",
    "seconds",
    "Time since an assigned partition's position moved or was at the high watermark.",
    "It passes a minute: this partition stands, whatever the others do.",
    labels=("topic", "partition"),
)

# --- Kafka

TRANSACTIONS = _counter(
    "nerstream_transactions_total",
    "transactions",
    "Transactions, or commits under `at_least_once`, by outcome.",
    "`aborted` moves outside of rebalances.",
    labels=("outcome",),
    known=tuple(outcome.value for outcome in TransactionOutcome),
)
OFFSET_MOVES = _counter(
    "nerstream_offset_moves_total",
    "commits",
    "Commits of offsets alone, in partitions where nothing waits: past markers of transactions "
    "and messages of aborted ones, which no message shows, so that other tools see no lag there; "
    "without transactions the last one of an idle partition once more.",
    "It moves faster than every 5 s, which is its bound for each worker.",
)
REBALANCES = _counter(
    "nerstream_rebalances_total",
    "events",
    "Changes of what is assigned to this worker, by event. `rejoined`: it left the group and "
    "joined it again, since no worker had some partition.",
    "It moves steadily, or `lost` moves at all: the worker was taken for dead. `rejoined` moves "
    "again and again: the group gives some partition to nobody; the worker's log names it.",
    labels=("event",),
    known=tuple(event.value for event in RebalanceEvent),
)
#: Beside `MESSAGES_MISSED`: for a topic that was made again nobody can count what was missed.
POSITION_JUMPS = _counter(
    "nerstream_position_jumps_total",
    "partitions",
    "Partitions that could not be read on where they stood, by reason.",
    "It moves at all: a topic was deleted and made again, retention is faster than the workers, "
    "or a log was cut.",
    labels=("reason",),
    known=tuple(reason.value for reason in JumpReason),
)
MESSAGES_MISSED = _counter(
    "nerstream_messages_missed_total",
    "messages",
    "Offsets whose messages were removed from an input topic before they were read.",
    "It moves at all: `retention.ms` of the input topic is shorter than the workers need.",
)
ASSIGNED_PARTITIONS = _gauge(
    "nerstream_assigned_partitions",
    "partitions",
    "Partitions assigned to this worker.",
    "It is 0: there are more workers than partitions, or the group does not admit this one.",
)

# --- A bounded run

#: Of the run, not of the worker: all workers of a run tell the same, so take the maximum.
RUN_OFFSETS = _gauge(
    "nerstream_run_offsets",
    "offsets",
    "Offsets between begin and end of a bounded run, over all its partitions; 0 where there is no "
    "run. Transaction markers count; what was gone before it was read does not.",
    "It is 0 although a run was started: its begin selects nothing.",
)
RUN_OFFSETS_DONE = _gauge(
    "nerstream_run_offsets_done",
    "offsets",
    "Those of them that are committed, by whichever worker.",
    "It stands still below `nerstream_run_offsets`: no worker reads on, or a transaction upstream "
    "hangs.",
)
RUN_SECONDS_LEFT = _gauge(
    "nerstream_run_seconds_left",
    "seconds",
    "Time to the end of a bounded run at the rate of the last half minute; infinite where nothing "
    "moves.",
    "It grows: the run slows down.",
)

# --- A second model beside the one that serves

SHADOW_ARTICLES = _counter(
    "nerstream_shadow_articles_total",
    "articles",
    "Articles that `shadow_model` was to tag too, by what became of them: `compared`; skipped, "
    "since the worker was busy (`worker_busy`) or the second model was (`shadow_behind`); "
    "`refused` by it; `failed` with it.",
    "`compared` stands still: the worker is never idle, or the second model has failed.",
    labels=("fate",),
    known=tuple(fate.value for fate in ShadowFate),
)
#: Agreement of a type: both / (both + serving + shadow).
SHADOW_ENTITIES = _counter(
    "nerstream_shadow_entities_total",
    "entities",
    "Entities of the compared articles, by type and by which model found them: `both`, `serving` "
    "alone or `shadow` alone.",
    "The share of `both` differs from what `nerstream compare` or `evaluate` led to expect.",
    labels=("type", "found_by"),
)
SHADOW_RUNNING = _gauge(
    "nerstream_shadow_running",
    "0 or 1",
    "1 while `shadow_model` answers; 0 where there is none, or it has failed.",
    "It falls to 0: the log says why. The articles are not touched by it.",
)

# --- Traces

TRACE_SPANS = _counter(
    "nerstream_trace_spans_total",
    "spans",
    "Spans of traces that ended, by what became of them: `exported`; `failed`, since the receiver "
    "did not answer or refused them; `dropped`, since the queue was full. 0 where `traces` is "
    "`off`.",
    "`failed` or `dropped` moves: look at the receiver. The articles are not touched by it.",
    labels=("fate",),
    known=tuple(fate.value for fate in SpanFate),
)

# --- Several workers under one supervisor

#: Of the supervisor alone. Every other metric has the label `worker` there.
WORKERS = _gauge(
    "nerstream_workers",
    "workers",
    "Workers of `nerstream run --workers`, by state: `awaited` is one whose start, or next start, "
    "is put off.",
    "`awaited` is not 0 for minutes: a worker ends again and again; the log says why.",
    labels=("state",),
    known=tuple(state.value for state in WorkerState),
)
WORKER_RESTARTS = _counter(
    "nerstream_worker_restarts_total",
    "starts",
    "Times that the supervisor has started a worker again that had ended, by worker.",
    "It moves at all: a worker was killed, or failed; the log says how.",
    labels=("worker",),
)

# --- The device, the model, the build

#: Present only where the device tells its memory.
DEVICE_MEMORY = _gauge(
    "nerstream_device_memory_bytes",
    "bytes",
    "Memory of the accelerator: `allocated` by tensors, `reserved` by the worker.",
    "`reserved` nears the device's size and out-of-memory splits appear.",
    labels=("kind",),
)
MODEL_INFO = _info(
    "nerstream_model_info",
    "",
    "A model that answers; always 1. A worker with a model for each language has one of these for "
    "each. `answers` is `exact` where an article's scores are the same "
    "to the last bit whatever else is in its batch, `rounded` where their last digits may differ.",
    "Workers of one group differ in it for longer than a roll-out takes.",
    labels=("name", "revision", "device", "dtype", "answers"),
)
BUILD_INFO = _info(
    "nerstream_build_info",
    "",
    "The version of nerstream; always 1.",
    "Workers of one group differ in it for longer than a roll-out takes.",
    labels=("version",),
)

#: All of them, in the order of the reference.
ALL: tuple[Declaration, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, Declaration)
)
