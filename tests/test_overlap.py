"""Passes of one batch overlap where the engine can, and only there."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from consumer.tagging.engine import Answer, Engine
from consumer.tagging.overlap import LEAST_OVERLAPPED_TOKENS, OverlappingEngine, Starter
from tests.host_device import load_tiny, tagger_on
from tests.tiny_models import SENTENCES, article, tag


class Plain:
    """Labels nothing, and tells when."""

    pads = False

    def __init__(self) -> None:
        self.events: list[str] = []
        self.tokens: list[int] = []

    def run(self, windows: Sequence[NDArray[np.int32]]) -> Answer:
        self.events.append("run")
        return self._answer(windows)

    def _answer(self, windows: Sequence[NDArray[np.int32]]) -> Answer:
        tokens = sum(len(window) for window in windows)
        self.tokens.append(tokens)
        return Answer(np.zeros(tokens, np.int16), np.ones(tokens, np.float32), None)


class Overlapping(Plain):
    def start(self, windows: Sequence[NDArray[np.int32]]) -> Begun:
        self.events.append("start")
        return Begun(self, self._answer(windows))


class Begun:
    def __init__(self, engine: Overlapping, answer: Answer) -> None:
        self._engine, self._answer = engine, answer

    def answer(self) -> Answer:
        self._engine.events.append("answer")
        return self._answer


def test_which_engines_overlap() -> None:
    assert isinstance(Overlapping(), OverlappingEngine)
    assert not isinstance(Plain(), OverlappingEngine)
    assert (Starter(Overlapping()).passes, Starter(Plain()).passes) == (2, 1)


def test_how_much_is_enough_for_a_pass() -> None:
    starter = Starter(Overlapping())
    assert starter.enough_tokens(16_001) == 8_001
    assert starter.enough_tokens(LEAST_OVERLAPPED_TOKENS) == LEAST_OVERLAPPED_TOKENS // 2
    assert starter.enough_tokens(LEAST_OVERLAPPED_TOKENS - 1) == sys.maxsize
    assert Starter(Plain()).enough_tokens(1 << 20) == sys.maxsize


def run(engine: Engine, sentences: int, batch_tokens: int) -> tuple[int, int]:
    """Tokens, and calls of `progress`."""
    model = load_tiny()
    tagger = tagger_on(engine, model, batch_tokens=batch_tokens, window_overlap_tokens=16)
    articles = [article(n, SENTENCES[n % 9]) for n in range(sentences)]
    encodings = tagger.encode([item.fields for item in articles])
    told: list[None] = []
    result = tagger._forward.run(encodings, lambda: told.append(None))  # type: ignore[arg-type]
    return result.computed_tokens, len(told)


def test_a_large_batch_is_two_passes_that_overlap() -> None:
    engine = Overlapping()
    tokens, told = run(engine, 500, 1 << 20)
    assert tokens > LEAST_OVERLAPPED_TOKENS
    assert engine.events == ["start", "start", "answer", "answer"]
    assert sum(engine.tokens) == tokens
    # Half and half, but for a window.
    assert 0 <= engine.tokens[0] - engine.tokens[1] <= 2 * 64
    assert told == 2


def test_a_small_batch_is_one_pass() -> None:
    engine = Overlapping()
    run(engine, 20, 1 << 20)
    assert engine.events == ["start", "answer"]


def test_many_passes_have_two_under_way_at_once() -> None:
    engine = Overlapping()
    tokens, told = run(engine, 100, 512)
    passes = len(engine.tokens)
    assert passes == told > 4
    assert max(engine.tokens) <= 512
    assert sum(engine.tokens) == tokens
    assert engine.events == ["start", *["start", "answer"] * (passes - 1), "answer"]


def test_an_engine_that_does_not_overlap_is_asked_as_before() -> None:
    engine = Plain()
    run(engine, 500, 1 << 20)
    assert engine.events == ["run"]


def test_articles_that_have_nothing_to_run() -> None:
    model = load_tiny()
    tagger = tagger_on(Overlapping(), model)
    assert tag(tagger, [article(0, " "), article(1, "")]).answers == ((), ())
