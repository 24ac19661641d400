"""Ledger: what is kept of each input of a partition while its outcomes are looked for."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator

from consumer.contracts.headers import ERRORS, told_number, without_source
from consumer.contracts.messages import Headers, RawMessage
from consumer.contracts.ports import Comparison
from consumer.contracts.traces import traceparent_in, without_traceparent

_MASK = 0xFFFF_FFFF

#: Bytes that an input takes: an offset, five digests, and how many outcomes it has.
BYTES_PER_INPUT = 8 + 5 * 4 + 1

#: As high as outcomes are counted.
_MANY = 255


def digest(value: object) -> int:
    """32 bits of a value's hash. They hold within this process: text is hashed with a salt."""
    # In a tuple, since a number is its own hash, and its low bits repeat.
    return hash((value,)) & _MASK


def plain(headers: Headers) -> Headers:
    """Headers without those that a dead letter adds or replaces."""
    for name, _ in headers:
        if name.startswith(ERRORS):
            return tuple(one for one in headers if not one[0].startswith(ERRORS))
    return headers


def header_digests(headers: Headers) -> tuple[int, ...]:
    """What headers are told by, first with the trace that they name, then without.

    A worker that traces names a span of its own in `traceparent`, in the trace of the input, or in
    a new one where the input names none. So an input's first digest is one of its output's.
    """
    bare = without_traceparent(headers)
    parent = None if bare is headers else traceparent_in(headers)
    if parent is None:
        return (digest(bare),)
    return digest((bare, parent.trace_id)), digest(bare)


class Ledger:
    """The inputs of one partition in the order of their offsets, some 29 bytes each.

    Args:
        comparison: how the values of outputs are held against those of inputs.
    """

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._offsets = array("q")
        # What an output has to keep of the value, and the value as it is.
        self._kept, self._values = array("I"), array("I")
        self._keys, self._headers, self._timestamps = array("I"), array("I"), array("I")
        self._outcomes = array("B")
        # Those few whose headers a dead letter must not have as they are.
        self._plain_headers: dict[int, int] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._offsets)

    def note(self, raw: RawMessage) -> None:
        """One more input, behind those before."""
        value = raw.value
        self._offsets.append(raw.position.offset)
        self._values.append(digest(value))
        kept = value
        if value is not None:
            kept, _ = self._comparison.kept(value)
        self._kept.append(self._values[-1] if kept is value else digest(kept))
        self._keys.append(digest(raw.key))
        headers = without_source(raw.headers)
        self._headers.append(header_digests(headers)[0])
        bare = plain(headers)
        if bare is not headers:
            self._plain_headers[len(self._offsets) - 1] = header_digests(bare)[0]
        self._timestamps.append(digest(raw.timestamp_ms))
        self._outcomes.append(0)

    def find(self, offset: int) -> int | None:
        """The number of the input that stands at an offset; None where there is none."""
        offsets = self._offsets
        number = self._next
        # Mostly the one behind the last that was asked for.
        if not (number < len(offsets) and offsets[number] == offset):
            number = bisect_left(offsets, offset)
            if number == len(offsets) or offsets[number] != offset:
                return None
        self._next = number + 1
        return number

    def count_outcome(self, number: int) -> int:
        """One more outcome of an input; how many it has now."""
        count = self._outcomes[number] = min(self._outcomes[number] + 1, _MANY)
        return count

    def changes_in_output(self, number: int, raw: RawMessage, has_own_time: bool) -> list[str]:
        """What an output has changed of its input, by name.

        Args:
            has_own_time: whether its timestamp is the producer's; a topic may have the broker's.
        """
        changes = []
        if raw.value is None:
            kept, is_complete = None, True
        else:
            kept, is_complete = self._comparison.kept(raw.value)
        if digest(kept) != self._kept[number] or not is_complete:
            changes.append("value")
        if self._headers[number] not in header_digests(without_source(raw.headers)):
            changes.append("headers")
        if digest(raw.key) != self._keys[number]:
            changes.append("key")
        if has_own_time and digest(raw.timestamp_ms) != self._timestamps[number]:
            changes.append("timestamp")
        return changes

    def changes_in_dead_letter(self, number: int, raw: RawMessage, has_own_time: bool) -> list[str]:
        """The same for a dead letter, which has the input's own bytes. It may lack a timestamp that
        cannot be written, and then tells it in a header."""
        changes = []
        if digest(raw.value) != self._values[number]:
            changes.append("value")
        headers = self._plain_headers.get(number, self._headers[number])
        if headers not in header_digests(plain(without_source(raw.headers))):
            changes.append("headers")
        if digest(raw.key) != self._keys[number]:
            changes.append("key")
        came = self._timestamps[number]
        times = {digest(told_number(dict(raw.headers).get(f"{ERRORS}timestamp")))}
        if has_own_time and raw.timestamp_ms is not None:
            times.add(digest(raw.timestamp_ms))
        if times != {came}:
            changes.append("timestamp")
        return changes

    def without_outcome(self) -> Iterator[int]:
        """The offsets of the inputs that have none."""
        start = 0
        while True:
            try:
                start = self._outcomes.index(0, start) + 1
            except ValueError:
                return
            yield self._offsets[start - 1]
