"""Attention within windows on a CPU, over the concatenated tokens of many windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch.nn.functional import scaled_dot_product_attention

from consumer.tagging.engine.cpu.layers.this_processor import this_processor

#: Longest window whose scores are held all at once: 24 MB in a base model.
LONGEST_SCORES = 1_024

#: Queries and keys of a window are filled up to a multiple of so many. oneDNN prepares a matmul
#: anew for each shape that it has not met lately. That takes as long as the matmul of a short
#: window.
FILLED_TO = 16

#: Turns exponents of two into exponents of e.
LN_2 = math.log(2.0)

#: Largest sum of a row's exponentials, and one over it the smallest. A score 18 below the row's
#: largest still has an exponential above zero, and what comes of the values of any model stays
#: finite. Larger sums are looked at, see `_are_of_use`.
_LARGEST_SUM = 2.0**90


@dataclass(frozen=True, slots=True)
class _Window:
    """Where the queries of a window stand among all queries, and where its keys and values."""

    queries: slice
    keys: slice

    @property
    def shape(self) -> tuple[int, int]:
        """How many there are, queries and keys."""
        return self.queries.stop - self.queries.start, self.keys.stop - self.keys.start


def attend(
    inputs: torch.Tensor,
    window_lengths: Sequence[int],
    heads: int,
    kept: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attention within each window.

    It is computed by two matmuls with exponentials of two between them, or by torch's own attention
    for the CPU. torch's cuts the matmuls into blocks. With AMX it has kernels of its own for them
    and takes about half the time. Without AMX the blocks are too small for oneDNN's bfloat16
    kernels, and it takes twice the time. But it needs no memory for all scores, so the longest
    windows always go to it.

    Args:
        inputs: queries, keys and values side by side, shape (tokens, 3 x hidden size). Queries are
            scaled so that their dot products with keys are exponents of two.
        kept: places of the tokens whose attention is wanted, ascending, shape (kept,); None for
            that of all.

    Returns:
        Shape (tokens, or kept, hidden size).
    """
    tokens = len(inputs)
    parts = inputs.view(tokens, 3, heads, -1).permute(1, 2, 0, 3)
    query, key, value = parts
    ends = list(accumulate(window_lengths))
    query_ends = ends
    if kept is not None:
        query = query[:, kept]
        query_ends = torch.searchsorted(kept, torch.tensor(ends)).tolist()
    windows = [
        _Window(slice(*queries), slice(*keys))
        for queries, keys in zip(pairwise([0, *query_ends]), pairwise([0, *ends]), strict=True)
        if queries[0] < queries[1]
    ]
    attended = inputs.new_empty(query.shape[1], heads, query.shape[-1])
    by_head = attended.transpose(0, 1)
    has_amx = inputs.dtype == torch.bfloat16 and this_processor().has_amx
    longest_scores = 0 if has_amx else LONGEST_SCORES
    short = [window for window in windows if window.shape[1] <= longest_scores]
    for window in windows:
        if window.shape[1] > longest_scores:
            by_head[:, window.queries] = scaled_dot_product_attention(
                query[None, :, window.queries],
                key[None, :, window.keys],
                value[None, :, window.keys],
                scale=LN_2,
            )[0]
    for window, bad in _attend_by_exponentials(query, parts[1:], short, by_head):
        by_head[bad, window.queries] = _attend_by_softmax(
            query[bad, window.queries], key[bad, window.keys], value[bad, window.keys]
        )
    return attended.view(len(attended), -1)


def _attend_by_exponentials(
    query: torch.Tensor,
    keys_values: torch.Tensor,
    windows: Sequence[_Window],
    attended: torch.Tensor,
) -> Sequence[tuple[_Window, torch.Tensor]]:
    """Attention whose softmax is divided by its denominators last, after the matmul with the
    values. The result of that matmul has as many columns as a head is wide; the scores have as many
    as the window has tokens. A softmax also subtracts the largest score, which keeps exponentials
    small. Here the denominators tell afterwards whether they were.

    Args:
        query: shape (heads, queries, head size).
        keys_values: shape (2, heads, tokens, head size).
        attended: the shape of the queries; those of the windows are filled.

    Returns:
        The windows and their heads whose answers are of no use, since their scores lie too far from
        zero. Some models have one head that does so in nearly all windows.
    """
    if not windows:
        return ()
    heads, size = len(query), query.shape[-1]
    longest = _filled_up(max(max(window.shape) for window in windows))
    # All windows use the same memory, so that it stays in the caches. oneDNN reads a head's rows a
    # third slower from between the rows of other heads.
    memory = [query.new_empty(heads * longest * width) for width in (longest, size, 2 * size)]
    ones_then_zeros = query.new_ones(heads, longest + FILLED_TO)
    ones_then_zeros[:, longest:] = 0
    all_denominators = query.new_ones(heads, query.shape[1], 1)
    for window in windows:
        queries, keys = window.shape
        rows, columns = _filled_up(queries), _filled_up(keys)
        exponentials, own_query, own_keys_values = (
            part[: math.prod(shape)].view(shape)
            for part, shape in zip(
                memory,
                ((heads, rows, columns), (heads, rows, size), (2, heads, columns, size)),
                strict=True,
            )
        )
        own_query[:, :queries] = query[:, window.queries]
        own_keys_values[:, :, :keys] = keys_values[:, :, window.keys]
        if keys < columns:
            # What lies there is another article's, and may not be finite.
            own_keys_values[:, :, keys:] = 0
        own_key, own_value = own_keys_values
        torch.bmm(own_query, own_key.mT, out=exponentials).exp2_()
        # What fills up counts nothing. A sum takes less time as a matmul than by itself.
        counts = ones_then_zeros[:, longest - keys : longest - keys + columns, None]
        denominators = torch.bmm(exponentials, counts)[:, :queries]
        found = torch.bmm(exponentials, own_value)[:, :queries]
        torch.div(found, denominators, out=attended[:, window.queries])
        all_denominators[:, window.queries] = denominators
    is_of_use = _are_of_use(all_denominators[..., 0], attended)
    if bool(is_of_use.all()):
        return ()
    found_bad = [
        (window, (~is_of_use[:, window.queries].all(dim=1)).nonzero()[:, 0]) for window in windows
    ]
    return [(window, bad) for window, bad in found_bad if len(bad)]


def _are_of_use(denominators: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """Whether the exponentials of each row were neither too small nor too large, shape (heads,
    queries).

    Args:
        denominators: sums of the exponentials, the same shape.
        attended: what came of them, shape (heads, queries, head size).
    """
    # Written so that what is not a number is of no use.
    is_of_use = (denominators >= 1 / _LARGEST_SUM) & (denominators <= _LARGEST_SUM)
    if bool(is_of_use.all()):
        return is_of_use
    # Unless the values are large too, what comes of larger exponentials is still finite. A look at
    # those few heads says so: the bundled model has one whose scores go up to 105.
    heads = (~is_of_use).any(dim=1).nonzero()[:, 0]
    are_finite = attended[heads].isfinite().all(dim=-1) & denominators[heads].isfinite()
    is_of_use[heads] |= are_finite & (denominators[heads] > 1)
    return is_of_use


def _attend_by_softmax(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Of one window, whatever its scores.

    Args:
        query: shape (heads, queries, head size).
        key, value: shape (heads, keys, head size).

    Returns:
        The shape of the queries.
    """
    queries, keys = query.shape[1], key.shape[1]
    columns = _filled_up(keys)
    scores = torch.bmm(_own(query, _filled_up(queries)), _own(key, columns).mT).mul_(LN_2)
    scores[..., keys:] = -torch.inf
    return torch.bmm(scores.softmax(dim=-1), _own(value, columns))[:, :queries]


def _filled_up(count: int) -> int:
    return -(-count // FILLED_TO) * FILLED_TO


def _own(part: torch.Tensor, rows: int) -> torch.Tensor:
    """A copy with zeros up to so many rows. oneDNN reads a head's rows a third slower from between
    those of the other heads."""
    heads, own_rows, size = part.shape
    own = part.new_empty(heads, rows, size)
    own[:, :own_rows] = part
    own[:, own_rows:] = 0
    return own
