"""What comes back from the device is what the engine of a CPU says of the same logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from consumer.tagging.engine.cuda.reduction import read_answer, reduce_logits, reduced_height
from consumer.tagging.engine.engine import answer_of


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("with_probabilities", [False, True])
def test_a_reduced_answer_is_the_answer(dtype: torch.dtype, with_probabilities: bool) -> None:
    logits = (torch.randn(300, 9, generator=torch.Generator().manual_seed(1)) * 4).to(dtype)
    logits[7, 3] = torch.nan
    logits[8, 8] = torch.inf
    logits[9] = 1.0  # a tie
    logits[10, 2] = -torch.inf  # the others' probabilities are numbers
    expected = answer_of(logits[:260], with_probabilities)
    reduced = reduce_logits(logits, with_probabilities)
    assert reduced.shape == (reduced_height(9, with_probabilities), 300)
    assert reduced.dtype == torch.int32
    answer = read_answer(reduced.numpy(), 260)
    assert answer.label_ids.dtype == np.int16
    assert np.array_equal(answer.label_ids, expected.label_ids)
    assert np.array_equal(answer.scores, expected.scores, equal_nan=True)
    assert np.flatnonzero(np.isnan(answer.scores)).tolist() == [7, 8, 10]
    if with_probabilities:
        assert answer.probabilities is not None
        assert expected.probabilities is not None
        assert answer.probabilities.shape == (260, 9)
        assert np.array_equal(answer.probabilities, expected.probabilities, equal_nan=True)
    else:
        assert answer.probabilities is None


def test_an_answer_outlives_the_memory_that_it_was_read_from() -> None:
    reduced = reduce_logits(torch.eye(4) * 9, True).numpy()
    answer = read_answer(reduced, 4)
    reduced[:] = 0
    assert answer.label_ids.tolist() == [0, 1, 2, 3]
    assert answer.scores.min() > 0.9
    assert answer.probabilities is not None
    assert answer.probabilities.diagonal().min() > 0.9
