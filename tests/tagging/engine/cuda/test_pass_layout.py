"""PassLayout: where the tokens of some windows lie in the array that travels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from consumer.tagging.engine.cuda.pass_layout import PassLayout, PassShape, split_inputs


def windows_of(lengths: list[int]) -> list[NDArray[np.int32]]:
    ids = np.arange(100, 100 + sum(lengths), dtype=np.int32)
    return np.split(ids, np.cumsum(lengths)[:-1])


def written(
    layout: PassLayout, windows: list[NDArray[np.int32]]
) -> tuple[PassShape, list[NDArray[np.int32]]]:
    shape = layout.shape(windows)
    # Whatever an earlier pass left there is written over.
    target = np.full(shape.inputs, -77, dtype=np.int32)
    layout.write(windows, shape, target)
    return shape, list(split_inputs(target, shape))


def test_two_windows_as_they_are_laid_out() -> None:
    shape, (ids, positions, bounds) = written(PassLayout(9, 2), windows_of([3, 2]))
    assert shape == PassShape(tokens=256, windows=16, longest=64)
    assert shape.inputs == 2 * 256 + 17
    assert ids.tolist() == [100, 101, 102, 103, 104] + [9] * 251
    assert positions.tolist() == [2, 3, 4, 2, 3] + [2] * 251
    assert bounds.tolist() == [0, 3] + [5] * 15


@given(
    lengths=st.lists(st.integers(1, 600), min_size=1, max_size=60), first=st.sampled_from((0, 2))
)
def test_each_window_is_between_its_bounds_and_counts_from_its_beginning(
    lengths: list[int], first: int
) -> None:
    windows = windows_of(lengths)
    shape, (ids, positions, bounds) = written(PassLayout(1, first), windows)
    assert len(ids) == len(positions) == shape.tokens
    assert len(bounds) == shape.windows + 1
    assert shape.longest >= max(lengths)
    for window, begin, end in zip(windows, bounds, bounds[1:], strict=False):
        assert np.array_equal(ids[begin:end], window)
        assert positions[begin:end].tolist() == list(range(first, first + len(window)))
    tokens = sum(lengths)
    assert (bounds[len(windows) :] == tokens).all()
    assert (ids[tokens:] == 1).all()
    assert (positions[tokens:] == first).all()


def test_passes_of_about_one_size_have_one_shape() -> None:
    layout = PassLayout(0, 0)
    shapes = {layout.shape(windows_of([length] * 64)) for length in range(241, 257)}
    assert shapes == {PassShape(tokens=16_384, windows=64, longest=256)}
