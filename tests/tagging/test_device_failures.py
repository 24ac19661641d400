"""A device that fails under the tagger: no memory, no numbers, another error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import DeviceFailed, ModelError, RejectedMessage
from consumer.tagging.engine.engine import Engine, PackedEngine
from consumer.tagging.select import load_model, select_engine
from consumer.tagging.tagger import Tagger, TaggingOptions
from tests.support.models.compared_answers import (
    MODES,
    TEXTS,
    articles_of,
    same,
    skip_unless_it_runs,
)
from tests.support.models.tiny_models import (
    FAMILIES,
    SENTENCES,
    article,
    tag,
    tiny_folder,
    tiny_tagger,
)


class FailingEngine:
    """An engine whose device holds only so many tokens at once."""

    def __init__(self, engine: Engine, fits_tokens: int, error: Callable[[], Exception]):
        self._engine = engine
        self._error = error
        self.fits_tokens = fits_tokens
        self.pads, self.skips_unread = engine.pads, engine.skips_unread
        self.is_exact = engine.is_exact
        self.passes: list[int] = []

    def run(self, windows: Sequence[np.ndarray], is_read: np.ndarray | None = None) -> Any:
        tokens = sum(len(window) for window in windows)
        if self.pads:
            tokens = len(windows) * max(len(window) for window in windows)
        if tokens > self.fits_tokens:
            raise self._error()
        self.passes.append(tokens)
        return self._engine.run(windows, is_read)


OUT_OF_MEMORY_ERRORS: dict[str, Callable[[], Exception]] = {
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cudnn": lambda: RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    "driver": lambda: torch.AcceleratorError("CUDA error: out of memory\nCompile with DSA"),
    "cpu": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"
    ),
}


def failing_tagger(
    fits_tokens: int, kind: str = "cuda", family: str = "bert-cased", dtype: str = "float32"
) -> tuple[Tagger, FailingEngine]:
    model = load_model(str(tiny_folder(family)), "", "cpu", dtype, 1)
    engine = FailingEngine(
        select_engine(model, False).engine, fits_tokens, OUT_OF_MEMORY_ERRORS[kind]
    )
    options = TaggingOptions(window_overlap_tokens=16, batch_tokens=1_000)
    return Tagger(model, options, engine), engine


@pytest.mark.parametrize("kind", OUT_OF_MEMORY_ERRORS)
def test_out_of_memory_halves_until_it_fits_and_remembers(kind: str) -> None:
    tagger, engine = failing_tagger(fits_tokens=130, kind=kind)
    articles = articles_of(TEXTS * 3)
    result = tag(tagger, articles)
    assert result.out_of_memory_splits >= 3
    assert max(engine.passes) <= 130
    assert tagger._forward.limit_tokens <= 130
    expected = tag(tiny_tagger(), articles)
    assert all(map(same, result.answers, expected.answers))
    assert result.computed_tokens == expected.tokens
    assert tag(tagger, articles).out_of_memory_splits == 0


@pytest.mark.parametrize("dtype", MODES)
@pytest.mark.parametrize("family", FAMILIES)
def test_the_answers_are_the_same_before_and_after_an_out_of_memory_split(
    family: str, dtype: str
) -> None:
    skip_unless_it_runs(family, dtype)
    tagger, engine = failing_tagger(10_000, family=family, dtype=dtype)
    articles = articles_of(TEXTS)
    before = tag(tagger, articles)
    engine.fits_tokens = 150
    during = tag(tagger, articles)
    after = tag(tagger, articles)
    assert (before.out_of_memory_splits, after.out_of_memory_splits) == (0, 0)
    assert during.out_of_memory_splits > 0
    for first, second, third in zip(before.answers, during.answers, after.answers, strict=True):
        assert same(second, first, MODES[dtype])
        assert same(third, first, MODES[dtype])


def test_an_article_that_cannot_fit_is_rejected_and_its_neighbours_are_not() -> None:
    tagger, _ = failing_tagger(fits_tokens=40)
    articles = [
        article(0, "Lisbon"),
        article(1, " ".join(SENTENCES)),
        article(2, "Tokyo and Kotor"),
    ]
    result = tag(tagger, articles)
    expected = tag(tiny_tagger(), articles)
    assert same(result.answers[0], expected.answers[0])
    assert same(result.answers[2], expected.answers[2])
    rejection = result.answers[1]
    assert isinstance(rejection, RejectedMessage)
    assert rejection.code == RejectCode.OUT_OF_MEMORY
    assert "no memory for a window of" in rejection.message


def test_memory_that_was_there_before_is_not_for_an_article_to_answer_for() -> None:
    tagger, engine = failing_tagger(fits_tokens=64)
    articles = [article(0, " ".join(SENTENCES)), article(1, "Lisbon")]
    assert all(isinstance(answer, tuple) for answer in tag(tagger, articles).answers)
    engine.fits_tokens = 0  # something else takes it all
    with pytest.raises(DeviceFailed, match=r"cpu has no memory left for a window of \d+ tokens"):
        tag(tagger, [article(0, "Lisbon")])


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: device-side assert triggered\nCompile with TORCH_USE_CUDA_DSA",
        "CUDA error: an illegal memory access was encountered",
        "CUDA error: uncorrectable ECC error encountered",
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
    ],
)
def test_other_device_errors_are_not_taken_for_a_want_of_memory(said: str) -> None:
    model = load_model(str(tiny_folder()), "", "cpu", "float32", 1)
    engine = FailingEngine(
        PackedEngine(model, with_probabilities=False), 0, lambda: torch.AcceleratorError(said)
    )
    with pytest.raises(DeviceFailed) as caught:
        tag(Tagger(model, TaggingOptions(), engine), [article(0, "Lisbon")])
    assert str(caught.value) == f"a forward pass failed on cpu: {said.splitlines()[0]}"
    assert isinstance(caught.value.__cause__, torch.AcceleratorError)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "the device has no memory for it"),
        (RuntimeError("CUDA error: no kernel image\nmore"), "run on this device: CUDA error: no k"),
    ],
)
def test_a_model_that_the_device_cannot_run_is_named(
    monkeypatch: pytest.MonkeyPatch, error: RuntimeError, said: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("consumer.tagging.tagger.select_engine", fail)
    with pytest.raises(ModelError) as caught:
        tiny_tagger()
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"model {tiny_folder()}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", ["bert-cased", "deberta-v3"])
@pytest.mark.parametrize("aggregation", ["word", "average", "max"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_reject_the_article_alone(
    family: str, aggregation: str, value: float
) -> None:
    tagger = tiny_tagger(family, aggregation=aggregation)
    articles = [article(0, SENTENCES[0]), article(1, "Fans 🎉 cheered"), article(2, SENTENCES[3])]
    expected = tag(tagger, articles)
    (encoding,) = tagger.encode([article(1, "🎉")])
    poisoned = int(encoding.fields[0].ids[-1])
    with torch.no_grad():
        tagger._model.network.get_input_embeddings().weight[poisoned, 0] = value
    result = tag(tagger, articles)
    assert same(result.answers[0], expected.answers[0])
    assert same(result.answers[2], expected.answers[2])
    rejection = result.answers[1]
    assert isinstance(rejection, RejectedMessage)
    assert rejection.code == RejectCode.NOT_A_NUMBER


def test_a_single_infinite_logit_is_enough() -> None:
    """Minus infinity leaves probabilities that look sound."""
    tagger = tiny_tagger()
    with torch.no_grad():
        tagger._model.network.classifier.bias[0] = -float("inf")
    (answer,) = tag(tagger, [article(0, "Lisbon")]).answers
    assert isinstance(answer, RejectedMessage)
    assert answer.code == RejectCode.NOT_A_NUMBER
