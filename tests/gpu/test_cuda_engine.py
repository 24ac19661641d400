"""The engine of a CUDA device, on one: the same entities as a CPU's, whatever form it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from typing import Any

import numpy as np
import orjson
import pytest
import torch
from numpy.typing import NDArray

from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import Article
from consumer.resources import sample_lines
from consumer.tagging.engine.cuda.device import CudaDevice
from consumer.tagging.engine.cuda.engine import CudaOptions, make_cuda_engine
from consumer.tagging.engine.cuda.varlen_attention import FLASH
from consumer.tagging.engine.cuda.varlen_engine import VarlenEngine
from consumer.tagging.engine.cuda.varlen_kernels import TRITON
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import load_model, select_engine
from consumer.tagging.tagger import Tagger, TaggingOptions
from tests.support.models.tiny_models import PACKED_FAMILIES, SENTENCES, article, tag, tiny_folder

Loader = Callable[..., LoadedModel]


def samples() -> list[Article]:
    """The sample articles, without those that are bad on purpose."""
    made = []
    for number, line in enumerate(sample_lines()):
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        texts = [document[name] for name in ("title", "body") if isinstance(document, dict)
                 and isinstance(document.get(name), str)]  # fmt: skip
        if texts:
            made.append(article(number, *texts))
    return made


def tagger_of(model: LoadedModel, options: CudaOptions | None = None, **changes: Any) -> Tagger:
    engine = (
        make_cuda_engine(model, False, options)
        if options is not None
        else select_engine(model, False).engine
    )
    return Tagger(model, TaggingOptions(**changes), engine)


def spans(answers: Sequence[object]) -> list[set[tuple[object, ...]]]:
    found: list[set[tuple[object, ...]]] = []
    for answer in answers:
        assert isinstance(answer, tuple)
        found.append({(e.field, e.type, e.text, e.start, e.end) for e in answer})
    return found


def f1(found: Sequence[Set[object]], expected: Sequence[Set[object]]) -> float:
    shared = sum(len(f & e) for f, e in zip(found, expected, strict=True))
    return 2 * shared / (sum(map(len, found)) + sum(map(len, expected)))


def cuda_device(tagger: Tagger) -> CudaDevice:
    engine = tagger._forward._engine
    assert isinstance(engine, VarlenEngine), "the CUDA engine was not chosen"
    assert isinstance(engine.device, CudaDevice)
    return engine.device


@pytest.mark.parametrize(
    ("dtype", "least"), [("float32", 1.0), ("bfloat16", 0.99), ("float16", 0.99)]
)
def test_the_entities_of_the_samples_are_those_of_a_cpu(
    bundled: Loader, dtype: str, least: float
) -> None:
    torch.backends.cuda.matmul.allow_tf32 = False
    expected = spans(tag(tagger_of(bundled("float32", "cpu")), samples()).answers)
    assert sum(map(len, expected)) > 500
    tagger = tagger_of(bundled(dtype))
    cuda_device(tagger)
    for _ in range(3):  # eagerly, captured and replayed
        assert f1(spans(tag(tagger, samples()).answers), expected) >= least


@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_every_family_that_can_be_packed_runs_here(family: str) -> None:
    def load(device: str) -> LoadedModel:
        return load_model(str(tiny_folder(family)), "", device, "float32", 0)

    articles = [article(number, text) for number, text in enumerate(SENTENCES)]
    torch.backends.cuda.matmul.allow_tf32 = False
    expected = spans(tag(tagger_of(load("cpu"), window_overlap_tokens=16), articles).answers)
    tagger = tagger_of(load("cuda"), window_overlap_tokens=16)
    cuda_device(tagger)
    assert spans(tag(tagger, articles).answers) == expected


def test_an_article_does_not_depend_on_its_company(bundled: Loader) -> None:
    """Passes of other sizes may take other matrix kernels, which round otherwise: entities are
    the same, scores within a half's rounding."""
    articles = samples()
    tagger = tagger_of(bundled())
    whole = tag(tagger, articles).answers
    for batch_tokens in (600, 3_000):
        small = tagger_of(bundled(), batch_tokens=batch_tokens)
        for _ in range(2):
            assert f1(spans(tag(small, articles).answers), spans(whole)) >= 0.995
    alone = [tag(tagger, [item]).answers[0] for item in articles]
    assert f1(spans(alone), spans(whole)) >= 0.995
    # In passes of one shape the bits are the same, whoever the neighbours are.
    first = tag(tagger, articles[:20]).answers[0]
    for neighbours in (articles[1:20][::-1], articles[20:39]):
        other = tag(tagger, [articles[0], *neighbours]).answers[0]
        assert spans([other]) == spans([first])


def test_neighbours_in_a_pass_of_one_shape_change_no_bit(bundled: Loader) -> None:
    model = bundled()
    engine = make_cuda_engine(model, True)
    assert engine is not None
    draw = np.random.default_rng(1)

    def window(length: int) -> NDArray[np.int32]:
        return draw.integers(1_000, 30_000, length).astype(np.int32)

    mine = window(180)
    first = engine.run([mine, *(window(300) for _ in range(10))])
    for lengths in ([300] * 10, [3_000 // 20] * 20, [500] * 6):
        others = [window(length) for length in lengths]
        for windows, begin in (([mine, *others], 0), ([*others, mine], sum(lengths))):
            found = engine.run(windows)
            assert np.array_equal(found.scores[begin : begin + 180], first.scores[:180])
            assert np.array_equal(found.label_ids[begin : begin + 180], first.label_ids[:180])


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("triton", [True, False])
def test_each_form_gives_the_same_answers(
    bundled: Loader, graphs: bool, fused: bool, triton: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    plain = make_cuda_engine(bundled(), True, CudaOptions(False, False, False))
    caplog.clear()
    engine = make_cuda_engine(bundled(), True, CudaOptions(graphs, fused, triton))
    assert plain is not None
    assert engine is not None
    attention = TRITON if triton else FLASH
    layers = "fused" if fused else "as they are"
    assert f"attention {attention}, layers {layers}" in caplog.text
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    draw = np.random.default_rng(2)
    same = tokens = 0
    for length, count in ((60, 40), (60, 40), (60, 40), (500, 3), (7, 1), (60, 40), (500, 3)):
        windows = [draw.integers(1_000, 30_000, length).astype(np.int32) for _ in range(count)]
        found, expected = engine.run(windows), plain.run(windows)
        assert found.probabilities is not None
        assert expected.probabilities is not None
        assert np.abs(found.probabilities - expected.probabilities).max() < 0.15
        same += int((found.label_ids == expected.label_ids).sum())
        tokens += length * count
        if not (fused or triton):
            assert np.array_equal(found.probabilities, expected.probabilities)
    # Fused kernels round less often; these are words in any order, so that many a probability
    # lies near another.
    assert same / tokens > 0.98
    assert isinstance(engine.device, CudaDevice)
    assert engine.device.graphs == (2 if graphs else 0)
    assert (engine.device.pool_bytes() > 0) == graphs


def test_passes_under_way_at_once_keep_their_answers(bundled: Loader) -> None:
    engine = make_cuda_engine(bundled(), False)
    assert engine is not None
    draw = np.random.default_rng(3)
    passes = [
        [draw.integers(1_000, 30_000, 200).astype(np.int32) for _ in range(20)] for _ in range(12)
    ]
    one_by_one = [engine.run(windows) for windows in passes]
    started = [engine.start(windows) for windows in passes]
    for expected, one in zip(one_by_one, started, strict=True):
        assert np.array_equal(one.answer().label_ids, expected.label_ids)
        assert np.array_equal(one.answer().scores, expected.scores)


def test_real_memory_that_runs_out_halves_the_passes_and_loses_nothing(bundled: Loader) -> None:
    model = bundled()
    articles = [article(n, " ".join(SENTENCES * 8)) for n in range(300)]
    expected = spans(tag(tagger_of(model), articles).answers)
    tagger = tagger_of(bundled(), batch_tokens=1 << 20)
    device = torch.device("cuda", torch.cuda.current_device())
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.empty_cache()
    # What torch holds and a quarter of a GiB: much less than a pass of all tokens takes.
    limit = torch.cuda.memory_reserved(device) + 2**28
    torch.cuda.set_per_process_memory_fraction(limit / total, device)
    try:
        for _ in range(3):
            result = tag(tagger, articles)
            assert not [one for one in result.answers if isinstance(one, RejectedMessage)]
            assert f1(spans(result.answers), expected) >= 0.995
            assert torch.cuda.memory_reserved(device) <= limit
        assert tagger._forward.limit_tokens < 1 << 20
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def test_graphs_give_their_memory_back_where_a_pass_needs_it(bundled: Loader) -> None:
    engine = make_cuda_engine(bundled(), False)
    assert engine is not None
    assert isinstance(engine.device, CudaDevice)
    small = [np.full(500, 2_000, dtype=np.int32)] * 40
    for _ in range(3):
        expected = engine.run(small)
    assert engine.device.graphs == 1
    held = engine.device.pool_bytes()
    assert held > 0
    engine.device.let_graphs_go()
    assert engine.device.graphs == 0
    assert engine.device.pool_bytes() == 0
    assert np.array_equal(engine.run(small).scores, expected.scores)
