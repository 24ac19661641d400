"""How the windows of one pass lie in one array of int32, which travels to the device in one piece.

The array holds three parts. The ids of all tokens come first, windows end to end. Their positions
follow, counted from the beginning of each window. Last come the bounds: where each window begins,
and where the last one ends (`cu_seqlens` in the words of flash attention). Each part is filled up
to a rung of its ladder, so that a pass has one of few shapes. Tokens beyond the last bound belong
to no window: no window attends to them, and their answers are not read. Windows that fill up have
no tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.tagging.engine.cuda.size_ladder import SizeLadder

#: Passes of fewer tokens take as long as these. The step between rungs is an eighth of the power of
#: two below. It keeps the rows of a matmul a multiple of 32, as tensor cores take them.
TOKEN_LADDER = SizeLadder(smallest=256, rungs_per_octave=8)

#: Attention plans blocks for each window and head, as many as the longest window has. What fills
#: up windows and length are empty blocks, cheap but not free.
WINDOW_LADDER = SizeLadder(smallest=16, rungs_per_octave=4)
LENGTH_LADDER = SizeLadder(smallest=64, rungs_per_octave=4)

Flat = TypeVar("Flat", NDArray[np.int32], torch.Tensor)


@dataclass(frozen=True, slots=True)
class PassShape:
    """The sizes of a pass, filled up. Passes of one shape run the same kernels.

    Attributes:
        tokens: rows of the token stream.
        windows: windows, those without tokens included.
        longest: no window has more tokens.
    """

    tokens: int
    windows: int
    longest: int

    @property
    def inputs(self) -> int:
        """Length of the array that travels to the device."""
        return 2 * self.tokens + self.windows + 1


@dataclass(frozen=True, slots=True)
class PassLayout:
    """Lays windows out for a model.

    Attributes:
        pad_id: the token that fills up.
        first_position: position of a window's first token.
    """

    pad_id: int
    first_position: int

    def shape(self, windows: Sequence[NDArray[np.int32]]) -> PassShape:
        """The lowest shape that holds windows, special tokens included."""
        lengths = [len(window) for window in windows]
        return PassShape(
            tokens=TOKEN_LADDER.rung(sum(lengths)),
            windows=WINDOW_LADDER.rung(len(lengths)),
            longest=LENGTH_LADDER.rung(max(lengths)),
        )

    def write(
        self, windows: Sequence[NDArray[np.int32]], shape: PassShape, target: NDArray[np.int32]
    ) -> None:
        """Fill `target`, of `shape.inputs` integers, in place: memory that the device reads.

        Args:
            shape: one that holds the windows.
        """
        ids, positions, bounds = split_inputs(target, shape)
        lengths = np.fromiter((len(window) for window in windows), np.int32, len(windows))
        ends = np.cumsum(lengths, dtype=np.int32)
        tokens = int(ends[-1])
        np.concatenate(windows, out=ids[:tokens])
        ids[tokens:] = self.pad_id
        begins = ends - lengths
        positions[:tokens] = np.arange(self.first_position, self.first_position + tokens)
        positions[:tokens] -= np.repeat(begins, lengths)
        positions[tokens:] = self.first_position
        bounds[0] = 0
        bounds[1 : len(windows) + 1] = ends
        bounds[len(windows) + 1 :] = tokens


def split_inputs(flat: Flat, shape: PassShape) -> tuple[Flat, Flat, Flat]:
    """The ids (tokens,), positions (tokens,) and bounds (windows + 1,) in it; nothing is copied."""
    tokens = shape.tokens
    return flat[:tokens], flat[tokens : 2 * tokens], flat[2 * tokens : shape.inputs]
