"""What the process of a second model does: articles in by a pipe, entities out.

A process of its own: what breaks there, a crash in a library or a device that fails, must not reach
the articles of the worker.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, TypeAlias

from consumer.contracts.errors import NerstreamError, RejectedMessage, first_line
from consumer.contracts.messages import (
    Article,
    Entity,
    ModelInfo,
    Position,
    PreparedArticle,
    RawMessage,
    TextField,
    TopicPartition,
)
from consumer.contracts.ports import Tagger

#: How much this process gives way to others, as nice has it: to all.
_NICE = 19

#: The articles carry none of their messages.
_NO_MESSAGE = RawMessage(Position(TopicPartition("", 0), 0), None, None, (), None, 0)

#: Texts of each article.
Call: TypeAlias = Sequence[tuple[TextField, ...]]

#: The entities of each; None where the model cannot tag it.
Answers: TypeAlias = Sequence[tuple[Entity, ...] | None]


class Refused(NamedTuple):
    """The model cannot be loaded.

    Attributes:
        message: why.
    """

    message: str


def first_message(settings: str, model: str) -> bytes:
    """What a second model is loaded by.

    Args:
        settings: the worker's, as JSON.
        model: `MODEL` or `MODEL@REVISION`.
    """
    return pickle.dumps((settings, model))


def main() -> None:
    """The process, started with the number of its end of the pipe as its last argument. The first
    message is the settings; the first answer the model, or why there is none; then each call is
    answered. It ends with the pipe."""
    # The worker drains after a signal, which service managers send to all processes.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    connection = Connection(int(sys.argv[-1]))
    try:
        _serve(connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the worker has ended


def _serve(connection: Connection) -> None:
    text, model = pickle.loads(connection.recv_bytes())
    try:
        tagger = _load(text, model)
    except NerstreamError as failure:
        _send(connection, Refused(str(failure)))
        return
    except Exception as failure:
        _send(connection, Refused(f"{type(failure).__name__}: {first_line(failure)}"))
        return
    _send(connection, tagger.models[0])
    while True:
        _send(connection, answers(tagger, pickle.loads(connection.recv_bytes())))


def _load(text: str, model: str) -> Tagger:
    # Imported here: torch takes seconds, in which the pipe may close.
    from consumer.loading import refined, taggers_from
    from consumer.settings.schema import Settings
    from consumer.telemetry.logs import configure_logging

    settings = Settings.model_validate_json(text)
    # What is worth a line of a second model is told by the worker.
    configure_logging(settings.log_format, "warning")
    changes: dict[str, Any] = {"models": {"*": model}, "threads": 1, "tokenizer_processes": 0}
    changes["model_sha256"] = ()  # of the serving model
    settings = settings.model_copy(update=changes)
    return refined(taggers_from(settings), settings)


def answers(tagger: Tagger, call: Call) -> Answers:
    """What the model says of these texts."""
    articles = [Article(_NO_MESSAGE, "", fields) for fields in call]
    encodings = tagger.encode(articles)
    prepared = [PreparedArticle(*pair) for pair in zip(articles, encodings, strict=True)]
    found = tagger.begin(prepared, lambda: None)().answers
    return [None if isinstance(one, RejectedMessage) else one for one in found]


def _send(connection: Connection, answer: ModelInfo | Refused | Answers) -> None:
    connection.send_bytes(pickle.dumps(answer, protocol=5))
