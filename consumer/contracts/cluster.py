"""What a look at a Kafka cluster found: facts, which judge nothing.

`consumer.kafka.survey` gathers them and `consumer.doctor` judges them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Unknown:
    """What could not be found out.

    Attributes:
        why: the reason, for a person.
    """

    why: str


class Bounds(NamedTuple):
    """What a partition holds.

    Attributes:
        begin: the first offset that is there.
        stable_end: the last stable offset, as far as a `read_committed` reader gets now.
        end: the high watermark, behind every message.
    """

    begin: int
    stable_end: int
    end: int


@dataclass(frozen=True, slots=True)
class Listener:
    """An address at which a broker can be reached, or not.

    Attributes:
        address: `host:port`.
        problem: why it cannot be reached from here, empty where it can.
    """

    address: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker, as the cluster advertises it.

    Attributes:
        config: its own settings.
    """

    id: int
    listener: Listener
    config: Mapping[str, str] | Unknown


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    Attributes:
        setting: the setting that names it; empty for one of the brokers' own.
        problem: why nothing is known of it; empty where it was described.
        is_missing: whether the problem is that it does not exist.
        partitions: how many.
        replicas, in_sync: of the partition that has fewest.
        leaderless: partitions without a leader.
        config: its settings.
        operations: what this user may do with it, in Kafka's words (`READ`).
    """

    name: str
    setting: str
    problem: str = ""
    is_missing: bool = False
    partitions: int = 0
    replicas: int = 0
    in_sync: int = 0
    leaderless: int = 0
    config: Mapping[str, str] | Unknown = field(default_factory=dict)
    operations: frozenset[str] | Unknown = frozenset()


@dataclass(frozen=True, slots=True)
class Group:
    """The consumer group.

    Attributes:
        members: how many work now.
        assignor: how they share out partitions; empty where there are none.
        protocol: `classic` or `consumer`; empty where there are no members.
        operations: what this user may do with it.
    """

    members: int = 0
    assignor: str = ""
    protocol: str = ""
    operations: frozenset[str] | Unknown = frozenset()


@dataclass(frozen=True, slots=True)
class Clock:
    """How far the brokers' clock is ahead of this machine's, in seconds.

    Attributes:
        least: it is ahead by at least this.
        most: it is ahead by at most this; None where that is not known.
    """

    least: float
    most: float | None


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What waits in the input topics, and how fast more comes.

    Attributes:
        waiting: messages between where the group begins and the end; markers of transactions are
            counted with them.
        oldest_ms, newest_ms: timestamps of the first message that waits and of the newest one,
            milliseconds since the epoch; None where there is none.
        last_hour, last_day: messages with timestamps of the last hour and of the last 24.
    """

    waiting: int
    oldest_ms: int | None
    newest_ms: int | None
    last_hour: int
    last_day: int


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What the worker's own clients are set to.

    Attributes:
        message_max_bytes: the largest message that the producer takes.
        receive_max_bytes: the largest answer that the consumer takes.
        session_timeout_ms, max_poll_interval_ms: of the consumer.
    """

    message_max_bytes: int
    receive_max_bytes: int
    session_timeout_ms: int
    max_poll_interval_ms: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """All of it.

    Attributes:
        bootstrap: the addresses of `bootstrap_servers`.
        problem: why no broker answers; the rest is empty then.
        brokers: those that the cluster names.
        apis: for each number of a request that the brokers take: its least and greatest version.
        topics: those that the settings name, and those that a pattern takes in.
        unmatched: patterns that take in nothing.
        internal: the brokers' own topics, as far as they exist.
        obstacles: why one of these cannot be used.
        group: the consumer group.
        transactional_id: the one that was asked about.
        transactional_id_problem: why this user may not use it; empty where it may.
        clock: of the brokers.
        arrivals: of the input.
        limits: of the worker's clients.
        certificate_ends_ms: when the client's certificate ends, milliseconds since the epoch; None
            where there is none that can be read.
        now_ms: when this was found out, milliseconds since the epoch.
    """

    limits: ClientLimits
    bootstrap: tuple[Listener, ...] = ()
    problem: str = ""
    brokers: tuple[Broker, ...] = ()
    apis: Mapping[int, tuple[int, int]] | Unknown = field(default_factory=dict)
    topics: tuple[Topic, ...] = ()
    unmatched: tuple[str, ...] = ()
    internal: tuple[Topic, ...] = ()
    obstacles: tuple[str, ...] = ()
    group: Group | Unknown = Group()
    transactional_id: str = ""
    transactional_id_problem: str | Unknown = ""
    clock: Clock | Unknown = Unknown("nothing was asked")
    arrivals: Arrivals | Unknown = Unknown("nothing was asked")
    certificate_ends_ms: int | None = None
    now_ms: int = 0

    def of(self, setting: str) -> tuple[Topic, ...]:
        """The topics of a setting that exist and were described."""
        return tuple(one for one in self.topics if one.setting == setting and not one.problem)

    def broker_number(self, name: str) -> int | None:
        """The least value that any broker has for a setting; None where it is not known."""
        values = [
            int(one.config[name])
            for one in self.brokers
            if not isinstance(one.config, Unknown) and one.config.get(name, "").isdigit()
        ]
        return min(values, default=None)
