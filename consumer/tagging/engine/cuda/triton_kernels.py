"""Kernels for a GPU, written in Triton: attention within windows, normalisation, embeddings.

torch's flash attention for windows end to end is that of the generation before Hopper. Its
normalisation gives a block of threads to each short row. Both take twice the time that the device
needs. Triton compiles at the first call, which takes seconds and a C compiler; where it cannot,
torch's own are used, see `consumer.tagging.engine.cuda.engine`.

A window's result depends on nothing but the window. Its blocks begin at its first token, and what
lies beyond its last one is masked before it is read.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl

from consumer.tagging.engine.cuda.varlen_attention import TRITON_HEAD_SIZES
from consumer.tagging.engine.packed_attention import CannotPack

#: Queries and keys of a block, warps and stages of the attention.
_QUERIES, _KEYS, _WARPS, _STAGES = 64, 64, 4, 3

#: Rows that a program normalises, and its warps.
_ROWS, _ROW_WARPS = 8, 8


@triton.jit
def _attention(
    query,
    key,
    value,
    attended,
    bounds,
    token_stride,
    out_stride,
    exponent_scale,
    HEAD_SIZE: tl.constexpr,
    QUERIES: tl.constexpr,
    KEYS: tl.constexpr,
):
    window = tl.program_id(1)
    head = tl.program_id(2)
    begin = tl.load(bounds + window)
    length = tl.load(bounds + window + 1) - begin
    first = tl.program_id(0) * QUERIES
    if first >= length:
        return
    features = tl.arange(0, HEAD_SIZE)
    rows = first + tl.arange(0, QUERIES)
    is_row = rows[:, None] < length
    places = (begin + rows).to(tl.int64)[:, None] * token_stride + head * HEAD_SIZE + features[None]
    queries = tl.load(query + places, mask=is_row, other=0.0)
    highest = tl.full([QUERIES], -float("inf"), dtype=tl.float32)
    total = tl.zeros([QUERIES], dtype=tl.float32)
    found = tl.zeros([QUERIES, HEAD_SIZE], dtype=tl.float32)
    columns = tl.arange(0, KEYS)
    for start in range(0, length, KEYS):
        is_key = start + columns < length
        tokens = (begin + start + columns).to(tl.int64) * token_stride + head * HEAD_SIZE
        keys = tl.load(key + tokens[None, :] + features[:, None], mask=is_key[None, :], other=0.0)
        scores = tl.dot(queries, keys)
        scores = tl.where(is_key[None, :], scores, -float("inf"))
        higher = tl.maximum(highest, tl.max(scores, 1))
        # As exponents of two: the device has no other exponential.
        weights = tl.exp2(scores * exponent_scale - (higher * exponent_scale)[:, None])
        shrink = tl.exp2((highest - higher) * exponent_scale)
        total = total * shrink + tl.sum(weights, 1)
        values = tl.load(
            value + tokens[:, None] + features[None, :], mask=is_key[:, None], other=0.0
        )
        found = tl.dot(weights.to(values.dtype), values, found * shrink[:, None])
        highest = higher
    found = found / total[:, None]
    targets = (begin + rows).to(tl.int64)[:, None] * out_stride + head * HEAD_SIZE + features[None]
    tl.store(attended + targets, found.to(attended.dtype.element_ty), mask=is_row)


@triton.jit
def _normalised(found, weight, bias, column, epsilon, SIZE: tl.constexpr):
    """Normalised rows of float32. Columns beyond the size are zeros, and do not count."""
    is_column = (column < SIZE)[None, :]
    mean = tl.sum(found, 1) / SIZE
    apart = tl.where(is_column, found - mean[:, None], 0.0)
    factor = tl.rsqrt(tl.sum(apart * apart, 1) / SIZE + epsilon)
    weights = tl.load(weight + column, mask=column < SIZE, other=0.0).to(tl.float32)
    shifts = tl.load(bias + column, mask=column < SIZE, other=0.0).to(tl.float32)
    return apart * factor[:, None] * weights[None, :] + shifts[None, :]


@triton.jit(do_not_specialize=["rows"])
def _norm(
    values,
    weight,
    bias,
    normed,
    rows,
    epsilon,
    SIZE: tl.constexpr,
    COLUMNS: tl.constexpr,
    ROWS: tl.constexpr,
):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    is_value = (row[:, None] < rows) & (column[None, :] < SIZE)
    places = row.to(tl.int64)[:, None] * SIZE + column[None, :]
    found = tl.load(values + places, mask=is_value, other=0.0).to(tl.float32)
    answer = _normalised(found, weight, bias, column, epsilon, SIZE)
    tl.store(normed + places, answer.to(normed.dtype.element_ty), mask=is_value)


@triton.jit(do_not_specialize=["rows"])
def _embed(
    ids,
    positions,
    words,
    places,
    weight,
    bias,
    embedded,
    rows,
    epsilon,
    SIZE: tl.constexpr,
    COLUMNS: tl.constexpr,
    ROWS: tl.constexpr,
):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    is_value = (row[:, None] < rows) & (column[None, :] < SIZE)
    word = tl.load(ids + row, mask=row < rows, other=0).to(tl.int64)[:, None] * SIZE
    place = tl.load(positions + row, mask=row < rows, other=0).to(tl.int64)[:, None] * SIZE
    found = tl.load(words + word + column[None, :], mask=is_value, other=0.0).to(tl.float32)
    found += tl.load(places + place + column[None, :], mask=is_value, other=0.0).to(tl.float32)
    answer = _normalised(found, weight, bias, column, epsilon, SIZE)
    targets = row.to(tl.int64)[:, None] * SIZE + column[None, :]
    tl.store(embedded + targets, answer.to(embedded.dtype.element_ty), mask=is_value)


def attend(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    longest: int,
    scale: float,
) -> torch.Tensor:
    """A `VarlenOperator`. Query, key and value have the same strides, and heads side by side.

    Raises:
        CannotPack: they have not, or the head size is none of `TRITON_HEAD_SIZES`.
    """
    tokens, heads, head_size = query.shape
    strides = query.stride()
    if (
        head_size not in TRITON_HEAD_SIZES
        or strides[1:] != (head_size, 1)
        or not (key.stride() == value.stride() == strides)
    ):
        raise CannotPack
    attended = torch.empty((tokens, heads, head_size), dtype=query.dtype, device=query.device)
    grid = (triton.cdiv(longest, _QUERIES), len(bounds) - 1, heads)
    _attention[grid](
        query,
        key,
        value,
        attended,
        bounds,
        strides[0],
        heads * head_size,
        scale * math.log2(math.e),
        HEAD_SIZE=head_size,
        QUERIES=_QUERIES,
        KEYS=_KEYS,
        num_warps=_WARPS,
        num_stages=_STAGES,
        enable_fp_fusion=True,
    )
    return attended


def norm(
    values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, epsilon: float
) -> torch.Tensor:
    """A `NormKernel`; the values lie row after row."""
    rows, size = values.shape
    normed = torch.empty_like(values)
    _norm[(triton.cdiv(rows, _ROWS),)](
        values, weight, bias, normed, rows, epsilon, **_row_options(size)
    )
    return normed


def embed(
    ids: torch.Tensor,
    positions: torch.Tensor,
    words: torch.Tensor,
    places: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    epsilon: float,
) -> torch.Tensor:
    """An `EmbedKernel`.

    Args:
        ids, positions: rows of the tables `words` and `places`, shape (tokens,).
    """
    tokens, size = len(ids), words.shape[1]
    embedded = torch.empty((tokens, size), dtype=words.dtype, device=words.device)
    _embed[(triton.cdiv(tokens, _ROWS),)](
        ids,
        positions,
        words,
        places,
        weight,
        bias,
        embedded,
        tokens,
        epsilon,
        **_row_options(size),
    )
    return embedded


def _row_options(size: int) -> dict[str, Any]:
    return {
        "SIZE": size,
        "COLUMNS": triton.next_power_of_2(size),
        "ROWS": _ROWS,
        "num_warps": _ROW_WARPS,
        "enable_fp_fusion": True,
    }
