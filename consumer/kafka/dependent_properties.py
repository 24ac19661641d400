"""Properties that depend on others: what a person sets moves those that the person leaves alone.

librdkafka checks most of these pairs itself, and refuses a client in which two contradict each
other. A default, ours or its own, must never be the reason, so it follows what the person set.
Some pairs librdkafka takes without a word although nothing could work: these are refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, Producer

from consumer.contracts.choices import Delivery, GroupProtocol
from consumer.contracts.errors import SettingsError
from consumer.kafka.refused_properties import refuse_empty, refuse_misread
from consumer.settings.reserved import names_of
from consumer.settings.schema import Settings

#: librdkafka's defaults of properties that have to move, in the units of their names.
MESSAGE_MAX_BYTES = 1_000_000
SESSION_TIMEOUT_MS = 45_000
HEARTBEAT_INTERVAL_MS = 3_000
MAX_POLL_INTERVAL_MS = 300_000
RECONNECT_BACKOFF_MS = RETRY_BACKOFF_MS = 100
RETRY_BACKOFF_MAX_MS = 1_000

#: The longest session that librdkafka takes.
LONGEST_SESSION_MS = 3_600_000

#: Milliseconds between two polls for which a worker is not taken for dead: ten times as long as it
#: waits for messages at once.
LEAST_POLL_INTERVAL_MS = 1_000

#: Of an idempotent producer: requests at once to one broker.
MOST_IN_FLIGHT = 5

#: Milliseconds that a message may take to be sent, librdkafka's default.
MESSAGE_TIMEOUT_MS = 300_000

#: Milliseconds that librdkafka lets a request take beyond the time of a transaction.
_BEYOND_TRANSACTION_MS = 100

#: librdkafka (2.16) reckons how long it keeps what it knows of topics in microseconds, in 32 bits.
#: Beyond this it forgets each answer at once, and under the consumer protocol reads nothing.
LONGEST_AGE_MS = (2**31 - 1) // 1000

#: It keeps that for three times as long as it takes to ask again, where nothing else is set.
LONGEST_REFRESH_MS = LONGEST_AGE_MS // 3

#: Bytes of the shortest longest message that librdkafka takes.
LEAST_MESSAGE_BYTES = 1_000

#: Milliseconds, librdkafka's default, for which a client that hears that its topic is gone waits
#: before it reads the next one of that name. Meanwhile the worker hears of it too.
LEAST_FETCH_ERROR_MS = 500

#: Bytes of an answer beside the messages in it, as librdkafka reckons.
_ANSWER_BYTES = 512


class Properties:
    """What a client gets: what a person passes through, and defaults for the rest.

    Args:
        passed: what the person passes through.
        defaults: what holds otherwise.
    """

    def __init__(self, passed: Mapping[str, str], defaults: Mapping[str, Any]) -> None:
        self._passed = {alias: text for name, text in passed.items() for alias in names_of(name)}
        self._given = {alias: name for name in passed for alias in names_of(name)}
        #: The defaults that the person has not replaced, under any name.
        self.defaults = {
            name: value for name, value in defaults.items() if name not in self._passed
        }

    def passed(self, name: str) -> int | None:
        """The whole number that the person set, or None. Where it is no number the client says
        so."""
        try:
            return int(self._passed[name], 0)
        except (KeyError, ValueError):
            return None

    def number(self, name: str, otherwise: int) -> int:
        """The number that holds; `otherwise` is librdkafka's default."""
        passed = self.passed(name)
        return int(self.defaults.get(name, otherwise)) if passed is None else passed

    def at_least(self, name: str, bound: int | None, otherwise: int = 0) -> None:
        """Move a default up to a bound that was set, if it is below."""
        if bound is not None and name not in self._passed:
            self._move(name, max(self.number(name, otherwise), bound), otherwise)

    def at_most(self, name: str, bound: int | None, otherwise: int) -> None:
        """Move a default down to a bound that was set, if it is above."""
        if bound is not None and name not in self._passed:
            self._move(name, min(self.number(name, otherwise), bound), otherwise)

    def refuse_less(self, name: str, other: str, of_other: Callable[[int], int]) -> None:
        """Raise SettingsError if the person set both, and the first below what the other needs."""
        value, needs = self.passed(name), self.passed(other)
        if value is not None and needs is not None and value < of_other(needs):
            raise SettingsError(
                self._setting(name),
                f"{value} is too little for {self._setting(other)}={needs}",
                f"it must be at least {of_other(needs)}; leave one of the two out, and it follows",
            )

    def refuse_below(self, name: str, bound: int, why: str) -> None:
        """Raise SettingsError if the person set less than this."""
        value = self.passed(name)
        if value is not None and value < bound:
            raise SettingsError(
                self._setting(name), f"{value} is too little: {why}", f"it must be at least {bound}"
            )

    def refuse_above(self, name: str, bound: int, why: str) -> None:
        """Raise SettingsError if the person set more than this."""
        value = self.passed(name)
        if value is not None and value > bound:
            raise SettingsError(
                self._setting(name), f"{value} is too much: {why}", f"it must be at most {bound}"
            )

    def refuse_beyond(self, name: str, setting: str, bound: int, most: int) -> None:
        """Raise SettingsError if the person set more than one of our settings lets be.

        Args:
            setting: of ours.
            bound: its value.
            most: what it lets be.
        """
        value = self.passed(name)
        if value is not None and value > most:
            raise SettingsError(
                self._setting(name),
                f"{value} is too much for {setting}={bound}",
                f"it must be at most {most}; lower it, or raise {setting}",
            )

    def _setting(self, name: str) -> str:
        """The setting, by the name that the person gave."""
        return f"kafka.{self._given.get(name, name)}"

    def _move(self, name: str, value: int, otherwise: int) -> None:
        if value != otherwise or name in self.defaults:
            self.defaults[name] = value


def client_defaults(
    kind: Callable[..., object], settings: Settings, defaults: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The defaults of a client, moved to where they fit what the person passes through.

    Args:
        kind: the class of the client.
        settings: what is passed through.
        defaults: those that the person may change.

    Raises:
        SettingsError: two that the person set contradict each other.
    """
    refuse_empty(settings.kafka)
    if is_kind(kind, Consumer) or is_kind(kind, Producer):
        refuse_misread(kind, settings.kafka)
    them = Properties(settings.kafka, defaults)
    if them.passed("topic.metadata.refresh.interval.ms") == -1:
        raise SettingsError(
            "kafka.topic.metadata.refresh.interval.ms",
            "-1 would leave new partitions unread, without a word",
            f"it must be from 1 to {LONGEST_REFRESH_MS}",
        )
    is_age_set = them.passed("metadata.max.age.ms") is not None
    why = "librdkafka cannot reckon with it, and would forget at once what it hears of topics"
    them.refuse_above("metadata.max.age.ms", LONGEST_AGE_MS, why)
    longest_ms = LONGEST_AGE_MS if is_age_set else LONGEST_REFRESH_MS
    them.refuse_above("topic.metadata.refresh.interval.ms", longest_ms, why)
    for name, most, least_ms, most_ms in (
        ("reconnect.backoff.ms", "reconnect.backoff.max.ms", RECONNECT_BACKOFF_MS, 10_000),
        ("retry.backoff.ms", "retry.backoff.max.ms", RETRY_BACKOFF_MS, RETRY_BACKOFF_MAX_MS),
    ):
        them.refuse_less(most, name, lambda ms: ms)
        them.at_least(most, them.passed(name), most_ms)
        them.at_most(name, them.passed(most), least_ms)
    if is_kind(kind, Consumer):
        _move_sizes(them)
        them.refuse_below(
            "max.poll.interval.ms",
            LEAST_POLL_INTERVAL_MS,
            "a worker that is busy for that long would leave its group, and session.timeout.ms, "
            "which follows it, would expel a worker whose heartbeat is late",
        )
        if settings.group_protocol is GroupProtocol.CLASSIC:
            _move_session(them)
    elif is_kind(kind, Producer):
        _move_buffer(them)
        _move_lives(them, settings)
    return them.defaults


def session_timeout_ms(settings: Settings) -> int:
    """Milliseconds after which the group expels a member that it does not hear of. Under the
    consumer protocol the brokers set it, and their default is the same."""
    them = Properties(settings.kafka, client_defaults(Consumer, settings, {}))
    return them.number("session.timeout.ms", SESSION_TIMEOUT_MS)


def is_kind(kind: Callable[..., object], client: type) -> bool:
    """Whether what makes a client makes one of this class."""
    return isinstance(kind, type) and issubclass(kind, client)


def _move_sizes(them: Properties) -> None:
    """An answer holds what is fetched at once, which holds the longest message."""
    message = them.passed("message.max.bytes")
    answer = them.passed("receive.message.max.bytes")
    why = "an answer holds the longest message, and librdkafka takes none shorter than 1000 bytes"
    them.refuse_below("fetch.max.bytes", LEAST_MESSAGE_BYTES, why)
    them.refuse_below("receive.message.max.bytes", LEAST_MESSAGE_BYTES + _ANSWER_BYTES, why)
    them.refuse_below(
        "fetch.error.backoff.ms",
        LEAST_FETCH_ERROR_MS,
        "a topic that is made again would be read before the worker hears of it",
    )
    them.refuse_less("fetch.max.bytes", "message.max.bytes", lambda size: size)
    for name in ("fetch.max.bytes", "message.max.bytes"):
        them.refuse_less("receive.message.max.bytes", name, lambda size: size + _ANSWER_BYTES)
    if answer is not None:
        them.at_most("fetch.max.bytes", answer - _ANSWER_BYTES, 52_428_800)
    them.at_least("fetch.max.bytes", message, 52_428_800)
    them.at_least("max.partition.fetch.bytes", message, 1_048_576)
    # The consumer's own default, for requests, none of which is that long.
    them.at_most("message.max.bytes", them.number("fetch.max.bytes", 52_428_800), MESSAGE_MAX_BYTES)


def _move_session(them: Properties) -> None:
    """Heartbeats come well within a session, and a session ends well within a poll's time."""
    them.refuse_less("max.poll.interval.ms", "session.timeout.ms", lambda ms: ms)
    them.refuse_above(
        "heartbeat.interval.ms",
        LONGEST_SESSION_MS // 3,
        f"a session is three heartbeats long, and at most {LONGEST_SESSION_MS} ms",
    )
    # librdkafka takes it; the member would be expelled before its first heartbeat.
    them.refuse_less("session.timeout.ms", "heartbeat.interval.ms", lambda ms: ms + 1)
    heartbeat = them.passed("heartbeat.interval.ms")
    them.at_least(
        "session.timeout.ms", None if heartbeat is None else 3 * heartbeat, SESSION_TIMEOUT_MS
    )
    them.at_most("session.timeout.ms", them.passed("max.poll.interval.ms"), SESSION_TIMEOUT_MS)
    session = them.number("session.timeout.ms", SESSION_TIMEOUT_MS)
    them.at_least("max.poll.interval.ms", session, MAX_POLL_INTERVAL_MS)
    them.at_most("heartbeat.interval.ms", max(session // 3, 1), HEARTBEAT_INTERVAL_MS)


def _move_buffer(them: Properties) -> None:
    """The buffer holds the longest message."""
    # librdkafka takes it; the buffer would be full for such a message for ever.
    them.refuse_less(
        "queue.buffering.max.kbytes", "message.max.bytes", lambda size: -(-size // 1024)
    )
    message, buffer = them.passed("message.max.bytes"), them.passed("queue.buffering.max.kbytes")
    them.at_least(
        "queue.buffering.max.kbytes", None if message is None else -(-message // 1024), 1_048_576
    )
    them.at_most(
        "message.max.bytes",
        None if buffer is None else max(buffer * 1024, 1_000),
        MESSAGE_MAX_BYTES,
    )


def _move_lives(them: Properties, settings: Settings) -> None:
    """A message lives longer than it lingers, and no longer than its transaction."""
    them.refuse_above("max.in.flight", MOST_IN_FLIGHT, "with more at once order would not hold")
    them.refuse_below("retries", 1, "a message that a broker has missed would be lost")
    longest_ms = MESSAGE_TIMEOUT_MS
    if settings.delivery is Delivery.EXACTLY_ONCE:
        longest_ms = settings.transaction_timeout_ms
        of_ours = "transaction_timeout_ms", longest_ms
        them.refuse_beyond("message.timeout.ms", *of_ours, longest_ms)
        them.refuse_beyond("socket.timeout.ms", *of_ours, longest_ms + _BEYOND_TRANSACTION_MS)
        if them.passed("message.timeout.ms") is None:
            them.refuse_beyond("linger.ms", *of_ours, longest_ms - 1)
    lives, lingers = them.passed("message.timeout.ms"), them.passed("linger.ms")
    if lives is None and lingers is not None:
        them.at_least("message.timeout.ms", lingers + 1, longest_ms)
    elif lives:  # 0 is without an end
        them.refuse_less("message.timeout.ms", "linger.ms", lambda ms: ms + 1)
        them.at_most("linger.ms", max(lives - 1, 0), 5)
