"""Properties of librdkafka that cannot be passed through, and those that have several names."""

from __future__ import annotations

from collections.abc import Mapping

from consumer.settings.secrets import file_fault, secret_in_file

#: The names of one property each; the first is the one that a person is told.
ALIASES: tuple[tuple[str, ...], ...] = (
    ("bootstrap.servers", "metadata.broker.list"),
    ("enable.auto.commit", "auto.commit.enable"),
    ("acks", "request.required.acks"),
    ("max.in.flight.requests.per.connection", "max.in.flight"),
    ("retries", "message.send.max.retries"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("linger.ms", "queue.buffering.max.ms"),
    ("compression.type", "compression.codec"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("sasl.mechanism", "sasl.mechanisms"),
    ("sasl.oauthbearer.client.id", "sasl.oauthbearer.client.credentials.client.id"),
    ("sasl.oauthbearer.client.secret", "sasl.oauthbearer.client.credentials.client.secret"),
)

_COMMITS = "the worker commits by itself, after the outputs"
_BROKERS_KEEP = "the group's offsets are kept by the brokers"
_CALLBACK = "it is no text; the worker sets it by itself"

_REASONS: Mapping[str, str] = {
    # --- What a setting says
    "bootstrap.servers": "use bootstrap_servers",
    "group.id": "use group_id",
    "group.protocol": "use group_protocol",
    "transactional.id": "use instance",
    "transaction.timeout.ms": "use transaction_timeout_ms",
    "auto.offset.reset": "use auto_offset_reset",
    "auto.commit.interval.ms": "use commit_interval_ms",
    "max.poll.records": "use in_flight_articles and in_flight_bytes",
    # --- What exactly once, at least once and the order rest on
    "enable.auto.commit": _COMMITS,
    "enable.auto.offset.store": _COMMITS,
    "offset.store.method": _BROKERS_KEEP,
    "offset.store.path": _BROKERS_KEEP,
    "offset.store.sync.interval.ms": _BROKERS_KEEP,
    "acks": "it is always all, since what one broker alone has can be lost",
    "enable.idempotence": "it is always on, so that order holds",
    "enable.gapless.guarantee": "it is always off, since the worker goes on after an abort",
    "queuing.strategy": "it is always fifo, so that order holds",
    "delivery.report.only.error": "it is always on; the worker counts on what it does not hear",
    "isolation.level": "it is always read_committed",
    "partitioner": "it is always murmur2_random, as in the Java client",
    "partition.assignment.strategy": "it is always cooperative-sticky",
    "group.protocol.type": "it is always consumer",
    "topic.blacklist": "use input_topics; what it takes out would be waited for, without a word",
    "enable.partition.eof": "the worker needs it for an exact lag",
    # --- What would take the client, or the process, out of the worker's hands
    "error_cb": _CALLBACK,
    "stats_cb": _CALLBACK,
    "throttle_cb": _CALLBACK,
    "oauth_cb": _CALLBACK,
    "on_commit": _CALLBACK,
    "on_delivery": _CALLBACK,
    "logger": _CALLBACK,
    "log.queue": "the worker takes the client's log lines by itself",
    "enabled_events": "the worker hears of events by callbacks",
    "default.topic.config": "pass its properties by their own names",
    "internal.termination.signal": "the worker handles signals by itself",
    "test.mock.num.brokers": "each client would have brokers of its own; see nerstream demo",
}


def names_of(name: str) -> tuple[str, ...]:
    """All names of a property, this one included."""
    return next((names for names in ALIASES if name in names), (name,))


#: The properties that the worker's guarantees rest on, by each of their names: what to do instead,
#: or why not.
RESERVED_KAFKA_PROPERTIES: Mapping[str, str] = {
    alias: why for name, why in _REASONS.items() for alias in names_of(name)
}


def property_fault(name: str, given: Mapping[str, object]) -> tuple[str, str] | None:
    """What is wrong with passing this property through, and what would be right; None if nothing.

    Args:
        given: all that are passed through; two names of one property may say two things.
    """
    if (fault := file_fault(name, given)) is not None:
        return fault
    if name in RESERVED_KAFKA_PROPERTIES:
        return f"{name} cannot be passed through", RESERVED_KAFKA_PROPERTIES[name]
    stems = {secret_in_file(one) or one: one for one in given}
    own = secret_in_file(name) or name
    first = next(stems[one] for one in names_of(own) if one in stems)
    if first != name and secret_in_file(first) != name:  # the file has been told of
        return f"{name} is another name of {first}, which is given too", "give one of the two"
    return None
