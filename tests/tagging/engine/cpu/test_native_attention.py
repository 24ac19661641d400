"""The attention kernel: its numbers, what it refuses, and that it stays in its memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from consumer.tagging.engine.cpu import native_library
from consumer.tagging.engine.cpu.native_attention import Kernel, load_kernel
from tests.support.engines.native_kernels import (
    needs_compiler,
    needs_kernel,
    run_watched,
    takes_heads,
)


@pytest.fixture
def kernel() -> Kernel:
    found = load_kernel()
    assert found is not None
    return found


def drawn(tokens: int, heads: int, head_size: int, seed: int = 1) -> torch.Tensor:
    """Queries, keys and values side by side, their scores as large as those of a model."""
    draw = torch.Generator().manual_seed(seed)
    found = torch.randn(tokens, 3 * heads * head_size, generator=draw)
    found[:, : heads * head_size] *= 2 / head_size**0.5
    return found


def exact(inputs: torch.Tensor, lengths: Sequence[int], heads: int) -> torch.Tensor:
    """Attention as it is written in the papers, in float64."""
    parts = inputs.double().view(len(inputs), 3, heads, -1).permute(1, 2, 0, 3)
    found = []
    for begin, end in itertools.pairwise((0, *itertools.accumulate(lengths))):
        query, key, value = parts[:, :, begin:end]
        shares = (query @ key.transpose(1, 2) * math.log(2)).softmax(-1)
        found.append((shares @ value).transpose(0, 1).reshape(end - begin, -1))
    return torch.cat(found)


@needs_compiler
def test_an_installation_with_a_compiler_has_the_kernel() -> None:
    assert load_kernel() is not None


@needs_kernel
@pytest.mark.parametrize("head_size", [16, 32, 48, 64, 128])
@pytest.mark.parametrize(
    "lengths", [(1,), (7, 1, 6), (16, 17, 15), (47, 2, 90), (512, 33), tuple(range(1, 40))]
)
def test_it_is_attention(kernel: Kernel, lengths: tuple[int, ...], head_size: int) -> None:
    inputs = drawn(sum(lengths), 3, head_size)
    expected = exact(inputs, lengths, 3)
    found = kernel.attend(inputs, lengths, 3)
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < 4e-6
    # None of a window, all of another; the last token again, as rows are filled up.
    last = sum(lengths) - 1
    kept = torch.tensor([*range(lengths[0]), *range(sum(lengths[:2]), last, 3), last, last])
    assert torch.equal(kernel.attend(inputs, lengths, 3, kept), found[kept])


@needs_kernel
@pytest.mark.parametrize("level", [-1e4, -300.0, 300.0, 1e4])
def test_scores_may_lie_anywhere(kernel: Kernel, level: float) -> None:
    inputs = drawn(70, 2, 32)
    inputs[:, 0], inputs[:, 64] = level, 1.0
    inputs[5, 64] = 1.5
    found = kernel.attend(inputs, (30, 40), 2)
    # A float32 of ten thousand has steps of a thousandth, and so has the exponent of a share.
    assert torch.allclose(found.double(), exact(inputs, (30, 40), 2), atol=1e-2)


@needs_kernel
def test_small_shares_are_not_lost(kernel: Kernel) -> None:
    """A key that has 2^-100 of the share, with a value of 2^100."""
    inputs = torch.zeros(20, 96)
    inputs[:, 0] = 1.0
    inputs[1:, 32] = -100.0
    inputs[1, 64] = 2.0**100
    found = kernel.attend(inputs, (20,), 1)
    assert found[0, 0].item() == pytest.approx(1.0, rel=1e-5)


@needs_kernel
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("part", ["query", "key", "value"])
def test_what_is_no_number_stays_none_and_where_it_is(
    kernel: Kernel, bad: float, part: str
) -> None:
    lengths = (25, 30, 9)
    inputs = drawn(64, 2, 32)
    clean = kernel.attend(inputs, lengths, 2)
    # Of the second head, in the second window.
    column = {"query": 0, "key": 64, "value": 128}[part] + 32 + 3
    inputs[40, column] = bad
    found = kernel.attend(inputs, lengths, 2)
    touched = torch.zeros_like(found, dtype=torch.bool)
    rows = slice(40, 41) if part == "query" else slice(25, 55)
    columns = slice(35, 36) if part == "value" else slice(32, 64)
    touched[rows, columns] = True
    assert torch.equal(found[~touched], clean[~touched])
    if part != "key" or math.isnan(bad):
        assert not found[touched].isfinite().any()
    else:
        # Half of the queries have such a key at plus infinity; nothing hides the others' either.
        assert found[touched].isnan().any()


@needs_kernel
def test_a_window_has_the_same_numbers_in_any_company(kernel: Kernel) -> None:
    """Bit for bit."""
    lengths = (25, 1, 300, 9)
    inputs = drawn(sum(lengths), 4, 32)
    together = kernel.attend(inputs, lengths, 4).split(lengths)
    for window, found in zip(inputs.split(lengths), together, strict=True):
        assert torch.equal(kernel.attend(window, (len(window),), 4), found)


@needs_kernel
def test_rows_may_lie_apart(kernel: Kernel) -> None:
    inputs = drawn(60, 2, 32)
    apart = torch.full((60, 400), torch.nan)
    apart[:, 100:292] = inputs
    found = kernel.attend(apart[:, 100:292], (20, 40), 2)
    assert torch.equal(found, kernel.attend(inputs, (20, 40), 2))


@needs_kernel
def test_it_refuses_what_would_lead_it_astray(kernel: Kernel) -> None:
    inputs = drawn(60, 2, 32)
    for lengths in ((20, 41), (20, 39), (), (60, 0), (70, -10)):
        with pytest.raises(ValueError, match="must lie in their order among the tokens"):
            kernel.attend(inputs, lengths, 2)
    for kept in ([3, 2], [-1, 4], [4, 60]):
        with pytest.raises(ValueError, match="must lie in their order among the tokens"):
            kernel.attend(inputs, (20, 40), 2, torch.tensor(kept))
    with pytest.raises(ValueError, match=r"float32 on the CPU, not torch\.bfloat16"):
        kernel.attend(inputs.bfloat16(), (20, 40), 2)
    for heads in (5, 8):
        with pytest.raises(ValueError, match=f"does not take {heads} heads in 192 columns"):
            kernel.attend(inputs, (20, 40), heads)


def test_a_library_that_is_missing_or_none_is_no_kernel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "kernels.so"
    monkeypatch.setattr(native_library, "LIBRARY", broken)
    for content in (None, b"no library"):
        if content is not None:
            broken.write_bytes(content)
        load_kernel.cache_clear()
        try:
            assert load_kernel() is None
        finally:
            load_kernel.cache_clear()


@needs_compiler
def test_it_stays_in_its_memory(tmp_path: Path) -> None:
    said = run_watched("attention", tmp_path)
    if takes_heads:
        assert said == "840 calls\n"
