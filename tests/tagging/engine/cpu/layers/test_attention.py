"""Attention within windows, by whichever matmuls."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

from consumer.tagging.engine.cpu.layers import attention as cpu_attention
from consumer.tagging.engine.cpu.layers.attention import attend
from consumer.tagging.model.processor import Processor
from tests.support.engines.cpu_models import (
    needs_bfloat16,
)


def test_attention_of_long_windows_is_that_of_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = torch.randn(47, 3 * 24, generator=torch.Generator().manual_seed(2))
    found = attend(inputs, (20, 27), 4)
    query, key, value = inputs.view(47, 3, 4, 6).permute(1, 2, 0, 3)
    for window in (slice(0, 20), slice(20, 47)):
        scores = query[:, window] @ key[:, window].transpose(1, 2)
        shares = (scores * math.log(2)).softmax(-1)
        expected = (shares @ value[:, window]).transpose(0, 1).reshape(-1, 24)
        assert torch.allclose(found[window], expected, atol=1e-5)
    monkeypatch.setattr("consumer.tagging.engine.cpu.layers.attention.LONGEST_SCORES", 22)
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
    monkeypatch.setattr(
        "consumer.tagging.engine.cpu.layers.attention.LONGEST_SCORES", longest_scores
    )
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


@pytest.mark.instructions
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("level", [-300.0, -80.0, 80.0, 300.0])
def test_attention_takes_scores_of_any_size(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, level: float
) -> None:
    """All scores of a row may be far from zero: their exponentials have no number then."""
    own = Processor(has_bfloat16=True, has_int8=True, has_amx=False)
    monkeypatch.setattr("consumer.tagging.engine.cpu.layers.attention.this_processor", lambda: own)
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
    monkeypatch.setattr("consumer.tagging.engine.cpu.layers.attention.this_processor", lambda: own)
    lengths = (1, 7, 64, 300)
    inputs = torch.randn(372, 3 * 64, generator=torch.Generator().manual_seed(3))
    inputs[:, :64] *= 0.3
    expected = attend(inputs, lengths, 2)
    found = attend(inputs.bfloat16(), lengths, 2)
    assert torch.allclose(found.float(), expected, atol=2e-2)
