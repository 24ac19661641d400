"""A dead letter as a person or a program reads it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

from consumer.commands import times
from consumer.contracts.messages import Headers
from consumer.dead_letters.letter import DeadLetter


def summary(letter: DeadLetter, sent: Sequence[str]) -> dict[str, Any]:
    """A dead letter without its bytes.

    Args:
        sent: the topics that it was sent to.
    """
    position, origin = letter.raw.position, letter.origin
    return {
        "partition": position.topic_partition.partition,
        "offset": position.offset,
        "code": letter.code,
        "reason": letter.reason,
        "stage": letter.stage,
        "timestamp": times.written(letter.timestamp_ms) or None,
        "from": {
            "topic": origin.topic_partition.topic,
            "partition": origin.topic_partition.partition,
            "offset": origin.offset,
        },
        "attempts": letter.attempts,
        "sent_to": list(sent),
        "bytes": len(letter.raw.value or b""),
        "version": letter.version,
    }


def whole(letter: DeadLetter, sent: Sequence[str]) -> dict[str, Any]:
    """A dead letter with its key, its original headers and its bytes."""
    return {
        **summary(letter, sent),
        "key": content(letter.raw.key),
        "headers": headers(letter.headers),
        "value": content(letter.raw.value),
    }


def content(value: bytes | None) -> dict[str, str] | None:
    """Bytes as JSON can hold them: text where they are UTF-8, else base64; null for null."""
    if value is None:
        return None
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def headers(pairs: Headers) -> list[dict[str, Any]]:
    """Headers in their order; names may repeat."""
    return [{"name": name, "value": content(value)} for name, value in pairs]


def place(letter: DeadLetter) -> str:
    """Where it came from, as `topic/partition/offset`."""
    (topic, partition), offset = letter.origin
    return f"{topic}/{partition}/{offset}"
