"""Passes of one batch, and of two, overlap where the engine can, and only there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from consumer.contracts.errors import DeviceFailed, RejectedMessage
from consumer.contracts.messages import PreparedArticle, TaggingResult
from consumer.tagging.engine.engine import Answer, Engine
from consumer.tagging.engine.overlap import OverlappingEngine, Starter
from consumer.tagging.select import load_model, select_engine
from consumer.tagging.tagger import Tagger
from tests.support.engines.host_device import load_tiny, tagger_on, varlen_engine
from tests.support.models.tiny_models import SENTENCES, article, tag, tiny_folder


class Plain:
    """Labels nothing, and tells when."""

    pads = skips_unread = is_exact = False

    def __init__(self) -> None:
        self.events: list[str] = []
        self.tokens: list[int] = []

    def run(
        self, windows: Sequence[NDArray[np.int32]], _is_read: NDArray[np.bool_] | None = None
    ) -> Answer:
        self.events.append("run")
        return self._answer(windows)

    def _answer(self, windows: Sequence[NDArray[np.int32]]) -> Answer:
        tokens = sum(len(window) for window in windows)
        self.tokens.append(tokens)
        return Answer(np.zeros(tokens, np.int16), np.ones(tokens, np.float32), None)


class Overlapping(Plain):
    def start(
        self, windows: Sequence[NDArray[np.int32]], _is_read: NDArray[np.bool_] | None = None
    ) -> Begun:
        self.events.append("start")
        return Begun(self, self._answer(windows))

    def await_room(self) -> None:
        self.events.append("room")


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


def run(engine: Engine, sentences: int, batch_tokens: int) -> tuple[int, int]:
    """Tokens, and calls of `progress`."""
    model = load_tiny()
    tagger = tagger_on(engine, model, batch_tokens=batch_tokens, window_overlap_tokens=16)
    articles = [article(n, SENTENCES[n % 9]) for n in range(sentences)]
    encodings = tagger.encode(articles)
    told: list[None] = []
    result = tagger._forward.run(encodings, lambda: told.append(None))
    return result.computed_tokens, len(told)


def test_a_batch_that_fits_is_one_pass() -> None:
    engine = Overlapping()
    tokens, told = run(engine, 500, 1 << 20)
    assert engine.events == ["start", "answer"]
    assert engine.tokens == [tokens]
    assert told == 1


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


class Slots(Overlapping):
    """Holds no more passes than it says it can, and only so many tokens in one."""

    def __init__(self, fits_tokens: int = 1 << 30) -> None:
        super().__init__()
        self.open = self.most_open = 0
        self._fits_tokens = fits_tokens

    def start(
        self, windows: Sequence[NDArray[np.int32]], _is_read: NDArray[np.bool_] | None = None
    ) -> Begun:
        if sum(map(len, windows)) > self._fits_tokens:
            self.events.append("no memory")
            raise torch.OutOfMemoryError("out of memory, as asked for")
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.events.append("start")
        return Closing(self, self._answer(windows))


class Closing(Begun):
    def answer(self) -> Answer:
        assert isinstance(self._engine, Slots)
        self._engine.open -= 1
        return super().answer()


def prepared(tagger: Tagger, sentences: int) -> list[PreparedArticle]:
    articles = [article(number, SENTENCES[number % 9]) for number in range(sentences)]
    encodings = tagger.encode(articles)
    return [PreparedArticle(*pair) for pair in zip(articles, encodings, strict=True)]


def nothing() -> None:
    """Progress is of no interest."""


def test_the_passes_of_the_next_batch_are_begun_before_the_last_is_finished() -> None:
    engine = Slots()
    model = load_tiny()
    tokens = sum(item.encoding.tokens for item in prepared(tagger_on(Plain(), model), 500))
    # Half of the first batch, and a window.
    tagger = tagger_on(engine, model, batch_tokens=tokens // 2 + 64)
    assert tagger.overlaps
    told: list[str] = []
    first = tagger.begin(prepared(tagger, 500), lambda: told.append("first"))
    second = tagger.begin(prepared(tagger, 20), lambda: told.append("second"))
    # Two passes of the first, of which one makes room for the second's.
    assert engine.events == ["start", "start", "answer", "start"]
    assert told == ["first"]
    assert len(first().answers) == 500
    assert engine.events == ["start", "start", "answer", "start", "answer"]
    assert len(second().answers) == 20
    assert told == ["first", "first", "second"]
    assert (engine.open, engine.most_open) == (0, 2)


def test_a_batch_of_many_passes_has_begun_them_all_before_the_next_begins() -> None:
    engine = Slots()
    tagger = tagger_on(engine, load_tiny(), batch_tokens=512)
    first = tagger.begin(prepared(tagger, 100), nothing)
    assert engine.events == ["start", "start"]
    second = tagger.begin(prepared(tagger, 10), nothing)
    tokens = sum(item.encoding.tokens for item in prepared(tagger, 100))
    assert sum(engine.tokens[:-1]) == tokens
    result = first()
    assert (result.computed_tokens, result.tokens) == (tokens, tokens)
    assert second().computed_tokens == engine.tokens[-1]
    assert (engine.open, engine.most_open) == (0, 2)


class LateSlots(Slots):
    """Finds out that it has no memory when it is asked for the answer, as threads on a CPU do."""

    def start(
        self, windows: Sequence[NDArray[np.int32]], _is_read: NDArray[np.bool_] | None = None
    ) -> Begun:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.events.append("start")
        fits = sum(map(len, windows)) <= self._fits_tokens
        return (Closing if fits else Futile)(self, self._answer(windows))


class Futile(Closing):
    def answer(self) -> Answer:
        super().answer()
        raise torch.OutOfMemoryError("out of memory, as asked for")


@pytest.mark.parametrize("slots", [Slots, LateSlots])
def test_memory_that_runs_out_beside_another_batch_splits_its_own_alone(
    slots: type[Slots],
) -> None:
    engine = slots(fits_tokens=1_000)
    tagger = tagger_on(engine, load_tiny(), batch_tokens=4_096)
    first = tagger.begin(prepared(tagger, 20), nothing)
    second = tagger.begin(prepared(tagger, 100), nothing)
    third = tagger.begin(prepared(tagger, 20), nothing)
    results = [first(), second(), third()]
    assert [one.out_of_memory_splits > 0 for one in results] == [False, True, False]
    for result, count in zip(results, (20, 100, 20), strict=True):
        assert result.answers == ((),) * count
        assert result.computed_tokens == result.tokens
    assert (engine.open, engine.most_open) == (0, 2)


@pytest.mark.parametrize("slots", [Slots, LateSlots])
def test_a_window_without_memory_for_it_is_rejected_beside_others(slots: type[Slots]) -> None:
    engine = slots(fits_tokens=40)
    tagger = tagger_on(engine, load_tiny(), batch_tokens=4_096)
    long = article(9, " ".join(SENTENCES))
    (encoding,) = tagger.encode([long])
    mixed = [*prepared(tagger, 9), PreparedArticle(long, encoding), *prepared(tagger, 5)]
    first, second = tagger.begin(mixed, nothing), tagger.begin(prepared(tagger, 20), nothing)
    answers = first().answers
    assert isinstance(answers[9], RejectedMessage)
    assert answers[9].code == "out_of_memory"
    assert [*answers[:9], *answers[10:]] == [()] * 14
    assert second().answers == ((),) * 20
    assert engine.open == 0


class Narrow(Plain):
    """Has memory for so many tokens."""

    def run(
        self, windows: Sequence[NDArray[np.int32]], _is_read: NDArray[np.bool_] | None = None
    ) -> Answer:
        if sum(map(len, windows)) > 40:
            raise torch.OutOfMemoryError("out of memory, as asked for")
        return super().run(windows)


@pytest.mark.parametrize(
    "engine", [Narrow(), Slots(fits_tokens=40), LateSlots(fits_tokens=40)], ids=type
)
def test_a_last_pass_without_memory_ends_the_batch(engine: Plain) -> None:
    tagger = tagger_on(engine, load_tiny(), batch_tokens=64)
    last = article(99, " ".join(SENTENCES))
    (encoding,) = tagger.encode([last])
    batch = [*prepared(tagger, 20), PreparedArticle(last, encoding)]
    answers = tagger.tag(batch, nothing).answers
    assert isinstance(answers[-1], RejectedMessage)
    assert answers[:-1] == ((),) * 20


def test_room_is_asked_for_when_all_passes_of_the_latest_batch_have_begun() -> None:
    engine = Slots()
    tagger = tagger_on(engine, load_tiny(), batch_tokens=512)
    tagger.await_room()
    assert engine.events == []
    answers = tagger.begin(prepared(tagger, 100), nothing)
    assert engine.events == ["start", "start"]
    tagger.await_room()
    tokens = sum(item.encoding.tokens for item in prepared(tagger, 100))
    assert sum(engine.tokens) == tokens
    assert engine.events[-3:] == ["answer", "start", "room"]
    assert answers().computed_tokens == tokens
    tagger.await_room()
    assert engine.events[-2:] == ["answer", "answer"]


def test_what_does_not_overlap_begins_nothing_for_want_of_room() -> None:
    engine = Plain()
    tagger = tagger_on(engine, load_tiny(), batch_tokens=512)
    answers = tagger.begin(prepared(tagger, 100), nothing)
    begun = list(engine.events)
    tagger.await_room()
    assert engine.events == begun
    assert len(answers().answers) == 100


class Told(Overlapping):
    """Remembers what it is told of what is read."""

    def __init__(self, skips_unread: bool) -> None:
        super().__init__()
        self.skips_unread = skips_unread
        self.told: list[NDArray[np.bool_] | None] = []

    def start(
        self, windows: Sequence[NDArray[np.int32]], is_read: NDArray[np.bool_] | None = None
    ) -> Begun:
        self.told.append(is_read)
        return super().start(windows)


def test_an_engine_is_told_what_is_read_if_it_leaves_out_the_rest() -> None:
    for skips_unread in (False, True):
        engine = Told(skips_unread)
        tokens, _ = run(engine, 30, 512)
        assert len(engine.told) > 1
        if not skips_unread:
            assert engine.told == [None] * len(engine.told)
            continue
        told = np.concatenate([flags for flags in engine.told if flags is not None])
        assert len(told) == tokens
        # Special tokens and later parts of words are not.
        assert 0.3 < told.mean() < 0.9


def overlapping_tagger(kind: str) -> Tagger:
    if kind == "GPU":
        model = load_tiny()
        return tagger_on(varlen_engine(model), model, batch_tokens=512)
    before = torch.get_num_threads()
    try:
        model = load_model(str(tiny_folder()), "", "cpu", "float32", 2)
        engine = select_engine(model, False).engine
        # Several passes a batch.
        engine._part_tokens = 64  # type: ignore[attr-defined]
        return tagger_on(engine, model, batch_tokens=512)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("kind", ["GPU", "CPU"])
def test_batches_that_overlap_have_the_entities_that_they_have_alone(kind: str) -> None:
    tagger = overlapping_tagger(kind)
    batches = [prepared(tagger, count) for count in (40, 3, 90, 0, 17)]
    alone = [tagger.tag(batch, nothing) for batch in batches]
    found, before = [], None
    for batch in batches:
        if before is not None:
            tagger.await_room()
        answers = tagger.begin(batch, nothing)
        if before is not None:
            found.append(before())
        before = answers
    assert before is not None
    found.append(before())
    assert [spans_of(result) for result in found] == [spans_of(result) for result in alone]
    assert [one.computed_tokens for one in found] == [one.computed_tokens for one in alone]
    assert sum(map(len, spans_of(found[2]))) > 100


def spans_of(result: TaggingResult) -> list[list[tuple[object, ...]]]:
    assert not [one for one in result.answers if isinstance(one, RejectedMessage)]
    return [
        [(entity.type, entity.start, entity.end) for entity in answer]
        for answer in result.answers
        if isinstance(answer, tuple)
    ]


def test_a_device_that_fails_in_the_last_batch_fails_the_beginning_of_the_next() -> None:
    model = load_tiny()
    engine = varlen_engine(model)
    tagger = tagger_on(engine, model, batch_tokens=512)

    def broken(slot: int) -> NDArray[np.int32]:
        del slot
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    tagger.begin(prepared(tagger, 40), nothing)
    engine.device.wait = broken  # type: ignore[method-assign]
    with pytest.raises(DeviceFailed, match="an illegal memory access"):
        tagger.begin(prepared(tagger, 5), nothing)
