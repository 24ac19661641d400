"""Attention within windows on a CPU, over the concatenated tokens of many windows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch.nn.functional import scaled_dot_product_attention

from consumer.tagging.processor import read_processor

#: Longest window whose scores are held all at once: 24 MB in a base model.
LONGEST_SCORES = 1_024

#: Makes exponents of e of exponents of two.
LN_2 = math.log(2.0)

#: Of a row's powers, and one over it the smallest sum: a score 18 lower than the row's largest
#: still has a power above zero, and products with values of any model stay finite.
_LARGEST_SUM = 2.0**90


def attend(inputs: torch.Tensor, window_lengths: Sequence[int], heads: int) -> torch.Tensor:
    """Attention within each window.

    By two products and powers of two between them, or by torch's own attention for the CPU. That
    one cuts the products into blocks. With tiles it has kernels of its own for them and takes
    about half the time; without, the blocks are too small for oneDNN's bfloat16 kernels, and it
    takes twice the time. It takes no memory for all scores, though, so the longest windows always
    go to it.

    Args:
        inputs: queries, keys and values side by side, shape (tokens, 3 x hidden size); of queries
            that are scaled so that their products with keys are exponents of two.

    Returns:
        Shape (tokens, hidden size).
    """
    tokens = len(inputs)
    query, key, value = inputs.view(tokens, 3, heads, -1).permute(1, 2, 0, 3)
    attended = inputs.new_empty(tokens, heads, query.shape[-1])
    by_head = attended.transpose(0, 1)
    ends = list(itertools.accumulate(window_lengths))
    windows = [slice(end - length, end) for end, length in zip(ends, window_lengths, strict=True)]
    has_tiles = inputs.dtype == torch.bfloat16 and read_processor().has_tiles
    longest_scores = 0 if has_tiles else LONGEST_SCORES
    short = [window for window in windows if window.stop - window.start <= longest_scores]
    for window in windows:
        if window.stop - window.start > longest_scores:
            by_head[:, window] = scaled_dot_product_attention(
                query[None, :, window], key[None, :, window], value[None, :, window], scale=LN_2
            )[0]
    for window, bad in _attend_by_powers(query, key, value, short, by_head):
        scores = torch.bmm(query[bad, window], key[bad, window].mT).mul_(LN_2)
        by_head[bad, window] = torch.bmm(scores.softmax(dim=-1), value[bad, window])
    return attended.view(tokens, -1)


def _attend_by_powers(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    windows: Sequence[slice],
    attended: torch.Tensor,
) -> Sequence[tuple[slice, torch.Tensor]]:
    """Attention with the softmax undone into its powers, which are divided by their sums only
    after the product with the values: that has as many columns as a head is wide, where the scores
    have as many as the window has tokens. What a softmax does besides, subtracting the largest
    score, keeps the powers small; here their sums tell afterwards whether they were.

    Args:
        query, key, value: shape (heads, tokens, head size).
        attended: the same shape; the windows' tokens are filled.

    Returns:
        The windows and their heads whose answers are of no use, since their scores lie too far from
        zero: of some models one head does that in nearly all windows.
    """
    if not windows:
        return ()
    heads, tokens, size = query.shape
    longest = max(window.stop - window.start for window in windows)
    # The same memory for each, so that it stays in the caches.
    memory = query.new_empty(heads * longest * longest)
    parts = query.new_empty(3 * heads * longest * size)
    ones = query.new_ones(1, longest, 1)
    sums = query.new_ones(heads, tokens, 1)
    for window in windows:
        length = window.stop - window.start
        powers = memory[: heads * length * length].view(heads, length, length)
        # oneDNN reads a head's rows a third slower from between those of the other heads.
        own = parts[: 3 * heads * length * size].view(3, heads, length, size)
        for part, whole in zip(own, (query, key, value), strict=True):
            part.copy_(whole[:, window])
        torch.bmm(own[0], own[1].mT, out=powers).exp2_()
        # As a product, a sum takes less time than by itself.
        torch.bmm(powers, ones[:, :length].expand(heads, -1, -1), out=sums[:, window])
        torch.bmm(powers, own[2], out=attended[:, window]).div_(sums[:, window])
    # Written so that what is not a number is of no use.
    is_of_use = ((sums >= 1 / _LARGEST_SUM) & (sums <= _LARGEST_SUM))[..., 0]
    if bool(is_of_use.all()):
        return ()
    found = [(window, (~is_of_use[:, window].all(dim=1)).nonzero()[:, 0]) for window in windows]
    return [(window, bad) for window, bad in found if len(bad)]
