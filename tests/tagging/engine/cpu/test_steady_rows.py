"""A token's answer on processors whose matmuls depend on how many rows they have."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from consumer.tagging.engine.cpu import engine as cpu_engine
from consumer.tagging.engine.cpu.layers.fused_layer import PrepackedLinear
from consumer.tagging.engine.cpu.layers.quantized_linear import Int8Linear
from consumer.tagging.engine.cpu.layers.row_blocks import (
    DIFFERENT_ROWS,
    WHOLE,
    RowBlocks,
    RowProbe,
    choose_blocks,
    noise,
    sizes_to_try,
    try_rows,
)
from consumer.tagging.engine.cpu.steady_rows import steady_rows
from consumer.tagging.engine.engine import Answer, Engine
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.model.processor import Processor
from consumer.tagging.select import select_engine
from tests.support.engines.cpu_models import FUSED, load, needs_int8, windows
from tests.support.models.tiny_models import tiny_tagger

#: Of many sizes, and so that passes have many numbers of rows.
LENGTHS = (60, 3, 41, 60, 7, 60, 60, 22, 60, 60, 60, 1)

#: All that are tried for a base model, and for a tiny one.
SIZES = sizes_to_try(4_096)
MANY_SIZES = sizes_to_try(1_000_000)

Linear = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]


def summed_apart(rows: int) -> int:
    """In how many parts a made-up processor sums a matmul of so many rows."""
    return 1 if rows <= 64 else 2 if rows <= 300 else 4


def dependent(parts: Callable[[int], int]) -> Linear:
    """A linear layer such as `torch.nn.functional.linear`, whose sums depend on the rows."""

    def linear(
        input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        rows = input.reshape(-1, input.shape[-1])
        different, places = _different(rows)
        width = -(-rows.shape[1] // parts(len(rows)))
        found = different.new_zeros(len(different), len(weight), dtype=torch.float32)
        for inputs, weights in zip(
            different.float().split(width, 1), weight.float().split(width, 1), strict=True
        ):
            # Rounded each, which shows in models as small as these.
            found += _in_order(inputs, weights).to(input.dtype).float()
        if bias is not None:
            found += bias.float()
        return found[places].to(input.dtype).view(*input.shape[:-1], -1)

    return linear


def _in_order(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """One product after the other: a matmul depends on the number of rows on some processors that
    this runs on."""
    found = rows.new_zeros(len(rows), len(weight))
    for place in range(rows.shape[1]):
        found += rows[:, place, None] * weight[:, place]
    return found


def _different(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """A probe's rows come again and again, after the first. Those that are different, and which of
    them each row is."""
    places = torch.arange(len(rows))
    if len(rows) > DIFFERENT_ROWS + 1 and torch.equal(
        rows[1 + DIFFERENT_ROWS :], rows[1:-DIFFERENT_ROWS]
    ):
        places[1:] = 1 + (places[1:] - 1) % DIFFERENT_ROWS
    return rows[: int(places.max()) + 1], places


def use(monkeypatch: pytest.MonkeyPatch, linear: Linear) -> None:
    """Compute every matmul of float32 and bfloat16 so."""
    own = PrepackedLinear.__init__

    def keeping(self: PrepackedLinear, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        own(self, weight, bias)
        self.plain = (weight.detach(), bias)  # type: ignore[attr-defined]

    def call(self: PrepackedLinear, inputs: torch.Tensor) -> torch.Tensor:
        return linear(inputs, *self.plain)  # type: ignore[attr-defined]

    monkeypatch.setattr(PrepackedLinear, "__init__", keeping)
    monkeypatch.setattr(PrepackedLinear, "__call__", call)
    gelu = torch.nn.functional.gelu
    monkeypatch.setattr(PrepackedLinear, "gelu", lambda self, rows: gelu(call(self, rows)))
    monkeypatch.setattr(PrepackedLinear, "plus", lambda self, rows, more: call(self, rows) + more)
    for module in ("torch.nn.functional", "consumer.tagging.engine.cpu.steady_rows"):
        monkeypatch.setattr(f"{module}.linear", linear)
    monkeypatch.setattr("consumer.tagging.engine.cpu.layers.fused_layer.linear", linear)


def unlike(engine: Engine) -> int:
    """How many of some windows have other numbers in company than alone."""
    given = windows(LENGTHS)
    is_read = np.arange(sum(LENGTHS)) % 3 == 0
    found = 0
    for read in (None, is_read) if engine.skips_unread else (None,):
        together = engine.run(given, read)
        ends = np.cumsum(LENGTHS)
        for window, end in zip(given, ends, strict=True):
            own = slice(end - len(window), end)
            alone = engine.run([window], None if read is None else read[own])
            found += not (
                np.array_equal(alone.scores, together.scores[own])
                and np.array_equal(alone.label_ids, together.label_ids[own])
                and _same_probabilities(alone, together, own)
            )
    return found


def _same_probabilities(alone: Answer, together: Answer, own: slice) -> bool:
    assert alone.probabilities is not None
    assert together.probabilities is not None
    return np.array_equal(alone.probabilities, together.probabilities[own])


def made(dtype: str) -> cpu_engine.CpuEngine:
    engine = select_engine(load("bert-cased", dtype), with_probabilities=True).engine
    assert isinstance(engine, cpu_engine.CpuEngine)
    return engine


@pytest.mark.instructions
@pytest.mark.parametrize("dtype", ["float32", "float16", *FUSED])
def test_a_window_has_the_same_numbers_in_any_company(dtype: str) -> None:
    """On this processor, whatever that is; also what stands last in a pass."""
    engine = made(dtype)
    assert engine.is_exact
    assert unlike(engine) == 0


@pytest.mark.parametrize("dtype", ["float32", *(one for one in FUSED if one.values[0] != "int16")])
def test_a_window_has_the_same_numbers_where_matmuls_depend_on_rows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, dtype: str
) -> None:
    use(monkeypatch, dependent(summed_apart))
    monkeypatch.setattr("consumer.tagging.engine.cpu.layers.quantized_linear.MOST_ERROR", 0.0)
    with caplog.at_level(logging.INFO):
        engine = made(dtype)
    assert "numbers of tokens, from 320 to 9216" in caplog.text
    assert engine.is_exact
    assert unlike(engine) == 0
    with monkeypatch.context() as without:
        without.setattr(cpu_engine.CpuEngine, "steady", lambda _: None)
        assert unlike(made(dtype)) > len(LENGTHS) // 2


@needs_int8
def test_eight_bits_that_depend_on_rows_come_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Int8Linear._run

    def other(self: Int8Linear, integers: torch.Tensor, *given: object) -> torch.Tensor:
        found = run(self, integers, *given)  # type: ignore[arg-type]
        return found if len(integers) > 64 or not found.is_floating_point() else found * 1.01

    monkeypatch.setattr(Int8Linear, "_run", other)
    engine = made("int8")
    assert [layer.blocks for layer in engine._model.network.bert.encoder.layer] == (
        [RowBlocks(tuple(size for size in MANY_SIZES if size > 64))] * 2
    )
    assert unlike(engine) == 0


def test_where_no_blocks_help_it_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A row's answer depends on where it stands."""
    own = torch.nn.functional.linear

    def placed(
        inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        found = own(inputs, weight, bias)
        found.view(-1, found.shape[-1])[::7] *= 1.00001
        return found

    use(monkeypatch, placed)
    tagger = tiny_tagger(dtype="float32")
    assert tagger.info.answers == "rounded"
    (warning,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert "the last digits of a score depend on what else is in the batch" in warning.message


def test_the_worker_says_whether_answers_are_exact() -> None:
    assert tiny_tagger(dtype="float32").info.answers == "exact"
    assert tiny_tagger("deberta-v3").info.answers == "rounded", "it pads"


@pytest.mark.instructions
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("form", [(1_152, 384), (384, 1_536), (9, 384), (96, 32), (7, 33)])
def test_noise_shows_another_order_of_summing(form: tuple[int, int], dtype: torch.dtype) -> None:
    weight, bias, rows = noise(*form, dtype)
    exact = rows.double() @ weight.double().T
    assert float(exact.abs().max()) < 1e-8 * float(rows.abs().max())
    whole = dependent(lambda _: 1)(rows, weight, bias)
    halves = dependent(lambda _: 3)(rows, weight, bias)
    assert float((whole != halves).float().mean()) > 0.5


def tried(parts: Callable[[int], int]) -> Sequence[object]:
    weight, bias, rows = noise(64, 96, torch.bfloat16)
    linear = dependent(parts)
    probe = RowProbe(lambda inputs: linear(inputs, weight, bias), rows)
    kinds = try_rows(probe, 4_096)
    return [kinds, choose_blocks([kinds], 4_096)]


def test_where_no_number_of_rows_matters_all_go_at_once() -> None:
    kinds, blocks = tried(lambda _: 1)
    assert kinds == dict.fromkeys(SIZES, b"")
    assert blocks == WHOLE
    assert choose_blocks([], 4_096) == WHOLE
    assert WHOLE.run(torch.neg, torch.ones(70, 2)).tolist() == [[-1.0, -1.0]] * 70


@pytest.mark.parametrize(
    ("parts", "least", "most"),
    [
        (lambda rows: 2 if rows > 3_000 else 1, 32, 2_944),
        (lambda rows: 1 if rows < 64 else 2, 64, 5_120),
        # Few sums for many rows, since one class of sizes must hold a whole pass.
        (summed_apart, 320, 5_120),
        # Hardly two agree: those that a full pass is cut into.
        (lambda rows: 1 + rows // 32, 1_024, 1_408),
    ],
)
def test_the_cheapest_sizes_that_agree_are_taken(
    parts: Callable[[int], int], least: int, most: int
) -> None:
    _, blocks = tried(parts)
    assert blocks == RowBlocks(tuple(size for size in SIZES if least <= size <= most))


def test_matmuls_must_agree_on_their_sizes() -> None:
    first, second = dict.fromkeys(SIZES, b"a"), dict.fromkeys(SIZES, b"a")
    first[32] = b"b"
    second[1_024] = b"b"
    both = RowBlocks(tuple(size for size in SIZES if size not in (32, 1_024)))
    assert choose_blocks([first, second], 4_096) == both
    whole = dict.fromkeys(SIZES, b"")
    of_second = RowBlocks(tuple(size for size in SIZES if size != 1_024))
    assert choose_blocks([whole, second], 4_096) == of_second
    assert choose_blocks([{32: b"a"}, {64: b"a"}], 4_096) is None
    assert choose_blocks([whole, {}], 4_096) is None


def test_single_sizes_that_differ_are_left_out_where_a_processor_is_known_to_choose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As 256 and 352 do for one of the bundled model's matmuls with AMX."""
    use(monkeypatch, dependent(lambda rows: 2 if rows in (256, 352) else 1))
    own = Processor(has_bfloat16=True, has_int8=False, has_amx=True)
    monkeypatch.setattr("consumer.tagging.engine.cpu.steady_rows.this_processor", lambda: own)
    layer = torch.nn.Sequential(torch.nn.Linear(96, 64, dtype=torch.bfloat16))
    blocks = steady_rows(layer, 4_096, map)
    assert blocks == RowBlocks(tuple(size for size in SIZES if size not in (256, 352)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_processor_that_is_known_to_choose_may_choose_the_same(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    own = Processor(has_bfloat16=True, has_int8=False, has_amx=True)
    monkeypatch.setattr("consumer.tagging.engine.cpu.steady_rows.this_processor", lambda: own)
    use(monkeypatch, dependent(lambda _: 1))
    layer = torch.nn.Sequential(torch.nn.Linear(96, 64, dtype=dtype))
    assert steady_rows(layer, 4_096, map) == WHOLE


def test_a_full_pass_counts_more_than_an_article_alone() -> None:
    """What the bundled model's matmuls say on a processor with AMX: an article alone would gain by
    the middle sizes, of which a full pass needs eight, put together again."""
    sizes = sizes_to_try(8_192)
    first = {size: b"few" if 64 <= size <= 1_024 else b"many" for size in sizes}
    second = {size: b"few" if 64 <= size <= 352 else b"many" for size in sizes}
    third = {size: b"few" if size <= 448 else b"many" for size in sizes}
    blocks = choose_blocks([first, second, third], 8_192)
    assert blocks == RowBlocks(tuple(size for size in sizes if size > 1_024))
    passes = range(6_000, 9_216, 32)
    assert sum(map(blocks.cost, passes)) <= 1.03 * sum(passes)


def test_not_at_any_price() -> None:
    """Of an article alone: it may take a few times longer, not twenty."""
    sizes = sizes_to_try(8_192)
    few = {size: b"few" for size in sizes if size <= 1_024}
    many = {size: b"many" for size in sizes if size >= 8_192}
    assert choose_blocks([{**few, **many}], 8_192) == RowBlocks(tuple(few))


def test_sizes_are_close_enough_to_fill_little_up_and_reach_beyond_a_pass() -> None:
    for pass_tokens in (4_096, 8_192, 1_000_000):
        sizes = sizes_to_try(pass_tokens)
        assert sizes == sorted(set(sizes))
        assert sizes[:2] == [32, 64]
        assert sizes[-1] == min(pass_tokens + 1_024, 9_216)
        blocks = RowBlocks(tuple(sizes))
        full = min(pass_tokens, 8_192)
        passes = range(3 * full // 4, full, 32)
        assert all(len(blocks.cut(rows)) == 1 for rows in passes)
        assert sum(map(blocks.filled, passes)) <= 1.02 * sum(passes)


def test_more_rows_than_were_tried_are_cut() -> None:
    assert RowBlocks((64, 256)).cut(600) == (256, 256, 64, 64)
    assert RowBlocks((64, 256)).cut(250) == (256,), "one is cheaper than four"
    assert RowBlocks((64, 1_024)).cut(100) == (64, 64)
    assert RowBlocks((512,)).cut(10) == (512,)
    assert RowBlocks((32, 1_152)).cut(416) == (32,) * 13
    assert RowBlocks((32, 1_152)).cut(1_000) == (1_152,), "each call reads the weights"
    assert RowBlocks((512,)).filled(10) == 512
    assert WHOLE.filled(33) == 64


@pytest.mark.parametrize("rows", [0, 1, 32, 40, 96, 1_000, 1_056, 3_000])
def test_blocks_hold_each_row_once(rows: int) -> None:
    seen: list[int] = []

    def doubled(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        seen.append(len(one))
        assert len(one) == len(other)
        return one + other

    blocks = RowBlocks((64, 256))
    values = torch.randn(rows, 3)
    assert torch.equal(blocks.run(doubled, values, values), 2 * values)
    if rows:
        assert set(seen) <= {64, 256}
        # One of 256 costs less than three of 64, which read the weights three times.
        assert 0 <= sum(seen) - rows < 128
        assert tuple(seen) == blocks.cut(rows)


@pytest.mark.parametrize("dtype", FUSED)
def test_what_fills_up_stands_in_no_window_of_an_article(
    monkeypatch: pytest.MonkeyPatch, dtype: str
) -> None:
    """The number of queries of a window would depend on its company."""
    engine = made(dtype)
    seen: list[tuple[int, torch.Tensor]] = []
    run = engine._logits

    def watched(given: Sequence[np.ndarray], *, kept_tokens: torch.Tensor) -> torch.Tensor:
        seen.append((sum(map(len, given)), kept_tokens))
        return run(given, kept_tokens=kept_tokens)

    monkeypatch.setattr(engine, "_logits", watched)
    engine.run(windows((40, 24)), np.arange(64) % 3 == 0)
    ((tokens, kept),) = seen
    blocks = engine._blocks
    assert tokens == max(blocks.filled(64), blocks.filled(65))
    assert len(kept) == blocks.filled(22)
    assert kept[:22].tolist() == list(range(0, 64, 3))
    assert kept[22:].min() >= 64


def test_a_pass_fills_up_with_windows_that_the_model_takes() -> None:
    model: LoadedModel = load("bert-cased", "float32")
    engine = cpu_engine.CpuEngine(model, with_probabilities=False, is_fused=False)
    engine._model = model = _shortened(model, 10)
    assert [len(one) for one in engine._filling(25)] == [10, 10, 5]
    assert engine._filling(0) == []
    assert len(engine.run(windows((10, 9))).label_ids) == 19


def _shortened(model: LoadedModel, max_tokens: int) -> LoadedModel:
    from dataclasses import replace

    return replace(model, max_tokens=max_tokens)
