"""How the windows of a batch are dealt out to passes, and their answers put together again."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, wait
from heapq import heapreplace

import numpy as np

from consumer.tagging.engine.engine import Answer


def parts(lengths: Sequence[int], most_tokens: int, streams: int = 1) -> list[list[int]]:
    """Indices of windows in groups of about as many tokens each, about `most_tokens` at most.

    The longest are dealt out first, each to the group that has the fewest tokens so far. So all
    groups have about as many tokens. Each has long windows too, whose attention takes longer for
    each token.

    Args:
        lengths: tokens of each window.
        streams: groups that run at a time; their number is a multiple of it, where it can be.
    """
    count = -(-max(1, -(-sum(lengths) // most_tokens)) // streams) * streams
    groups: list[list[int]] = [[] for _ in range(min(count, len(lengths)))]
    loads = [(0, number) for number in range(len(groups))]
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        tokens, number = loads[0]
        groups[number].append(index)
        heapreplace(loads, (tokens + lengths[index], number))
    return [sorted(group) for group in groups]


class CpuPass:
    """Windows under way, a few at a time. Made by `CpuEngine.start`."""

    def __init__(
        self,
        passes: Sequence[Future[Answer]],
        groups: Sequence[Sequence[int]],
        lengths: Sequence[int],
    ) -> None:
        self._passes = passes
        self._groups = groups
        self._lengths = lengths

    def answer(self) -> Answer:
        """See `StartedPass.answer`."""
        # All of them have ended when one fails, so that the next attempt meets none that runs.
        wait(self._passes)
        answers = [one.result() for one in self._passes]
        if len(answers) == 1:
            return answers[0]
        return _in_order(answers, self._groups, self._lengths)


def _in_order(
    answers: Sequence[Answer], groups: Sequence[Sequence[int]], lengths: Sequence[int]
) -> Answer:
    """The answers of groups of windows as one, the windows in their order."""
    ends = np.cumsum(lengths)
    places = np.concatenate(
        [
            np.arange(ends[index] - lengths[index], ends[index])
            for group in groups
            for index in group
        ]
    )
    back = np.empty_like(places)
    back[places] = np.arange(len(places))
    probabilities = [answer.probabilities for answer in answers if answer.probabilities is not None]
    return Answer(
        label_ids=np.concatenate([answer.label_ids for answer in answers])[back],
        scores=np.concatenate([answer.scores for answer in answers])[back],
        probabilities=np.concatenate(probabilities)[back] if probabilities else None,
    )
