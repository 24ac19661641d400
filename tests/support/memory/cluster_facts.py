"""A sound cluster, made up, for checks to find nothing wrong with; tests spoil it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from consumer.contracts.cluster import (
    Arrivals,
    Broker,
    ClientLimits,
    Clock,
    Cluster,
    Group,
    Listener,
    Topic,
)
from consumer.doctor.facts import Facts, ModelFacts, SampleFacts
from consumer.settings.schema import Settings

#: When the facts were found out, milliseconds since the epoch.
NOW_MS = 1_800_000_000_000

DAY_MS = 86_400_000

LIMITS = ClientLimits(
    message_max_bytes=104_857_600,
    receive_max_bytes=100_000_000,
    session_timeout_ms=45_000,
    max_poll_interval_ms=300_000,
)

TOPIC_CONFIG = {
    "cleanup.policy": "delete",
    "max.message.bytes": "1048588",
    "message.timestamp.after.max.ms": "3600000",
    "message.timestamp.before.max.ms": "9223372036854775807",
    "message.timestamp.type": "CreateTime",
    "min.insync.replicas": "2",
    "retention.ms": str(7 * DAY_MS),
}

#: Of a dead-letter topic: the headers of a dead letter have room beside its message.
ROOM = {"max.message.bytes": "33554432"}

BROKER_CONFIG = {
    "auto.create.topics.enable": "false",
    "group.consumer.session.timeout.ms": "45000",
    "group.max.session.timeout.ms": "1800000",
    "group.min.session.timeout.ms": "6000",
    "transaction.max.timeout.ms": "900000",
}

#: What Apache Kafka 4 takes, of what is asked for.
APIS = {22: (0, 5), 24: (0, 5), 25: (0, 4), 26: (0, 5), 28: (0, 6), 68: (0, 1)}


def topic(name: str, setting: str, **more: Any) -> Topic:
    """A topic on three brokers; `config` adds to its settings."""
    config = {**TOPIC_CONFIG, **more.pop("config", {})}
    allowed = frozenset({"READ", "WRITE", "DESCRIBE"})
    sound = Topic(name, setting, "", False, 4, 3, 3, 0, config, allowed)
    return replace(sound, **more)


def broker(number: int, problem: str = "", **config: str) -> Broker:
    """A broker; `config` adds to its settings."""
    settings = {**BROKER_CONFIG, **{name.replace("_", "."): text for name, text in config.items()}}
    return Broker(number, Listener(f"kafka-{number}:9092", problem), settings)


def cluster(**more: Any) -> Cluster:
    """A sound cluster; `more` replaces facts of it."""
    sound = Cluster(
        LIMITS,
        bootstrap=(Listener("kafka:9092"),),
        brokers=tuple(broker(number) for number in (1, 2, 3)),
        apis=APIS,
        topics=(
            topic("articles", "input_topics"),
            topic("articles-tagged", "output_topic"),
            topic("articles-dead-letters", "dead_letter_topic", config=ROOM),
        ),
        internal=(topic("__consumer_offsets", ""), topic("__transaction_state", "")),
        group=Group(operations=frozenset({"READ", "DESCRIBE"})),
        transactional_id="nerstream@host-0",
        clock=Clock(-0.2, 0.1),
        arrivals=Arrivals(1_000, NOW_MS - DAY_MS, NOW_MS, 3_600, 43_200),
        certificate_ends_ms=NOW_MS + 90 * DAY_MS,
        now_ms=NOW_MS,
    )
    return replace(sound, **more)


def with_topic(changed: Topic) -> Cluster:
    """The sound cluster with another topic in the place of the one of its setting."""
    sound = cluster()
    return replace(
        sound,
        topics=tuple(changed if one.setting == changed.setting else one for one in sound.topics),
    )


def model(**more: Any) -> ModelFacts:
    """A model that runs well."""
    sound = ModelFacts(
        name="owner/model",
        revision="a" * 40,
        device="cpu",
        dtype="bfloat16",
        sha256=("c" * 64,),
        is_of_hub=True,
        how="bfloat16, layers fused",
        load_s=2.0,
        batch_tokens=16_000,
        batch_s=1.0,
        articles_per_s=50.0,
        tokens_per_s=12_000.0,
        measured_on="made-up news",
    )
    return replace(sound, **more)


def sample(**more: Any) -> SampleFacts:
    """A sample in which nothing is wrong."""
    sound = SampleFacts(messages=100, largest_bytes=9_000, tokens=(100, 200, 900))
    return replace(sound, **more)


#: What is not found in settings and cluster.
_OWN = ("workers", "model", "sample", "registry", "admin_port_problem")


def facts(cluster_: Cluster | None = None, **more: Any) -> Facts:
    """All of it; settings by their names go into the settings."""
    own = {name: more.pop(name) for name in _OWN if name in more}
    settings = Settings(**{"revision": "a" * 40, **more})
    return Facts(settings, cluster() if cluster_ is None else cluster_, **own)
