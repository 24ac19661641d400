"""Small, strict stand-ins for what the pipeline is given: clock, codec, tagger."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from consumer.contracts.choices import RejectCode, SkipReason
from consumer.contracts.errors import RegistryUnavailable, RejectedMessage
from consumer.contracts.messages import (
    Article,
    Entity,
    ModelInfo,
    ModelShare,
    Position,
    PreparedArticle,
    RawMessage,
    TaggedArticle,
    TaggingResult,
    TextField,
    Tombstone,
    TopicPartition,
    Untagged,
)

#: Longest wait for something that is bound to happen; only a failing test waits so long.
PATIENCE_S = 120.0

T = TypeVar("T")

P0 = TopicPartition("articles", 0)
P1 = TopicPartition("articles", 1)
MODEL = ModelInfo("fake", "r1", "cpu", "float32", ("PER",))


def eventually(holds: Callable[[], object], what: str) -> None:
    """Wait until something holds that other threads bring about."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"never came: {what}"
        time.sleep(0.001)


def in_thread(call: Callable[..., T], *args: object) -> Future[T]:
    """What the call gives or raises on another thread; a daemon, so that none can hang the run."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call(*args))
        except BaseException as failure:
            future.set_exception(failure)

    threading.Thread(target=run, daemon=True).start()
    return future


def raw(
    offset: int,
    value: bytes | None = b"Ada wrote",
    *,
    partition: TopicPartition = P0,
    assignment: int = 1,
    key: bytes | None = b"key",
    headers: tuple[tuple[str, bytes | None], ...] = (),
    timestamp_ms: int | None = 1_000,
    has_unreadable_headers: bool = False,
) -> RawMessage:
    """A message as it comes from Kafka."""
    position = Position(partition, offset)
    return RawMessage(
        position, key, value, headers, timestamp_ms, assignment, has_unreadable_headers
    )


@dataclass(frozen=True, slots=True)
class FakeEncoding:
    """So many tokens."""

    tokens: int


def prepared(offset: int, tokens: int = 1, **kwargs: Any) -> PreparedArticle:
    """An article of so many tokens."""
    message = raw(offset, **kwargs)
    article = Article(message, f"id-{offset}", (TextField("title", "Ada"),))
    return PreparedArticle(article, FakeEncoding(tokens))


def tagged(offset: int, types: Sequence[str] = ("PER",), **kwargs: Any) -> TaggedArticle:
    """An article with one entity of each of these types."""
    article = prepared(offset, **kwargs).article
    entities = tuple(Entity("title", type_, "Ada", 0, 3, 1.0) for type_ in types)
    return TaggedArticle(article, entities, 1, MODEL)


def untagged(offset: int, partition: TopicPartition = P0) -> Untagged:
    """A message that passes without being tagged."""
    message = raw(offset, b"picture", partition=partition)
    return Untagged(Article(message, "id", ()), SkipReason.NO_TEXT)


class ManualClock:
    """Seconds that pass when told to."""

    def __init__(self, now: float = 1_000.0) -> None:
        self._now = now
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        with self._lock:
            self._now += seconds


class FakeCodec:
    """A value is its text; one that begins with `bad` is no article, `picture` has no text.

    Attributes:
        missing: what is not there, and without it nothing can be decoded; empty when all is.
        is_opened, is_closed: whether these were called.
    """

    def __init__(self) -> None:
        self.missing = ""
        self.is_opened = self.is_closed = False

    def open(self) -> None:
        self._need()
        self.is_opened = True

    def close(self) -> None:
        self.is_closed = True

    def _need(self) -> None:
        if self.missing:
            raise RegistryUnavailable(self.missing)

    def decode(self, raw: RawMessage) -> Article | Untagged | Tombstone:
        assert self.is_opened
        self._need()
        if raw.value is None:
            return Tombstone(raw)
        if raw.value.startswith(b"bad"):
            raise RejectedMessage(RejectCode.INVALID_JSON, "the value is not JSON")
        if raw.value.startswith(b"picture"):
            return Untagged(Article(raw, "id", ()), SkipReason.NO_TEXT)
        return Article(raw, "id", (TextField("body", raw.value.decode()),))

    def encode(self, outcome: TaggedArticle | Untagged, tagged_at_ms: int) -> bytes:
        assert outcome.raw.value is not None
        assert tagged_at_ms > 0
        if isinstance(outcome, Untagged):
            return outcome.raw.value + f"|{outcome.reason}".encode()
        names = ",".join(entity.text for entity in outcome.entities)
        return outcome.raw.value + f"|{names}|{outcome.model.name}".encode()


class FakeTagger:
    """Every capitalised word is a person; some words fail.

    A text with `untokenizable` cannot be encoded, one with `nan` is rejected by the model, and
    `explode` breaks the device.

    Attributes:
        gate: while it is cleared `tag` waits, as a busy device does.
        shut_after: runs after which it is cleared; 0 for never.
        fuse: while it is cleared, a text with `explode` waits before it does.
        busy: set while `tag` runs.
        batches: the texts of every run.
        chunks: the texts of every call of `encode`.
    """

    overlaps = False
    encodings_at_once = 1

    def __init__(self) -> None:
        self.models = (MODEL,)
        self.gate = threading.Event()
        self.gate.set()
        self.shut_after = 0
        self.fuse = threading.Event()
        self.fuse.set()
        self.busy = threading.Event()
        self.batches: list[list[str]] = []
        self.chunks: list[list[str]] = []

    def encode(self, articles: Sequence[Article]) -> list[FakeEncoding]:
        joined = [" ".join(field.text for field in one.fields) for one in articles]
        self.chunks.append(joined)
        if any("untokenizable" in text for text in joined):
            raise ValueError("no such symbol")
        return [FakeEncoding(len(text.split())) for text in joined]

    def await_room(self) -> None:
        """There is."""

    def begin(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> Callable[[], TaggingResult]:
        result = self.tag(articles, progress)
        return lambda: result

    def tag(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> TaggingResult:
        texts = [article.article.fields[0].text for article in articles]
        self.batches.append(texts)
        self.busy.set()
        assert self.gate.wait(PATIENCE_S), "the gate stayed shut"
        if len(self.batches) == self.shut_after:
            self.gate.clear()
        self.busy.clear()
        progress()
        if any("explode" in text for text in texts):
            assert self.fuse.wait(PATIENCE_S), "the fuse did not burn"
            raise ArithmeticError("the device broke")
        tokens = sum(article.encoding.tokens for article in articles)
        answers = tuple(_answer(text) for text in texts)
        return TaggingResult.of_one_model(answers, ModelShare(MODEL, tokens, tokens + 1))


def _answer(text: str) -> tuple[Entity, ...] | RejectedMessage:
    if "nan" in text:
        return RejectedMessage(RejectCode.NOT_A_NUMBER, "the model answered with NaN")
    entities = []
    for word in text.split():
        if word[0].isupper():
            start = text.index(word)
            entities.append(Entity("body", "PER", word, start, start + len(word), 1.0))
    return tuple(entities)
