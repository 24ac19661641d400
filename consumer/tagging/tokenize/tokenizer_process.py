"""What a process that tokenises does: texts in by a pipe, arrays out. Imports no torch.

The arrays of all fields travel laid end to end, a handful of objects for each call.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from consumer.tagging.tokenize.encoding import ArticleEncoding, FieldEncoding, TextTokenizer
from consumer.tagging.tokenize.tokenizer_options import TokenizerOptions, make_text_tokenizer


@dataclass(frozen=True, slots=True)
class TokenizerSpec:
    """All that it takes to make a `TextTokenizer`, in a form that can travel.

    Attributes:
        tokenizer: as JSON, without truncation and padding.
        encodes_special_tokens: whether the text of a special token is taken for text; the JSON does
            not say it.
        options: all else.
    """

    tokenizer: str
    encodes_special_tokens: bool
    options: TokenizerOptions


class Call(NamedTuple):
    """Articles, each a list of texts, and the number of the tokenizer that is to read them."""

    number: int
    articles: Sequence[Sequence[str]]


class Failed(NamedTuple):
    """What the tokenizer said instead of an answer."""

    message: str


class SerialisedEncodings(NamedTuple):
    """The encodings of some articles, laid end to end.

    Attributes:
        ids, starts, ends, begins_unit: those of all fields, end to end; shape (tokens,).
        windows: shape (windows, 4).
        field_tokens, field_windows: how many of each a field has; shape (fields,).
        article_fields: how many fields an article has; shape (articles,).
        article_tokens: shape (articles,).
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    begins_unit: NDArray[np.bool_]
    windows: NDArray[np.int64]
    field_tokens: NDArray[np.int64]
    field_windows: NDArray[np.int64]
    article_fields: NDArray[np.int64]
    article_tokens: NDArray[np.int64]


def spec_of(tokenizer: Tokenizer, options: TokenizerOptions) -> TokenizerSpec:
    """The spec of a `TextTokenizer` around this tokenizer."""
    return TokenizerSpec(tokenizer.to_str(), tokenizer.encode_special_tokens, options)


def text_tokenizer_of(spec: TokenizerSpec) -> TextTokenizer:
    """The `TextTokenizer` that a spec describes."""
    tokenizer = Tokenizer.from_str(spec.tokenizer)
    tokenizer.encode_special_tokens = spec.encodes_special_tokens
    return make_text_tokenizer(tokenizer, spec.options)


def ignore_signals() -> None:
    """The worker drains after a signal, and needs its tokens until it has; service managers send
    the signal to all processes of a service."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def main() -> None:
    """The process, started with the number of its end of the pipe as its last argument. The first
    message is what to run, and with what; until it comes the worker may end."""
    ignore_signals()
    connection = Connection(int(sys.argv[-1]))
    try:
        serve, specs = pickle.loads(connection.recv_bytes())
    except (EOFError, ConnectionResetError):
        return  # the worker has ended
    serve(connection, specs)


def serve(connection: Connection, specs: Sequence[TokenizerSpec]) -> None:
    """Answer calls until the other end closes the pipe. The end of the other process closes it
    too, so nothing is left behind by a worker that was killed.

    The first message out says that the next one may come. After it each call is a pickled `Call`.
    Each answer is pickled `SerialisedEncodings` or `Failed`.
    """
    # One process, one core: there are others beside it.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        text_tokenizers = [text_tokenizer_of(spec) for spec in specs]
        connection.send_bytes(b"")
        while True:
            call: Call = pickle.loads(connection.recv_bytes())
            answer = _answer(text_tokenizers[call.number], call.articles)
            connection.send_bytes(pickle.dumps(answer, protocol=5))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the worker has ended


def _answer(
    text_tokenizer: TextTokenizer, articles: Sequence[Sequence[str]]
) -> SerialisedEncodings | Failed:
    try:
        return serialise(text_tokenizer.encode(articles))
    except Exception as failure:  # what a tokenizer raises depends on its parts
        return Failed(repr(failure))


def serialise(encodings: Sequence[ArticleEncoding]) -> SerialisedEncodings:
    """Lay the arrays of all fields end to end."""
    fields = [field for encoding in encodings for field in encoding.fields]
    return SerialisedEncodings(
        ids=np.concatenate([np.zeros(0, np.int32), *(field.ids for field in fields)]),
        starts=np.concatenate([np.zeros(0, np.int32), *(field.starts for field in fields)]),
        ends=np.concatenate([np.zeros(0, np.int32), *(field.ends for field in fields)]),
        begins_unit=np.concatenate(
            [np.zeros(0, np.bool_), *(field.begins_unit for field in fields)]
        ),
        windows=np.concatenate([np.zeros((0, 4), np.int64), *(field.windows for field in fields)]),
        field_tokens=np.array([len(field.ids) for field in fields], dtype=np.int64),
        field_windows=np.array([len(field.windows) for field in fields], dtype=np.int64),
        article_fields=np.array([len(one.fields) for one in encodings], dtype=np.int64),
        article_tokens=np.array([one.tokens for one in encodings], dtype=np.int64),
    )


def deserialise(serialised: SerialisedEncodings) -> list[ArticleEncoding]:
    """Undo `serialise`; the arrays of the fields are views."""
    fields = []
    token = window = 0
    for tokens, windows in zip(
        serialised.field_tokens.tolist(), serialised.field_windows.tolist(), strict=True
    ):
        end, last = token + tokens, window + windows
        fields.append(
            FieldEncoding(
                serialised.ids[token:end],
                serialised.starts[token:end],
                serialised.ends[token:end],
                serialised.begins_unit[token:end],
                serialised.windows[window:last],
            )
        )
        token, window = end, last
    encodings = []
    first = 0
    for count, tokens in zip(
        serialised.article_fields.tolist(), serialised.article_tokens.tolist(), strict=True
    ):
        encodings.append(ArticleEncoding(tuple(fields[first : first + count]), tokens))
        first += count
    return encodings
