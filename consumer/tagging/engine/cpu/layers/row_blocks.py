"""RowBlocks: how many rows go through a matmul at a time, so that each has its own answer.

A library chooses its kernel by the shape of a matmul, and kernels sum in different orders. So on
some processors the last digits of a token's answer depend on how many tokens share the pass. Which
shapes agree is found out by trying: docs/decisions/0009.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch

#: Passes have multiples of so many tokens.
STEP = 32

#: Sizes that are tried: up to so many rows, one every so many. A full pass is filled up by 2 % of
#: it in the mean.
_STEPS = ((512, STEP), (1_024, 64), (4_096, 128), (9_216, 256))

#: Passes of more rows are not tried, since that would take longer. Passes of a few cores have
#: fewer.
_MOST_ROWS = _STEPS[-1][0]

#: Rows beyond the most that a pass should have: it ends with a whole window.
_BEYOND = 1_024

#: Numbers of rows whose answers are compared with those of the most rows that are tried.
_COMPARED = (32, 64, 96, 160, 288, 416, 672, 1_056, 2_080, 4_128)

#: What a call costs beside its rows, in rows: weights are read again.
_CALL_ROWS = 32

#: What it costs to put the answers of several blocks together, in shares of their rows.
_TOGETHER = 0.05

#: Tokens of an article.
_ARTICLE_ROWS = 416

#: The weight of an article that is alone, beside that of full passes. Full passes decide how fast a
#: worker is when it is behind. An article alone may take a few times as long: nothing waits for it.
_ARTICLE_SHARE = 0.03

#: Different rows of a probe; a prime, so that the same row stands in every place of a block.
DIFFERENT_ROWS = 61


@dataclass(frozen=True, slots=True)
class RowBlocks:
    """Cuts rows into blocks of sizes that give the same answers.

    Attributes:
        sizes: ascending; empty where all rows go at once.
    """

    sizes: tuple[int, ...] = ()

    def cut(self, rows: int) -> Sequence[int]:
        """The sizes of the blocks for so many rows, the cheapest; they may hold more."""
        return _cut(self.sizes, rows)

    def filled(self, rows: int) -> int:
        """How many rows a pass of so many should be filled up to."""
        return sum(self.cut(rows)) if self.sizes else -(-rows // STEP) * STEP

    def cost(self, rows: int) -> float:
        """What so many rows cost, in rows."""
        return _cost(self.cut(rows), rows)

    def run(self, function: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> torch.Tensor:
        """What a function gives for rows, each of which it computes by itself.

        Args:
            inputs: tensors of as many rows each, which belong together.
        """
        rows = len(inputs[0])
        if not self.sizes or not rows:
            return function(*inputs)
        found: list[torch.Tensor] = []
        start = 0
        for size in self.cut(rows):
            parts = [_filled_up(one[start : start + size], size) for one in inputs]
            found.append(function(*parts))
            start += size
        return found[0][:rows] if len(found) == 1 else torch.cat(found)[:rows]


#: All rows at once.
WHOLE = RowBlocks()


@cache
def _cut(sizes: tuple[int, ...], rows: int) -> tuple[int, ...]:
    place = bisect_left(sizes, rows)
    whole = sizes[place : place + 1]
    if place == 0 or whole == (rows,):
        return whole
    largest = sizes[place - 1]
    several = (largest, *_cut(sizes, rows - largest))
    return whole if whole and _cost(whole, rows) <= _cost(several, rows) else several


def _cost(blocks: Sequence[int], rows: int) -> float:
    together = _TOGETHER * rows if len(blocks) > 1 else 0.0
    return sum(blocks) + _CALL_ROWS * len(blocks) + together


def _filled_up(part: torch.Tensor, rows: int) -> torch.Tensor:
    if len(part) == rows:
        return part
    return torch.cat((part, part.new_zeros(rows - len(part), *part.shape[1:])))


@dataclass(frozen=True, slots=True, eq=False)
class RowProbe:
    """A matmul to try.

    Attributes:
        function: shape (rows, width) to (rows, outputs).
        rows: different ones, shape (some, width), see `noise`.
    """

    function: Callable[[torch.Tensor], torch.Tensor]
    rows: torch.Tensor


#: Matmuls by what a library may choose its kernel by. Those with one key are alike.
RowProbes = Mapping[tuple[object, ...], Callable[[], RowProbe]]


def noise(
    outputs: int, width: int, dtype: torch.dtype, biased: bool = True
) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
    """Weight, bias and rows whose matmul is nothing but what rounding leaves of it. Each value is
    there twice, with either sign. So another order of summing shows in nearly every answer. With
    other values, after rounding to bfloat16, it shows in one of thousands.

    Args:
        outputs, width: the weight's shape.
        biased: whether there is a bias, of zeros.
    """
    draw = torch.Generator().manual_seed(0)
    places = torch.randperm(width, generator=draw)
    half = width // 2
    one, other = places[:half], places[half : 2 * half]
    weight = torch.randn(outputs, width, generator=draw)
    weight[:, other] = -weight[:, one]
    rows = torch.randn(DIFFERENT_ROWS, width, generator=draw)
    # Values of many sizes, since sums of like values are seldom rounded.
    rows *= torch.exp2(torch.randint(-6, 7, (width,), generator=draw))
    rows[:, other] = rows[:, one]
    rows[:, places[2 * half :]] = 0
    bias = torch.zeros(outputs, dtype=dtype) if biased else None
    return weight.to(dtype), bias, rows.to(dtype)


#: Sizes of blocks whose answers are the same wherever a row stands, each with the bytes of an
#: answer: sizes with the same bytes agree.
Kinds = Mapping[int, bytes]


def sizes_to_try(pass_tokens: int) -> list[int]:
    """Ascending, up to the most rows of a pass.

    Args:
        pass_tokens: most tokens of a pass, but for its last window.
    """
    sizes: list[int] = []
    most, last = min(pass_tokens + _BEYOND, _MOST_ROWS), 0
    for until, step in _STEPS:
        sizes += range(last + step, min(until, most) + 1, step)
        last = until
    return sizes


@torch.inference_mode()
def try_rows(probe: RowProbe, pass_tokens: int, chooses: bool = False) -> Kinds:
    """Tries one matmul. Must run as passes do, on as many threads; blocks.

    Args:
        pass_tokens: see `sizes_to_try`.
        chooses: whether the kernels are known to depend on the number of rows. Then all sizes are
            tried: single ones may differ between others that agree. Else a few of them decide
            whether the others are tried, in a twentieth of the time.

    Returns:
        Sizes of blocks that give the same have the same bytes; where every number of rows does,
        all have none.
    """
    sizes = sizes_to_try(pass_tokens)
    most = sizes[-1]
    inputs = probe.rows.repeat(-(-most // len(probe.rows)), 1)[:most]
    whole = probe.function(inputs)
    # From the end, so that rows also stand in other places than they did.
    if not chooses and all(
        torch.equal(probe.function(inputs[-count:]), whole[-count:])
        for count in _COMPARED
        if count < most
    ):
        return dict.fromkeys(sizes, b"")
    kinds: dict[int, bytes] = {}
    for size in sizes:
        own = inputs[-size:]
        found = probe.function(own)
        if torch.equal(probe.function(own.roll(1, 0)), found.roll(1, 0)):
            kinds[size] = found[-STEP:].contiguous().view(torch.uint8).numpy().tobytes()
    if len(kinds) == len(sizes) and len(set(kinds.values())) == 1:
        return dict.fromkeys(sizes, b"")
    return kinds


def choose_blocks(tried: Sequence[Kinds], pass_tokens: int) -> RowBlocks | None:
    """The cheapest blocks with which all matmuls give a row the same answer in any company; None
    where there are none.

    Args:
        tried: what `try_rows` gave for each matmul.
        pass_tokens: see `sizes_to_try`.
    """
    sizes = sizes_to_try(pass_tokens)
    if all(kinds == dict.fromkeys(sizes, b"") for kinds in tried):
        return WHOLE
    alike: dict[tuple[bytes, ...], list[int]] = {}
    for size in sizes:
        if all(size in kinds for kinds in tried):
            alike.setdefault(tuple(kinds[size] for kinds in tried), []).append(size)
    choices = [RowBlocks(tuple(sizes)) for sizes in alike.values()]
    most = sizes[-1] - _BEYOND
    passes = [most - STEP * less for less in (1, 6, 15)]

    def cost(blocks: RowBlocks) -> float:
        full = sum(blocks.cost(rows) / rows for rows in passes) / len(passes)
        return full + _ARTICLE_SHARE * blocks.cost(_ARTICLE_ROWS) / _ARTICLE_ROWS

    return min(choices, key=cost, default=None)
