"""All checks, in the order in which a worker would meet them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from consumer.doctor import brokers
from consumer.doctor.access import ACCESS_CHECKS
from consumer.doctor.admin import ADMIN_CHECKS
from consumer.doctor.facts import Facts
from consumer.doctor.finding import Finding, grey
from consumer.doctor.model import MODEL_CHECKS
from consumer.doctor.registry import REGISTRY_CHECKS
from consumer.doctor.sample import SAMPLE_CHECKS
from consumer.doctor.timeouts import TIMEOUT_CHECKS
from consumer.doctor.topics import TOPIC_CHECKS

#: A check: what it says of the facts, or None where it does not apply.
Check = Callable[[Facts], Finding | None]

BROKER_CHECKS: tuple[tuple[str, Check], ...] = (
    ("bootstrap", brokers.bootstrap),
    ("listeners", brokers.listeners),
    ("features", brokers.features),
    ("internal topics", brokers.internal_topics),
    ("clock", brokers.clock),
)

#: What can be judged once the cluster was looked at.
KAFKA_ROOMS: tuple[tuple[str, tuple[tuple[str, Check], ...]], ...] = (
    ("brokers", BROKER_CHECKS),
    ("topics", TOPIC_CHECKS),
    ("access", ACCESS_CHECKS),
    ("timeouts", TIMEOUT_CHECKS),
)

#: What is beside Kafka.
REGISTRY_ROOMS = (("registry", REGISTRY_CHECKS),)
ADMIN_ROOMS = (("admin port", ADMIN_CHECKS),)

#: What needs the model, and what needs the sample.
MODEL_ROOMS = (("model", MODEL_CHECKS),)
SAMPLE_ROOMS = (("sample", SAMPLE_CHECKS),)


def judge(
    rooms: tuple[tuple[str, tuple[tuple[str, Check], ...]], ...], facts: Facts
) -> Iterator[tuple[str, str, Finding]]:
    """What the checks of these rooms say: the room, the check, the finding.

    Where no broker answers, one finding says so, and one that nothing else of Kafka is known.
    """
    for room, checks in rooms:
        for name, check in checks:
            if facts.cluster.problem and room in dict(KAFKA_ROOMS):
                if check is brokers.bootstrap:
                    yield room, name, brokers.bootstrap(facts)
                    yield room, "all else", grey("nothing of Kafka is known until a broker answers")
                continue
            found = check(facts)
            if found is not None:
                yield room, name, found
