"""VarlenEngine: the order of events, and the same answers as window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import DeviceFailed, RejectedMessage
from consumer.tagging.engine.cuda.pass_layout import PassLayout, PassShape, split_inputs
from consumer.tagging.engine.cuda.varlen_engine import VarlenEngine
from consumer.tagging.engine.engine import PackedEngine
from tests.support.engines.host_device import HostDevice, load_tiny, tagger_on, varlen_engine
from tests.support.models.hard_texts import hard_texts
from tests.support.models.tiny_models import PACKED_FAMILIES, SENTENCES, article, tag

LAYOUT = PassLayout(pad_id=0, first_position=0)


@dataclass
class Stream:
    """Does what it is given in order; `free_at` is when the last is done."""

    free_at: float = 0.0

    def begin(self, not_before: float, takes: float) -> tuple[float, float]:
        started = max(self.free_at, not_before)
        self.free_at = started + takes
        return started, self.free_at


@dataclass
class TimedDevice:
    """Three streams and a host, in simulated time. The model labels each token with its id and
    scores it with its position. Whoever touches memory that is in use is told off."""

    host_s: float = 1.0
    upload_s: float = 2.0
    compute_s: float = 10.0
    download_s: float = 2.0
    now: float = 0.0
    waits: int = 0
    uploads: Stream = field(default_factory=Stream)
    computations: Stream = field(default_factory=Stream)
    downloads: Stream = field(default_factory=Stream)
    computed: list[tuple[float, float]] = field(default_factory=list)
    uploaded: list[tuple[float, float]] = field(default_factory=list)
    fails: BaseException | None = None

    def __post_init__(self) -> None:
        self.inputs: dict[int, NDArray[np.int32]] = {}
        self.answers: dict[int, NDArray[np.int32]] = {}
        self.busy_until = {0: 0.0, 1: 0.0}

    def host_inputs(self, slot: int, shape: PassShape) -> NDArray[np.int32]:
        assert self.now >= self.busy_until[slot], f"slot {slot} is in use"
        self.now += self.host_s
        self.inputs[slot] = np.full(shape.inputs, -1, dtype=np.int32)
        return self.inputs[slot]

    def upload(self, slot: int, _shape: PassShape) -> None:
        self.uploaded.append(self.uploads.begin(self.now, self.upload_s))
        self.busy_until[slot] = self.uploads.free_at

    def compute(self, slot: int, shape: PassShape) -> None:
        if self.fails is not None:
            raise self.fails
        self.computed.append(self.computations.begin(self.uploads.free_at, self.compute_s))
        ids, positions, _ = split_inputs(self.inputs[slot], shape)
        self.answers[slot] = np.stack((ids, positions.astype(np.float32).view(np.int32)))
        self.busy_until[slot] = self.computations.free_at

    def download(self, slot: int, _shape: PassShape) -> None:
        self.downloads.begin(self.computations.free_at, self.download_s)
        self.busy_until[slot] = self.downloads.free_at

    def wait(self, slot: int) -> NDArray[np.int32]:
        self.waits += 1
        self.now = max(self.now, self.busy_until[slot])
        return self.answers[slot]

    def settle(self) -> None:
        self.now = max([self.now, *self.busy_until.values()])

    def give_back(self) -> bool:
        return False


def window(*ids: int) -> NDArray[np.int32]:
    return np.array(ids, dtype=np.int32)


def run_as_forward_does(engine: VarlenEngine, passes: Sequence[int]) -> list[list[int]]:
    """Passes of one window each, the next begun before the one before is asked for its answer."""
    answers, running = [], []
    for number in passes:
        running.append(engine.start([window(number, number + 1)]))
        if len(running) == 2:
            answers.append(running.pop(0).answer())
    answers += [one.answer() for one in running]
    return [answer.label_ids.tolist() for answer in answers]


def test_a_pass_travels_while_the_one_before_is_computed() -> None:
    device = TimedDevice()
    numbers = list(range(10, 30, 2))
    labels = run_as_forward_does(VarlenEngine(LAYOUT, device), numbers)
    assert labels == [[number, number + 1] for number in numbers]
    for (upload_begins, _), (_, compute_ends) in zip(
        device.uploaded[1:], device.computed, strict=False
    ):
        assert upload_begins < compute_ends
    # The device computes without a pause: the first pass's way there, ten passes, the last's back.
    assert device.now == 1.0 + 2.0 + 10 * 10.0 + 2.0
    assert device.waits == 10


def test_one_pass_at_a_time_takes_the_sum_of_all() -> None:
    device = TimedDevice()
    engine = VarlenEngine(LAYOUT, device)
    for number in range(10):
        assert engine.run([window(number)]).label_ids.tolist() == [number]
    assert device.now == 10 * (1.0 + 2.0 + 10.0 + 2.0)
    assert device.waits == 10


def test_a_third_pass_waits_for_the_first_and_loses_nothing() -> None:
    device = TimedDevice()
    engine = VarlenEngine(LAYOUT, device)
    started = [engine.start([window(number), window(number, number)]) for number in range(5)]
    # Asked late, and twice.
    for _ in range(2):
        for number, one in enumerate(started):
            answer = one.answer()
            assert answer.label_ids.tolist() == [number] * 3
            assert answer.scores.tolist() == [0, 0, 1]
    assert device.waits == 5


def test_memory_that_a_failed_pass_still_reads_is_not_written() -> None:
    device = TimedDevice(upload_s=100.0)
    engine = VarlenEngine(LAYOUT, device)
    first = engine.start([window(1)])
    device.fails = torch.OutOfMemoryError("out of memory")
    with pytest.raises(torch.OutOfMemoryError):
        engine.start([window(2)])
    device.fails = None
    # The slot of the pass that failed is the next one's: its upload must be over.
    assert engine.start([window(3)]).answer().label_ids.tolist() == [3]
    assert first.answer().label_ids.tolist() == [1]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_the_answers_are_those_of_window_by_window(family: str, dtype: str) -> None:
    model = load_tiny(family, dtype)
    draw = np.random.default_rng(5)
    engines = (
        varlen_engine(model, with_probabilities=True),
        PackedEngine(load_tiny(family, dtype), True),
    )
    for lengths in ([64], [3, 64, 5], draw.integers(3, 65, 40).tolist()):
        windows = [draw.integers(5, 90, length).astype(np.int32) for length in lengths]
        found, expected = (engine.run(windows) for engine in engines)
        assert found.scores.shape == expected.scores.shape == (sum(lengths),)
        apart = 1e-5 if dtype == "float32" else 2**-5
        assert np.allclose(found.scores, expected.scores, atol=apart)
        assert found.probabilities is not None
        assert expected.probabilities is not None
        assert np.allclose(found.probabilities, expected.probabilities, atol=apart)
        clear = (
            np.sort(expected.probabilities)[:, -1] - np.sort(expected.probabilities)[:, -2]
            > 2 * apart
        )
        assert clear.mean() > 0.6
        assert np.array_equal(found.label_ids[clear], expected.label_ids[clear])


@pytest.mark.parametrize("aggregation", ["word", "average"])
def test_a_tagger_gives_the_same_entities_in_any_company(aggregation: str) -> None:
    model, other = load_tiny(), load_tiny()
    texts = [*SENTENCES, " ".join(SENTENCES), *hard_texts(12)]
    articles = [article(number, text, text[::-1]) for number, text in enumerate(texts)]
    with_probabilities = aggregation == "average"
    options = {"aggregation": aggregation, "window_overlap_tokens": 16, "batch_tokens": 512}
    packed = tagger_on(PackedEngine(other, with_probabilities), other, **options)
    varlen = tagger_on(varlen_engine(model, with_probabilities), model, **options)
    expected, found = tag(packed, articles), tag(varlen, articles)
    spans = [spans_of(answer) for answer in expected.answers]
    assert [spans_of(answer) for answer in found.answers] == spans
    assert sum(map(len, spans)) > 100
    assert found.computed_tokens == expected.computed_tokens
    alone = [spans_of(tag(varlen, [item]).answers[0]) for item in articles]
    assert alone == spans


def spans_of(answer: object) -> list[tuple[object, ...]]:
    assert isinstance(answer, tuple)
    return [(e.field, e.type, e.start, e.end) for e in answer]


def test_memory_that_runs_out_halves_the_passes() -> None:
    model = load_tiny()
    engine = varlen_engine(model, fits_tokens=512)
    tagger = tagger_on(engine, model, batch_tokens=4096, window_overlap_tokens=16)
    articles = [article(number, SENTENCES[number % 9]) for number in range(100)]
    result = tag(tagger, articles)
    assert result.out_of_memory_splits >= 1
    assert not [one for one in result.answers if isinstance(one, RejectedMessage)]
    device = engine.device
    assert isinstance(device, HostDevice)
    assert max(shape.tokens for shape in device.shapes) <= 512
    assert device.settled == result.out_of_memory_splits
    assert tagger._forward.limit_tokens <= 1024
    plain = load_tiny()
    expected = tag(tagger_on(PackedEngine(plain, False), plain, window_overlap_tokens=16), articles)
    assert list(map(spans_of, result.answers)) == list(map(spans_of, expected.answers))


def test_an_article_that_fits_nowhere_is_rejected_alone() -> None:
    model = load_tiny(max_length=512)
    engine = varlen_engine(model, fits_tokens=256)
    tagger = tagger_on(engine, model, window_overlap_tokens=16)
    long = " ".join(SENTENCES * 2)
    answers = tag(tagger, [article(0, "Lisbon"), article(1, long), article(2, "Kotor")]).answers
    assert isinstance(answers[1], RejectedMessage)
    assert answers[1].code == RejectCode.OUT_OF_MEMORY
    assert isinstance(answers[0], tuple)
    assert isinstance(answers[2], tuple)


def test_what_is_no_number_rejects_its_article_alone() -> None:
    model = load_tiny()
    with torch.no_grad():
        ids = model.tokenizer.encode("Kotor", add_special_tokens=False).ids
        model.network.get_input_embeddings().weight[ids[0]] = torch.nan
    tagger = tagger_on(varlen_engine(model), model, window_overlap_tokens=16)
    answers = tag(tagger, [article(n, text) for n, text in enumerate(("Lisbon", "Kotor"))]).answers
    assert isinstance(answers[0], tuple)
    assert isinstance(answers[1], RejectedMessage)
    assert answers[1].code == RejectCode.NOT_A_NUMBER


def test_a_device_that_fails_while_it_computes_ends_the_worker() -> None:
    model = load_tiny()
    engine = varlen_engine(model)

    def broken(slot: int) -> NDArray[np.int32]:
        del slot
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nmore")

    engine.device.wait = broken  # type: ignore[method-assign]
    tagger = tagger_on(engine, model, window_overlap_tokens=16)
    with pytest.raises(DeviceFailed, match="failed on cpu: CUDA error: an illegal memory"):
        tag(tagger, [article(0, "Lisbon")])
