"""What a worker's user has to be allowed in Kafka, and the command that allows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from consumer.settings.schema import Settings

#: What is done with each kind of topic, in Kafka's words.
TOPIC_OPERATIONS: Mapping[str, tuple[str, ...]] = {
    "input_topics": ("READ", "DESCRIBE"),
    "output_topic": ("WRITE", "DESCRIBE"),
    "dead_letter_topic": ("WRITE", "DESCRIBE"),
}

#: How Kafka's own tools spell the operations.
_SPELLED: Mapping[str, str] = {"READ": "Read", "WRITE": "Write", "DESCRIBE": "Describe"}


def spelled(operations: Collection[str]) -> str:
    """Operations for a person: `Read and Describe`."""
    return " and ".join(_SPELLED[one] for one in operations)


def grant(settings: Settings, resource: str, name: str, operations: Collection[str]) -> str:
    """The command that allows this.

    Args:
        settings: of the user.
        resource: the tool's flag for the kind: `topic`, `group` or `transactional-id`.
        name: of the resource; one that ends in `@` stands for all that begin with it.
        operations: in Kafka's words.
    """
    user = settings.kafka.get("sasl.username", "NAME")
    kind = " --resource-pattern-type prefixed" if name.endswith("@") else ""
    flags = " ".join(f"--operation {_SPELLED[one]}" for one in operations)
    return f"kafka-acls.sh --add --allow-principal User:{user}{kind} --{resource} {name} {flags}"
