"""Runs the kernels in Triton by its interpreter: `TRITON_INTERPRET=1 python -m ...`.

Numbers of a half are float16 here: the interpreter multiplies bfloat16 wrongly.
"""

from __future__ import annotations

import itertools

import torch

from consumer.tagging.engine.cuda import triton_kernels
from consumer.tagging.engine.cuda.varlen_kernels import TRITON, torch_norm
from tests.support.engines.varlen_logits import logits, with_biases
from tests.support.engines.window_by_window import window_by_window
from tests.support.models.tiny_models import PACKED_FAMILIES

LENGTHS = [140, 1, 64, 0, 129, 3]
APART = {torch.float32: 2e-6, torch.float16: 4e-3}


def check_attention(head_size: int, dtype: torch.dtype) -> None:
    tokens = sum(LENGTHS)
    joined = torch.randn(tokens + 9, 3, 2, head_size).to(dtype)
    joined[tokens:] = torch.nan
    bounds = torch.tensor([0, *itertools.accumulate(LENGTHS), tokens, tokens], dtype=torch.int32)
    query, key, value = joined.unbind(1)
    scale = head_size**-0.5
    found = triton_kernels.attend(query, key, value, bounds, 256, scale)[:tokens].float()
    exact = window_by_window(query.float(), key.float(), value.float(), bounds, scale)
    expected = exact[:tokens]
    assert float((found - expected).abs().max()) < APART[dtype]


def check_rows(size: int, dtype: torch.dtype) -> None:
    weight, bias = torch.randn(2, size).to(dtype)
    values = (torch.randn(10, size) * 3 + 1).to(dtype)
    as_float = weight.float(), bias.float(), 1e-12
    apart = triton_kernels.norm(values, weight, bias, 1e-12) - torch_norm(values.float(), *as_float)
    assert float(apart.abs().max()) < 4 * APART[dtype]
    words, places = (torch.randn(rows, size).to(dtype) for rows in (50, 20))
    ids, positions = torch.arange(7) * 7, torch.arange(7) * 2
    sums = words[ids].float() + places[positions].float()
    found = triton_kernels.embed(ids, positions, words, places, weight, bias, 1e-12)
    assert float((found - torch_norm(sums, *as_float)).abs().max()) < 4 * APART[dtype]


def check_family(family: str) -> None:
    model = with_biases(family)
    expected, found = logits(model, False), logits(model, True, TRITON)
    assert float((found - expected).abs().max()) < 1e-5 * float(expected.abs().max())


def main() -> None:
    torch.manual_seed(0)
    for dtype in APART:
        for head_size in (16, 64):
            check_attention(head_size, dtype)
        for size in (48, 384):
            check_rows(size, dtype)
    # The tiny models' heads are too small for a device's matrix units, not for the interpreter.
    vars(triton_kernels)["TRITON_HEAD_SIZES"] = (8,)
    for family in PACKED_FAMILIES:
        check_family(family)
    print("all the same")


if __name__ == "__main__":
    main()
