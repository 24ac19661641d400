"""DeadLetter: what a message of the dead-letter topic says of itself."""

from __future__ import annotations

from typing import NamedTuple

from consumer.contracts.headers import ERRORS, REPLAY_ATTEMPTS, SOURCE, replay_attempts
from consumer.contracts.messages import Headers, Position, RawMessage, TopicPartition

#: Of a signed number of 64 bits.
_DIGITS = 19

#: Beside the reasons.
_OURS = frozenset({SOURCE, REPLAY_ATTEMPTS})


class DeadLetter(NamedTuple):
    """A rejected message with the reason.

    Attributes:
        raw: as it stands in the dead-letter topic; its key and value are the original ones.
        code, reason, stage: why it was rejected.
        origin: where it came from: topic, partition and offset.
        timestamp_ms: its own, milliseconds since the epoch; None where it had none. Where another
            program wrote it, it may have more than the 64 bits of Kafka's.
        version: of the nerstream that rejected it.
        attempts: how often it had been sent back before this rejection.
    """

    raw: RawMessage
    code: str
    reason: str
    stage: str
    origin: Position
    timestamp_ms: int | None
    version: str
    attempts: int

    @property
    def headers(self) -> Headers:
        """The original headers: without the reasons, the source and the count of attempts."""
        return tuple(
            header
            for header in self.raw.headers
            if not header[0].startswith(ERRORS) and header[0] not in _OURS
        )


def read_letter(raw: RawMessage) -> DeadLetter | None:
    """The dead letter that a message is; None where it is none of ours."""
    told = {
        name.removeprefix(ERRORS): (value or b"").decode("utf-8", "replace")
        for name, value in raw.headers
        if name.startswith(ERRORS)
    }
    topic, partition, offset = (told.get(name, "") for name in ("topic", "partition", "offset"))
    if not (told.get("code") and topic and _is_number(partition) and _is_number(offset)):
        return None
    return DeadLetter(
        raw=raw,
        code=told["code"],
        reason=told.get("message", ""),
        stage=told.get("stage", ""),
        origin=Position(TopicPartition(topic, int(partition)), int(offset)),
        timestamp_ms=_timestamp(told.get("timestamp", "")),
        version=told.get("version", ""),
        attempts=replay_attempts(raw.headers),
    )


def _timestamp(text: str) -> int | None:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return None
    # Of a number that no message can have, it is enough to know that it is one.
    return int(text) if len(digits) <= _DIGITS else int(text[: _DIGITS + 2])


def _is_number(text: str) -> bool:
    # So many digits at most, since what another program wrote may have any number of them.
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS
