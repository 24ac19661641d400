"""The light worker, broken on purpose.

`python -m tests.faults.workers.spoiled_worker SPOIL,SPOIL FLAGS` shows that the checkers
of fuzz and soak see what they look for. What spoils messages each takes some of its own, so that
one run may have several.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from consumer.contracts.messages import Outgoing, TopicPartition
from consumer.kafka.sink.kafka_sink import KafkaSink
from consumer.kafka.sink.output import Output
from consumer.pipeline.dispatch import Dispatcher
from tests.faults.workers import light_worker

_CODE, _OFFSET = b"missing_id", "__nerstream.errors.offset"

_kept: list[Any] = []
_held: list[Outgoing] = []


def _drop(_message: Outgoing) -> list[Outgoing]:
    return []


def _double(message: Outgoing) -> list[Outgoing]:
    return [message, message]


def _late(message: Outgoing) -> list[Outgoing]:
    """Held back until the next one of its partition comes; this one and then the held."""
    if message.position.offset < 40:
        _held.append(message)
        return []
    late, _held[:] = list(_held), []
    return [message, *late]


def _alter_value(message: Outgoing) -> list[Outgoing]:
    return [message._replace(value=(message.value or b"") + b" ")]


def _alter_field(message: Outgoing) -> list[Outgoing]:
    return [message._replace(value=(message.value or b"").replace(b'"body"', b'"bodY"', 1))]


def _shift_entities(message: Outgoing) -> list[Outgoing]:
    value = (message.value or b"").replace(b'"start":', b'"start":1')
    return [message._replace(value=value.replace(b'"end":', b'"end":1'))]


def _forget_headers(message: Outgoing) -> list[Outgoing]:
    kept = tuple(one for one in message.headers if one[0].startswith("__nerstream.errors."))
    # Without its number the outcome of an article would belong to no message at all.
    number = tuple(one for one in message.headers if one[0] == "number")
    return [message._replace(headers=(*number, *kept, ("more", b"")))]


def _wrong_code(message: Outgoing) -> list[Outgoing]:
    headers = tuple((name, _CODE if name.endswith(".code") else v) for name, v in message.headers)
    return [message._replace(headers=headers)]


def _wrong_origin(message: Outgoing) -> list[Outgoing]:
    headers = tuple((name, b"1" if name == _OFFSET else v) for name, v in message.headers)
    return [message._replace(headers=headers)]


def _forget_key(message: Outgoing) -> list[Outgoing]:
    return [message._replace(key=None if message.key else b"key", partition=0)]


def _wrong_source(message: Outgoing) -> list[Outgoing]:
    # The sink makes the header that names the input of this.
    position = message.position
    return [message._replace(position=position._replace(offset=position.offset + 1))]


def _retime(message: Outgoing) -> list[Outgoing]:
    return [message._replace(timestamp_ms=86_400_000)]


#: What is done to messages: to those of the output topic, or to dead letters.
OUTPUT_SPOILS: Mapping[str, Callable[[Outgoing], list[Outgoing]]] = {
    "double": _double,
    "late": _late,
    "alter_field": _alter_field,
    "shift_entities": _shift_entities,
    "forget_key": _forget_key,
    "retime": _retime,
    "wrong_source": _wrong_source,
}
LETTER_SPOILS: Mapping[str, Callable[[Outgoing], list[Outgoing]]] = {
    "drop_letter": _drop,
    "alter_letter": _alter_value,
    "forget_headers": _forget_headers,
    "wrong_code": _wrong_code,
    "wrong_origin": _wrong_origin,
}


def _leak_memory(_: Outgoing) -> None:
    # In all twice what a worker has, by which the test is sure of it on every machine.
    _kept.append(bytearray(os.urandom(1_024)) * 60)


def _leak_thread(message: Outgoing) -> None:
    if message.position.offset % 100 == 0:
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def _leak_descriptor(message: Outgoing) -> None:
    if message.position.offset % 100 == 0:
        _kept.append(os.open(os.devnull, os.O_RDONLY))


def _leave_file(_: Outgoing) -> None:
    Path(tempfile.gettempdir(), "spilled").touch()


def _die(message: Outgoing) -> None:
    if message.position.offset == 20:
        os._exit(3)


#: What is done beside each message.
SIDE_EFFECTS: Mapping[str, Callable[[Outgoing], None]] = {
    "leak_memory": _leak_memory,
    "leak_thread": _leak_thread,
    "leak_descriptor": _leak_descriptor,
    "leave_file": _leave_file,
    "die": _die,
}


def _commit_behind() -> None:
    commit = KafkaSink.commit

    def behind(
        self: KafkaSink,
        offsets: Mapping[TopicPartition, int],
        still_owned: Callable[[], bool],
    ) -> None:
        commit(self, {one: offset - 1 for one, offset in offsets.items()}, still_owned)

    KafkaSink.commit = behind  # type: ignore[method-assign]


def _leave_transaction() -> None:
    stop = Output.stop

    def leave(self: Output) -> None:
        if self._producer is None:
            stop(self)
            return
        self._producer.begin_transaction()
        self._producer.produce(self._settings.output_topic, b"open", partition=0)
        self._producer.flush(30)
        os._exit(0)

    Output.stop = leave  # type: ignore[method-assign]


#: What is done to a part of the worker.
PART_SPOILS: Mapping[str, Callable[[], None]] = {
    "commit_behind": _commit_behind,
    "leave_transaction": _leave_transaction,
}


def _spoil_messages(names: Sequence[str]) -> None:
    send_to = Dispatcher._send_to

    def spoiled(self: Dispatcher, topic: str, message: Outgoing) -> None:
        for name in names:
            if name in SIDE_EFFECTS:
                SIDE_EFFECTS[name](message)
        is_output = topic == self._route.output_topic
        spoils = OUTPUT_SPOILS if is_output else LETTER_SPOILS
        mine = [spoils[name] for name in names if name in spoils]
        messages = [message]
        # A null value has nothing to spoil.
        if mine and message.value is not None:
            messages = mine[message.position.offset % len(mine)](message)
        for one in messages:
            send_to(self, topic, one)

    Dispatcher._send_to = spoiled  # type: ignore[method-assign]


def main() -> int:
    """The exit code of the command."""
    names = sys.argv.pop(1).split(",")
    known = {**OUTPUT_SPOILS, **LETTER_SPOILS, **SIDE_EFFECTS, **PART_SPOILS}
    assert set(names) <= set(known), names
    _spoil_messages(names)
    for name in names:
        if name in PART_SPOILS:
            PART_SPOILS[name]()
    return light_worker.main()


if __name__ == "__main__":
    sys.exit(main())
