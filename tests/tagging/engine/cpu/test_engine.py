"""The engine of a CPU: passes that fit its caches, fused layers, and layers in eight bits."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from consumer.contracts.errors import ModelError
from consumer.tagging import select
from consumer.tagging.engine.cpu import attention as cpu_attention
from consumer.tagging.engine.cpu import engine as cpu_engine
from consumer.tagging.engine.cpu import offers
from consumer.tagging.engine.cpu.attention import attend
from consumer.tagging.engine.cpu.engine import CpuEngine
from consumer.tagging.engine.cpu.layers.fused_layer import FusedLayer, fused
from consumer.tagging.engine.cpu.layers.int16_layer import Int16Layer
from consumer.tagging.engine.cpu.layers.native_layer import LayerKernel
from consumer.tagging.engine.cpu.layers.packed_layer import PackedLayer, can_fuse
from consumer.tagging.engine.cpu.layers.quantized_layer import QuantizedLayer, quantize_layer
from consumer.tagging.engine.cpu.layers.quantized_linear import Int8Linear
from consumer.tagging.engine.cpu.native_attention import Kernel, load_kernel
from consumer.tagging.engine.cpu.passes import parts
from consumer.tagging.engine.cpu.this_processor import this_processor
from consumer.tagging.engine.encoder_layers import find_layers, read_layer
from consumer.tagging.engine.engine import Answer, Engine, PackedEngine
from consumer.tagging.engine.packed_attention import CannotPack
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.model.processor import Processor, keep_freed_memory
from consumer.tagging.select import Selection, load_model, select_engine
from tests.support.engines.cpu_models import (
    FUSED,
    LENGTHS,
    OWN_FLOAT32,
    load,
    needs_bfloat16,
    needs_int8,
    needs_int16,
    two_headed,
    windows,
)
from tests.support.engines.native_kernels import needs_kernel
from tests.support.models.tiny_models import (
    FAMILIES,
    PACKED_FAMILIES,
    SENTENCES,
    article,
    save_tiny_model,
    tag,
    tiny_folder,
    tiny_tagger,
)


def plain_engine(family: str, dtype: str = "float32") -> PackedEngine:
    """As the model computes by itself, in float32."""
    return PackedEngine(load(family, dtype), with_probabilities=True)


def layers_of(engine: Engine) -> list[torch.nn.Module]:
    assert isinstance(engine, CpuEngine)
    return list(find_modules(engine._model.network))


def find_modules(network: Any) -> list[torch.nn.Module]:
    return [module for module in network.modules() if isinstance(module, PackedLayer)]


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=40), st.integers(1, 200), st.integers(1, 4)
)
def test_parts_hold_each_window_once_and_are_small_and_even(
    lengths: list[int], most_tokens: int, streams: int
) -> None:
    found = parts(lengths, most_tokens, streams)
    assert sorted(itertools.chain(*found)) == list(range(len(lengths)))
    assert all(part == sorted(part) for part in found)
    sizes = [sum(lengths[index] for index in part) for part in found]
    assert max(sizes) - min(sizes) <= max(lengths)
    assert max(sizes) <= most_tokens + max(lengths)
    assert len(found) % streams == 0 or len(found) == len(lengths)
    if sum(lengths) <= most_tokens and streams == 1:
        assert len(found) == 1


def test_a_long_run_of_windows_gives_even_parts() -> None:
    assert [100 * len(part) for part in parts([100] * 21, 1_000)] == [700, 700, 700]


def test_parts_are_of_like_work() -> None:
    """Where the long windows lie together, too: attention takes longer for each of their tokens."""
    lengths = [256] * 8 + [32] * 64
    for part in parts(lengths, 1_024):
        assert [lengths[index] for index in part] == [256] * 2 + [32] * 16


def test_parts_keep_all_streams_busy() -> None:
    for count, expected in ((21, [600, 500, 500, 500]), (4, [200, 200]), (1, [100])):
        found = parts([100] * count, 1_000, streams=2)
        assert [100 * len(part) for part in found] == expected


def engine_of(model: LoadedModel) -> Engine:
    return select_engine(model, with_probabilities=True).engine


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


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_fused_where_they_have_the_structure(family: str) -> None:
    model = load(family, "float32")
    plain_attention = model.network.config._attn_implementation
    assert can_fuse(model.network, fused(torch.float32)) == (family in PACKED_FAMILIES)
    assert model.network.config._attn_implementation == plain_attention
    assert not find_modules(model.network)


def test_another_activation_is_not_fused() -> None:
    model = load("bert-cased", "float32")
    layers: Any = find_layers(model.network)
    layers[1].intermediate.intermediate_act_fn = torch.nn.GELU(approximate="tanh")
    assert not can_fuse(model.network, fused(torch.float32))


def test_a_layer_with_something_of_its_own_is_not_fused() -> None:
    """It has all the names, but scales what it gives by a little."""
    model = load("bert-cased", "float32")
    layers = find_layers(model.network)
    assert layers is not None
    own = layers[1].forward
    layers[1].forward = lambda *given, **named: own(*given, **named) * 1.001
    assert not can_fuse(model.network, fused(torch.float32))


@pytest.mark.instructions
@needs_bfloat16
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_fused_layers_answer_as_the_model_does(family: str) -> None:
    expected = plain_engine(family).run(windows())
    engine = engine_of(load(family, "bfloat16"))
    assert all(isinstance(layer, FusedLayer) for layer in layers_of(engine))
    assert len(layers_of(engine)) == 2
    found = engine.run(windows())
    assert found.probabilities is not None
    assert expected.probabilities is not None
    assert np.abs(found.probabilities - expected.probabilities).max() < 0.15
    assert np.abs(found.probabilities - expected.probabilities).mean() < 0.01


@pytest.mark.instructions
@needs_kernel
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_layers_of_our_own_answer_in_float32_as_the_model_does(family: str) -> None:
    expected = plain_engine(family, OWN_FLOAT32).run(windows())
    engine = engine_of(load(family, OWN_FLOAT32))
    assert [type(layer) for layer in layers_of(engine)] == [FusedLayer, FusedLayer]
    found = engine.run(windows())
    assert found.probabilities is not None
    assert expected.probabilities is not None
    assert np.array_equal(found.label_ids, expected.label_ids)
    assert np.abs(found.probabilities - expected.probabilities).max() < 1e-5


def test_float32_is_the_models_own_to_the_last_digit_for_who_asks_and_faster_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = Processor(has_bfloat16=False, has_int8=False, has_amx=False)
    monkeypatch.setattr(select, "this_processor", lambda: plain)

    def found(folder: Path, dtype: str) -> list[torch.nn.Module]:
        return layers_of(engine_of(load_model(str(folder), "", "cpu", dtype, 1)))

    assert found(two_headed("bert-cased"), "float32") == []
    assert found(tiny_folder("bert-cased"), "auto") == [], "heads of 8"
    kernel = load_kernel()
    takes = kernel is not None and kernel.takes(16)
    assert len(found(two_headed("bert-cased"), "auto")) == (2 if takes else 0)
    monkeypatch.setattr(offers, "load_kernel", lambda: None)
    assert found(two_headed("bert-cased"), "auto") == []


@needs_kernel
def test_attention_in_float32_is_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """And that of other precisions, or of who asks for float32 by name, is not."""
    calls: list[int] = []
    run = Kernel.attend

    def counted(self: Kernel, *given: Any) -> torch.Tensor:
        calls.append(1)
        return run(self, *given)

    monkeypatch.setattr(Kernel, "attend", counted)
    for dtype in ("float32", "bfloat16"):
        engine_of(load("bert-cased", dtype)).run(windows())
    assert not calls
    engine = engine_of(load("bert-cased", OWN_FLOAT32))
    assert len(calls) == 2, "the layers are tried"
    engine.run(windows())
    assert len(calls) == 4


@needs_kernel
def test_a_kernel_that_is_wrong_on_this_machine_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Kernel.attend
    monkeypatch.setattr(Kernel, "attend", lambda *given: run(*given) + 0.01)
    model = load("bert-cased", OWN_FLOAT32)
    assert can_fuse(model.network, fused(torch.float32)), "what does without it is as it was"
    assert layers_of(engine_of(model)) == []


@needs_int16
@pytest.mark.parametrize("family", PACKED_FAMILIES)
@pytest.mark.parametrize("heads", [2, 4], ids=["by the kernel", "by torch"])
def test_layers_in_sixteen_bits_answer_as_the_model_does(family: str, heads: int) -> None:
    folder = two_headed(family) if heads == 2 else tiny_folder(family)

    def loaded(dtype: str) -> LoadedModel:
        return load_model(str(folder), "", "cpu", dtype, 1)

    expected = PackedEngine(loaded("float32"), with_probabilities=True).run(windows())
    engine = engine_of(loaded("int16"))
    assert [type(layer) for layer in layers_of(engine)] == [Int16Layer, Int16Layer]
    found = engine.run(windows())
    assert found.probabilities is not None
    assert expected.probabilities is not None
    # bfloat16 may be a hundred times as far off.
    assert np.abs(found.probabilities - expected.probabilities).max() < 5e-3
    assert np.abs(found.probabilities - expected.probabilities).mean() < 5e-4


@pytest.mark.instructions
@needs_int16
def test_a_window_gives_the_same_numbers_in_sixteen_bits_in_any_company() -> None:
    """Bit for bit, in the layers; what is before and after them has the roundings of its shape."""
    model = load_model(str(two_headed("bert-cased")), "", "cpu", "int16", 1)
    layer = layers_of(engine_of(model))[0]
    hidden = torch.randn(sum(LENGTHS), 32, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        together = layer(hidden[None], window_lengths=LENGTHS)[0].split(LENGTHS)
        for window, found in zip(hidden.split(LENGTHS), together, strict=True):
            alone = layer(window[None], window_lengths=(len(window),))[0]
            assert torch.equal(alone, found)


#: A processor that multiplies nothing better than 16-bit integers by our own kernel.
PLAIN_INT16 = Processor(False, False, False, has_int16=True, prefers_int16=True)


def selected(folder: Path, dtype: str) -> Selection:
    return select_engine(load_model(str(folder), "", "cpu", dtype, 1), with_probabilities=True)


@needs_int16
def test_auto_is_int16_for_models_whose_layers_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "this_processor", lambda: PLAIN_INT16)
    found = selected(tiny_folder("bert-cased"), "auto")
    assert found.model.info.dtype == "int16"
    assert isinstance(layers_of(found.engine)[0], Int16Layer)
    assert selected(tiny_folder("bert-cased"), "float32").model.info.dtype == "float32"
    for family in sorted(set(FAMILIES) - set(PACKED_FAMILIES)):
        found = selected(tiny_folder(family), "auto")
        assert found.model.info.dtype == "float32"
        found.engine.run(windows())
        assert tiny_tagger(family, dtype="auto").info.dtype == "float32"
        with pytest.raises(ModelError, match=r"int16.*; use --dtype auto"):
            selected(tiny_folder(family), "int16")


@needs_int16
def test_a_model_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds of a start."""
    monkeypatch.setattr(select, "this_processor", lambda: PLAIN_INT16)
    tried: list[str] = []
    for module, name in ((select, "can_pack"), (offers, "can_fuse")):
        own = getattr(module, name)

        def counted(*given: Any, own: Any = own, name: str = name) -> bool:
            tried.append(name)
            return bool(own(*given))

        monkeypatch.setattr(module, name, counted)
    assert isinstance(layers_of(selected(tiny_folder("bert-cased"), "auto").engine)[0], Int16Layer)
    # In float32, then in 16 bits.
    assert tried == ["can_pack", "can_fuse", "can_fuse"]


@needs_int16
@pytest.mark.parametrize("broken", ["multiply", "finish"])
def test_a_kernel_whose_layers_are_wrong_on_this_machine_is_left_out(
    monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    run = getattr(LayerKernel, broken)
    monkeypatch.setattr(LayerKernel, broken, lambda *given: run(*given) * 1.5)
    monkeypatch.setattr(select, "this_processor", lambda: PLAIN_INT16)
    found = selected(tiny_folder("bert-cased"), "auto")
    assert found.model.info.dtype == "float32"
    assert not any(isinstance(layer, Int16Layer) for layer in layers_of(found.engine))
    with pytest.raises(
        ModelError, match="its layers cannot be computed in int16; use --dtype auto"
    ):
        selected(tiny_folder("bert-cased"), "int16")


@needs_int16
def test_a_layer_of_another_structure_is_not_taken_for_a_rounding() -> None:
    """It has all the names, but scales what it gives by less than 16-bit integers may be off."""
    model = load("bert-cased", "int16")
    layers = find_layers(model.network)
    assert layers is not None
    own = layers[1].forward
    layers[1].forward = lambda *given, **named: own(*given, **named) * 1.001
    with pytest.raises(ModelError, match="its layers cannot be computed in int16"):
        select_engine(model, with_probabilities=True)


@needs_int16
def test_widths_that_the_kernel_does_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(LayerKernel, "takes", lambda _, *widths: asked.append(widths))
    with pytest.raises(ModelError, match="its layers cannot be computed in int16"):
        select_engine(load("bert-cased", "int16"), with_probabilities=True)
    assert asked == [(32, 32, 64)]


@pytest.mark.instructions
@needs_int8
@pytest.mark.parametrize("family", PACKED_FAMILIES)
def test_layers_in_eight_bits_answer_nearly_as_the_model_does(family: str) -> None:
    expected = plain_engine(family).run(windows())
    engine = engine_of(load(family, "int8"))
    layers = layers_of(engine)
    assert len(layers) == 2
    quantized = [layer for layer in layers if isinstance(layer, QuantizedLayer)]
    assert sum(layer.int8_linears for layer in quantized) >= 4
    found = engine.run(windows())
    assert found.probabilities is not None
    assert expected.probabilities is not None
    assert np.abs(found.probabilities - expected.probabilities).mean() < 0.03


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


@needs_int8
def test_the_same_model_has_the_same_scales_at_every_start() -> None:
    first, second = (engine_of(load("bert-cased", "int8")).run(windows()) for _ in range(2))
    assert first.probabilities is not None
    assert second.probabilities is not None
    assert np.array_equal(first.probabilities, second.probabilities)


@pytest.mark.instructions
@needs_int8
def test_a_window_gives_the_same_numbers_in_eight_bits_in_any_company() -> None:
    """Bit for bit: no scale depends on what else is in the pass."""
    engine = engine_of(load("bert-cased", "int8"))
    together = engine.run(windows())
    alone = [engine.run([window]) for window in windows()]
    assert np.array_equal(together.label_ids, np.concatenate([one.label_ids for one in alone]))
    apart = np.abs(together.scores - np.concatenate([one.scores for one in alone]))
    assert apart.max() < 2**-8


@needs_int8
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_layer_in_eight_bits_gives_nearly_its_float32_answer(
    monkeypatch: pytest.MonkeyPatch, has_bias: bool
) -> None:
    monkeypatch.setattr("consumer.tagging.engine.cpu.layers.quantized_linear.MOST_ERROR", 1.0)
    layers = find_layers(load("bert-cased", "float32").network)
    assert layers is not None
    weights = read_layer(layers[0])
    assert weights is not None
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        # So that what attention gives outweighs what stands beside it.
        weights.out.weight *= 300
        for part in (weights.query, weights.key, weights.value):
            if has_bias:
                part.bias.copy_(torch.randn(len(part.bias), generator=draw))
            else:
                part.register_parameter("bias", None)
    hidden = torch.randn(57, weights.value.in_features, generator=draw)
    layer, expected = quantize_layer(weights, hidden, (50, 7))
    assert layer.int8_linears == 4
    for kept in (None, torch.arange(3, 55, 2)):
        found = layer.compute(hidden, (50, 7), kept)
        wanted = expected if kept is None else expected[kept]
        assert float((found - wanted).norm() / wanted.norm()) < 0.05


@needs_int8
def test_a_matmul_that_eight_bits_change_too_much_stays_in_sixteen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumer.tagging.engine.cpu.layers.quantized_linear.MOST_ERROR", 0.0)
    engine = engine_of(load("bert-cased", "int8"))
    assert [layer.int8_linears for layer in layers_of(engine)] == [0, 0]
    expected = plain_engine("bert-cased").run(windows())
    found = engine.run(windows())
    assert found.probabilities is not None
    assert expected.probabilities is not None
    assert np.abs(found.probabilities - expected.probabilities).max() < 0.15


@needs_int8
def test_a_model_that_eight_bits_cannot_have_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not run in int8, since its attention cannot be pa"):
        select_engine(load("deberta-v3", "int8"), with_probabilities=False)
    folder = save_tiny_model(tmp_path / "model")
    model = load_model(str(folder), "", "cpu", "int8", 1)
    layers: Any = find_layers(model.network)
    layers[0].intermediate.intermediate_act_fn = torch.nn.ReLU()
    with pytest.raises(ModelError, match="its layers cannot be computed in int8; use --dtype auto"):
        select_engine(model, with_probabilities=False)


def test_float32_and_processors_without_bfloat16_leave_the_layers_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert layers_of(engine_of(load("bert-cased", "float32"))) == []
    monkeypatch.setattr(select, "this_processor", lambda: Processor(False, False, False))
    assert layers_of(engine_of(load("bert-cased", "bfloat16"))) == []


def test_a_long_pass_is_cut_and_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = engine_of(load("bert-cased", "float32")).run(windows())
    monkeypatch.setattr(cpu_engine, "PART_VALUES", 50 * 64)
    cut = engine_of(load("bert-cased", "float32")).run(windows())
    assert np.array_equal(cut.label_ids, whole.label_ids)
    assert np.allclose(cut.scores, whole.scores, atol=1e-6)
    assert cut.probabilities is not None
    assert whole.probabilities is not None
    assert np.allclose(cut.probabilities, whole.probabilities, atol=1e-6)


@needs_bfloat16
def test_a_fused_layer_refuses_what_it_does_not_know() -> None:
    engine = select_engine(load("bert-cased", "bfloat16"), with_probabilities=False).engine
    layer = layers_of(engine)[0]
    hidden = torch.zeros(1, 4, 32, dtype=torch.bfloat16)
    with pytest.raises(CannotPack):
        layer(hidden)
    with pytest.raises(CannotPack):
        layer(hidden, torch.ones(1, 4), window_lengths=(4,))
    with pytest.raises(CannotPack):
        layer(hidden.expand(2, 4, 32), window_lengths=(4,))


def test_attention_of_long_windows_is_that_of_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = torch.randn(47, 3 * 24, generator=torch.Generator().manual_seed(2))
    found = attend(inputs, (20, 27), 4)
    query, key, value = inputs.view(47, 3, 4, 6).permute(1, 2, 0, 3)
    for window in (slice(0, 20), slice(20, 47)):
        scores = query[:, window] @ key[:, window].transpose(1, 2)
        shares = (scores * math.log(2)).softmax(-1)
        expected = (shares @ value[:, window]).transpose(0, 1).reshape(-1, 24)
        assert torch.allclose(found[window], expected, atol=1e-5)
    monkeypatch.setattr("consumer.tagging.engine.cpu.attention.LONGEST_SCORES", 22)
    assert torch.allclose(attend(inputs, (20, 27), 4), found, atol=1e-5)


def own_attention(inputs: torch.Tensor, window: slice, heads: int) -> torch.Tensor:
    """Of one window, as it is written in the papers."""
    query, key, value = inputs.view(len(inputs), 3, heads, -1).permute(1, 2, 0, 3)[:, :, window]
    shares = (query @ key.transpose(1, 2) * math.log(2)).softmax(-1)
    attended: torch.Tensor = (shares @ value).transpose(0, 1)
    return attended.reshape(window.stop - window.start, -1)


@pytest.mark.instructions
@pytest.mark.parametrize("level", [1.0, -300.0])
@pytest.mark.parametrize("longest_scores", [22, 1_024])
def test_attention_of_some_tokens_is_that_of_all(
    monkeypatch: pytest.MonkeyPatch, longest_scores: int, level: float
) -> None:
    monkeypatch.setattr("consumer.tagging.engine.cpu.attention.LONGEST_SCORES", longest_scores)
    inputs = torch.randn(80, 3 * 24, generator=torch.Generator().manual_seed(2))
    inputs[:, 0], inputs[:, 24] = level, 1.0
    ends = (20, 47, 52, 79, 80)
    windows = [slice(*bounds) for bounds in itertools.pairwise((0, *ends))]
    expected = torch.cat([own_attention(inputs, window, 4) for window in windows])
    lengths = [window.stop - window.start for window in windows]
    assert torch.allclose(attend(inputs, lengths, 4), expected, atol=1e-4)
    # None of the third window, all of the last; the last token again, as rows are filled up.
    kept = torch.tensor([0, 3, 19, 20, 40, 46, 60, 61, 62, 79, 79, 79])
    found = attend(inputs, lengths, 4, kept)
    assert torch.allclose(found, expected[kept], atol=1e-4)


def test_attention_asks_for_few_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN prepares for each shape that it has not met lately, for a millisecond."""
    shapes: set[tuple[int, ...]] = set()
    bmm = torch.bmm

    def seen(one: torch.Tensor, other: torch.Tensor, **named: Any) -> torch.Tensor:
        shapes.add((*one.shape, *other.shape[1:]))
        return bmm(one, other, **named)

    monkeypatch.setattr(torch, "bmm", seen)
    lengths = range(1, 65)
    inputs = torch.randn(sum(lengths), 3 * 24, generator=torch.Generator().manual_seed(2))
    # A head whose answers by exponentials are of no use.
    inputs[:, 0], inputs[:, 24] = -300.0, 1.0
    attend(inputs, lengths, 4)
    assert len(shapes) == 4 * 3 + 4 * 2, "three of four lengths, and two of the one head alone"


def test_what_is_no_number_stays_in_its_window() -> None:
    """Windows have the same memory, one after the other, and are filled up in it."""
    inputs = torch.randn(62, 3 * 24, generator=torch.Generator().manual_seed(2))
    inputs[:30] = torch.nan
    for lengths in ((30, 20, 12), (30, 32)):
        assert attend(inputs, lengths, 4)[30:].isfinite().all()
        assert attend(inputs, lengths, 4, torch.arange(25, 60))[5:].isfinite().all()


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


@pytest.mark.instructions
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("level", [-300.0, -80.0, 80.0, 300.0])
def test_attention_takes_scores_of_any_size(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, level: float
) -> None:
    """All scores of a row may be far from zero: their exponentials have no number then."""
    own = Processor(has_bfloat16=True, has_int8=True, has_amx=False)
    monkeypatch.setattr("consumer.tagging.engine.cpu.attention.this_processor", lambda: own)
    draw = torch.Generator().manual_seed(4)
    query, key, value = torch.randn(3, 12, 2, 8, generator=draw)
    # One head of the two.
    query[:, 1, 0], key[:, 1, 0] = level, 1.0
    inputs = torch.stack((query, key, value), dim=1).reshape(12, -1).to(dtype)
    query, key, value = inputs.float().view(12, 3, 2, 8).permute(1, 2, 0, 3)
    shares = (query @ key.transpose(1, 2) * math.log(2)).softmax(-1)
    expected = (shares @ value).transpose(0, 1).reshape(12, -1)
    found = attend(inputs, (12,), 2).float()
    # Scores of hundreds are whole numbers in bfloat16, in which torch's own attention has them
    # between its matmuls too.
    assert found.isfinite().all()
    if dtype == torch.float32:
        assert torch.allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(("value_size", "redone"), [(1.0, 0), (1e9, 1)])
def test_large_exponentials_are_of_use_while_their_products_are_numbers(
    monkeypatch: pytest.MonkeyPatch, value_size: float, redone: int
) -> None:
    calls: list[int] = []
    by_softmax = cpu_attention._attend_by_softmax

    def counted(query: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        calls.append(len(query))
        return by_softmax(query, *others)

    monkeypatch.setattr(cpu_attention, "_attend_by_softmax", counted)
    inputs = torch.randn(30, 3 * 16, generator=torch.Generator().manual_seed(4))
    # One head of the two; scores of about 110, whose exponentials are a quarter of a million below
    # the largest number.
    inputs[:, :8] *= 0.3
    inputs[:, 0], inputs[:, 16] = 11.0, 10.0
    inputs[:, 32:] *= value_size
    expected = own_attention(inputs, slice(0, 30), 2)
    assert torch.allclose(attend(inputs, (30,), 2) / value_size, expected / value_size, atol=1e-3)
    assert len(calls) == redone


@pytest.mark.instructions
@needs_bfloat16
@pytest.mark.parametrize("has_amx", [False, True])
def test_attention_is_the_same_with_amx_and_without(
    monkeypatch: pytest.MonkeyPatch, has_amx: bool
) -> None:
    own = Processor(has_bfloat16=True, has_int8=True, has_amx=has_amx)
    monkeypatch.setattr("consumer.tagging.engine.cpu.attention.this_processor", lambda: own)
    lengths = (1, 7, 64, 300)
    inputs = torch.randn(372, 3 * 64, generator=torch.Generator().manual_seed(3))
    inputs[:, :64] *= 0.3
    expected = attend(inputs, lengths, 2)
    found = attend(inputs.bfloat16(), lengths, 2)
    assert torch.allclose(found.float(), expected, atol=2e-2)


def test_the_c_library_is_asked_to_keep_memory_and_others_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import platform
    import sys

    assert keep_freed_memory() == (platform.libc_ver()[0] == "glibc")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()


def test_not_a_number_stays_one_in_eight_bits() -> None:
    """The residual carries it past the matmuls, which have no number for it."""
    if not this_processor().has_int8:
        pytest.skip("needs a processor with AVX-512 VNNI")
    model = load("bert-cased", "int8")
    engine = select_engine(model, with_probabilities=False).engine
    poisoned = windows((8, 8))
    with torch.no_grad():
        model.network.get_input_embeddings().weight[int(poisoned[0][3])] = float("nan")
    answer = engine.run([poisoned[0], np.delete(poisoned[1], poisoned[1] == poisoned[0][3])])
    assert np.isnan(answer.scores[3])
    assert not np.isnan(answer.scores[8:]).any()


@pytest.mark.instructions
@needs_int8
def test_matmuls_are_those_of_the_rounded_integers() -> None:
    from consumer.tagging.engine.cpu.layers.quantization import centred_scales, quantize_weight

    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(48, 32, generator=generator)
    bias = torch.randn(48, generator=generator)
    inputs = torch.randn(20, 32, generator=generator) * torch.linspace(0.1, 3.0, 32)
    scales = centred_scales(inputs, weight)
    quantized = quantize_weight(weight, scales)
    rounded_weight = quantized.integers.float() * quantized.scales[:, None] / scales.scales
    expected = scales.rounded(inputs) @ rounded_weight.T + bias
    linear = Int8Linear(weight, bias, scales)
    found = linear(inputs)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), expected, rtol=2**-7, atol=1e-2)
    residual = torch.randn(20, 48, generator=generator)
    assert torch.allclose(linear.plus(inputs, residual), expected + residual, atol=1e-4)
    activated = linear.gelu(inputs, None)
    exact = torch.nn.functional.gelu(expected)
    assert torch.allclose(activated.float(), exact, rtol=2**-7, atol=2e-2)
    into = replace(scales, scales=torch.tensor(0.05), zero_point=10)
    coded = linear.gelu(inputs, into)
    assert coded.dtype == torch.uint8
    assert ((coded.float() - 10) * 0.05 - exact.clamp(-0.5, 12.25)).abs().max() < 0.06
