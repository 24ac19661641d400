"""The attention operators of a CUDA device against attention window by window in float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from consumer.tagging.engine.cuda.varlen_attention import (
    VarlenOperator,
    find_flash_operator,
    padded_operator,
)
from consumer.tagging.engine.cuda.varlen_kernels import torch_norm
from tests.support.engines.window_by_window import window_by_window

triton_kernels = pytest.importorskip("consumer.tagging.engine.cuda.triton_kernels")

#: Rounding of a half, for sums of values near 1.
APART = {torch.bfloat16: 2e-2, torch.float16: 3e-3, torch.float32: 2e-5}

LENGTHS = [512, 1, 64, 129, 0, 300, 3, 2, 511]


def flash() -> VarlenOperator:
    operator = find_flash_operator()
    if operator is None:
        pytest.skip(f"torch {torch.__version__} has no variable-length attention")
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("flash attention needs compute capability 8.0")
    return operator


def bounds_of(lengths: list[int], spare: int = 0) -> torch.Tensor:
    ends = np.concatenate(([0], np.cumsum(lengths), [sum(lengths)] * spare))
    return torch.tensor(ends, dtype=torch.int32, device="cuda")


@pytest.mark.parametrize("head_size", [32, 64, 128])
@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (flash, torch.bfloat16),
        (flash, torch.float16),
        (lambda: triton_kernels.attend, torch.bfloat16),
        (lambda: triton_kernels.attend, torch.float16),
        (lambda: padded_operator, torch.float32),
        (lambda: padded_operator, torch.float16),
    ],
)
def test_an_operator_attends_within_each_window(
    make: Callable[[], VarlenOperator], dtype: torch.dtype, head_size: int
) -> None:
    operator = make()
    tokens = sum(LENGTHS)
    spare = 40
    # As one product gives them: query, key and value of a token side by side.
    joined = torch.randn(tokens + spare, 3, 12, head_size, device="cuda").to(dtype)
    joined[tokens:] = torch.nan
    query, key, value = joined.unbind(1)
    bounds = bounds_of(LENGTHS, spare=7)
    scale = head_size**-0.5
    with torch.inference_mode():
        found = operator(query, key, value, bounds, 512, scale)[:tokens].float()
    exact = window_by_window(query.float(), key.float(), value.float(), bounds, scale)
    expected = exact[:tokens]
    assert float((found - expected).abs().max()) < APART[dtype]


@pytest.mark.parametrize("make", [flash, lambda: triton_kernels.attend])
def test_a_window_has_the_same_bits_in_any_company(make: Callable[[], VarlenOperator]) -> None:
    operator = make()
    parts = torch.randn(3, 4096, 12, 64, device="cuda", dtype=torch.bfloat16)
    query, key, value = parts
    for others in ([], [512] * 7, [3] * 500, [1, 64, 300]):
        bounds = bounds_of([200, *others], spare=9)
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            found = operator(query, key, value, bounds, 512, 0.125)
            alone = operator(query[:200], key[:200], value[:200], bounds_of([200]), 512, 0.125)
        assert torch.equal(found[:200], alone)


@pytest.mark.parametrize("size", [384, 768, 1000, 1024])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_normalisation_and_embeddings_are_those_of_torch(size: int, dtype: torch.dtype) -> None:
    weight, bias = torch.randn(2, size, device="cuda").to(dtype)
    values = (torch.randn(1_001, size, device="cuda") * 3 + 1).to(dtype)
    expected = torch_norm(values.float(), weight.float(), bias.float(), 1e-12)
    found = triton_kernels.norm(values, weight, bias, 1e-12).float()
    assert float((found - expected).abs().max()) < 2 * APART[dtype] * float(weight.abs().max())
    words, places = (torch.randn(rows, size, device="cuda").to(dtype) for rows in (5_000, 512))
    ids, positions = (torch.randint(rows, (777,), device="cuda") for rows in (5_000, 512))
    expected = torch_norm(
        words[ids].float() + places[positions].float(), weight.float(), bias.float(), 1e-12
    )
    found = triton_kernels.embed(ids, positions, words, places, weight, bias, 1e-12).float()
    assert float((found - expected).abs().max()) < 2 * APART[dtype] * float(weight.abs().max())
