"""The engine of a CPU: passes that fit its caches, on any number of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from consumer.tagging.engine.cpu import engine as cpu_engine
from consumer.tagging.engine.cpu.engine import CpuEngine
from consumer.tagging.engine.engine import Answer, Engine, PackedEngine
from consumer.tagging.model.processor import keep_freed_memory
from consumer.tagging.select import select_engine
from tests.support.engines.cpu_engines import engine_of, layers_of
from tests.support.engines.cpu_models import (
    FUSED,
    LENGTHS,
    load,
    needs_bfloat16,
    windows,
)
from tests.support.models.tiny_models import (
    PACKED_FAMILIES,
    SENTENCES,
    article,
    tag,
    tiny_tagger,
)


def on_two_threads(dtype: str) -> Engine:
    before = torch.get_num_threads()
    try:
        return engine_of(load("bert-cased", dtype, threads=2))
    finally:
        torch.set_num_threads(before)


@pytest.mark.instructions
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_windows_have_the_same_answers_on_any_number_of_threads(dtype: str) -> None:
    expected = engine_of(load("bert-cased", dtype)).run(windows())
    engine = on_two_threads(dtype)
    for _ in range(3):
        found = engine.run(windows())
        assert np.array_equal(found.label_ids, expected.label_ids)
        assert np.allclose(found.scores, expected.scores, atol=1e-6 if dtype == "float32" else 0.02)
    assert len(engine.run(windows((9,))).label_ids) == 9


def test_each_pass_is_one_threads_own_and_others_keep_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: set[tuple[int, int]] = set()
    both = threading.Barrier(2)
    run = PackedEngine.run

    def watched(
        self: PackedEngine, group: Sequence[np.ndarray], _is_read: np.ndarray | None = None
    ) -> Answer:
        both.wait(60)
        seen.add((threading.get_ident(), torch.get_num_threads()))
        return run(self, group)

    monkeypatch.setattr(PackedEngine, "run", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        on_two_threads("float32").run(windows())
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)
    assert [threads for _, threads in seen] == [1, 1]


def test_a_pass_that_fails_is_told_when_the_others_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = threading.Event()

    def fails(_: PackedEngine, group: Sequence[np.ndarray]) -> Answer:
        if max(map(len, group)) == max(LENGTHS):
            raise RuntimeError("out of memory")
        time.sleep(0.3)
        ended.set()
        raise AssertionError("the first failure is told")

    engine = on_two_threads("float32")
    monkeypatch.setattr(PackedEngine, "run", fails)
    with pytest.raises(RuntimeError, match="out of memory"):
        engine.run(windows())
    assert ended.is_set()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_pass_has_begun_when_it_comes_back_and_room_comes_when_none_waits(
    monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    may_end = threading.Semaphore(0)
    run = PackedEngine.run

    def held(self: PackedEngine, group: Sequence[np.ndarray]) -> Answer:
        assert may_end.acquire(timeout=60)
        return run(self, group)

    before = torch.get_num_threads()
    monkeypatch.setattr(cpu_engine, "PART_VALUES", 64 * 64)
    try:
        engine = select_engine(load("bert-cased", "float32", threads), False).engine
        assert isinstance(engine, CpuEngine)
    finally:
        torch.set_num_threads(before)
    engine.await_room()
    # Six of them, in passes of one.
    long = windows((60,) * 6)
    expected = engine.run(long)
    monkeypatch.setattr(PackedEngine, "run", held)
    started = engine.start(long)
    has_room = threading.Event()

    def wait() -> None:
        engine.await_room()
        has_room.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    for _ in range(6 - threads):
        assert not has_room.wait(0.1)
        may_end.release()
    assert has_room.wait(60)
    waiting.join()
    # Behind the passes that run, not before them; and what fits the threads has room at once.
    behind = engine.start(windows((9,)))
    engine.await_room()
    may_end.release(threads + 1)
    assert np.array_equal(started.answer().label_ids, expected.label_ids)
    assert len(behind.answer().label_ids) == 9


def test_memory_that_runs_out_in_a_thread_halves_the_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    run = PackedEngine.run
    passes: list[int] = []

    def small(self: PackedEngine, group: Sequence[np.ndarray]) -> Answer:
        if sum(map(len, group)) > 70:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        passes.append(sum(map(len, group)))
        return run(self, group)

    tagger = tiny_tagger(dtype="float32", window_overlap_tokens=16)
    articles = [article(number, text) for number, text in enumerate(SENTENCES)]
    expected = tag(tagger, articles)
    monkeypatch.setattr(PackedEngine, "run", small)
    found = tag(tagger, articles)
    assert found.answers == expected.answers
    assert found.out_of_memory_splits > 0
    assert len(passes) > 1


@pytest.mark.parametrize("dtype", FUSED)
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_what_nobody_reads_is_left_out_and_changes_nothing(family: str, dtype: str) -> None:
    engine = engine_of(load(family, dtype))
    assert isinstance(engine, CpuEngine)
    rows: list[int] = []
    layers_of(engine)[-1].register_forward_hook(lambda _, __, given: rows.append(given.shape[1]))
    whole = engine.run(windows())
    is_read = np.random.default_rng(1).random(sum(LENGTHS)) < 0.4
    is_read[sum(LENGTHS[:2]) : sum(LENGTHS[:3])] = False
    found = engine.run(windows(), is_read)
    assert np.array_equal(found.label_ids, np.where(is_read, whole.label_ids, 0))
    assert np.array_equal(found.scores, np.where(is_read, whole.scores, 0.0))
    assert whole.probabilities is not None
    assert found.probabilities is not None
    assert np.array_equal(found.probabilities, np.where(is_read[:, None], whole.probabilities, 0.0))
    assert is_read.sum() == 51
    assert rows == [engine._blocks.filled(140), engine._blocks.filled(51)]
    nothing = engine.run(windows(), np.zeros_like(is_read))
    assert not nothing.scores.any()


@pytest.mark.instructions
@pytest.mark.parametrize("dtype", ["float32", *FUSED])
def test_what_is_read_is_the_same_on_any_number_of_threads(dtype: str) -> None:
    is_read = np.arange(sum(LENGTHS)) % 3 == 0
    expected = engine_of(load("bert-cased", dtype)).run(windows(), is_read)
    found = on_two_threads(dtype).run(windows(), is_read)
    assert np.array_equal(found.label_ids[is_read], expected.label_ids[is_read])
    assert np.allclose(found.scores[is_read], expected.scores[is_read], atol=1e-6)


@pytest.mark.parametrize("dtype", [one for one in FUSED if one.values[0] != "int8"])
def test_a_read_token_that_is_no_number_says_so(dtype: str) -> None:
    engine = select_engine(load("bert-cased", dtype), with_probabilities=False).engine
    assert isinstance(engine, CpuEngine)
    engine._model.network.get_input_embeddings().weight.data[7] = torch.nan
    poisoned = [np.full(12, 9, dtype=np.int32), np.full(12, 9, dtype=np.int32)]
    poisoned[1][5] = 7
    is_read = np.arange(24) % 12 == 8
    assert np.isnan(engine.run(poisoned, is_read).scores).tolist() == [
        place == 20 for place in range(24)
    ]


@needs_bfloat16
def test_passes_have_few_numbers_of_tokens() -> None:
    engine = select_engine(load("bert-cased", "bfloat16"), with_probabilities=False).engine
    seen: list[tuple[int, int]] = []
    for layer in layers_of(engine):
        layer.register_forward_hook(
            lambda _, given, found: seen.append((given[0].shape[1], found.shape[1]))
        )
    for length in range(30, 62, 3):
        for is_read in (None, np.arange(length) % 2 == 0):
            assert len(engine.run(windows((length,)), is_read).label_ids) == length
    assert set(seen) == {(32, 32), (64, 64), (64, 32)}


def test_the_c_library_is_asked_to_keep_memory_and_others_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import platform
    import sys

    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
