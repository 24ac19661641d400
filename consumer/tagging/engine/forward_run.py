"""ForwardRun: how far the windows of a batch of articles have come; it never touches the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.tagging.engine.engine import Answer
from consumer.tagging.engine.window_batch import WindowBatch
from consumer.tagging.entities import Predictions


@dataclass(frozen=True, slots=True, eq=False)
class ForwardResult:
    """What came of the windows of a batch of articles.

    Attributes:
        predictions: what the model says of the tokens of all fields of all articles, end to end;
            zeros for those of rejected articles.
        rejected: why articles have no predictions, by their number.
        computed_tokens: tokens of the forward passes that succeeded, padding included.
        out_of_memory_splits: how often windows had to be run in halves.
    """

    predictions: Predictions
    rejected: dict[int, RejectedMessage]
    computed_tokens: int
    out_of_memory_splits: int


class ForwardRun:
    """Hands out windows pass by pass and keeps what comes back.

    Attributes:
        windows: all of the batch.
        progress: called after every pass.
        passes: those under way.
        computed_tokens, splits: as in `ForwardResult`, so far.

    Args:
        outputs: outputs of the classifier where all probabilities are wanted, else 0.
        pads: see `Engine.pads`.
    """

    def __init__(
        self,
        windows: WindowBatch,
        outputs: int,
        pads: bool,
        progress: Callable[[], None],
    ) -> None:
        self.windows = windows
        self.progress = progress
        self.passes = 0
        self.computed_tokens = 0
        self.splits = 0
        self._pads = pads
        self._order = list(range(len(windows.lengths)))
        self._next = 0
        self._rejected: dict[int, RejectedMessage] = {}
        self._predictions = Predictions(
            label_ids=np.zeros(windows.tokens, dtype=np.int16),
            scores=np.zeros(windows.tokens, dtype=np.float32),
            probabilities=np.zeros((windows.tokens, outputs), dtype=np.float32)
            if outputs
            else None,
        )

    @property
    def pending(self) -> bool:
        """Whether windows wait for their pass."""
        return self._next < len(self._order)

    def take(self, limit_tokens: int) -> tuple[list[int], int]:
        """The next windows that fit together, and their cost in tokens. At least one, unless all
        that remain are of rejected articles."""
        lengths, articles = self.windows.lengths, self.windows.articles
        group: list[int] = []
        tokens = longest = cost = 0
        for place in range(self._next, len(self._order)):
            window = self._order[place]
            if articles[window] in self._rejected:
                continue
            tokens += lengths[window]
            longest = max(longest, lengths[window])
            next_cost = longest * (len(group) + 1) if self._pads else tokens
            if group and next_cost > limit_tokens:
                self._next = place
                return group, cost
            cost = next_cost
            group.append(window)
        self._next = len(self._order)
        return group, cost

    def put_back(self, group: Sequence[int]) -> None:
        """Let windows be run in halves, before all that wait: they were taken, and did not run."""
        self.splits += 1
        self.take_back(group)

    def take_back(self, group: Sequence[int]) -> None:
        """Let windows be taken as they were, before all that wait: they did not run."""
        self._order[self._next : self._next] = group

    def reject(self, window: int, rejection: RejectedMessage) -> None:
        """Reject the article of a window; its other windows are of no use."""
        self._rejected[self.windows.articles[window]] = rejection

    def keep(self, group: Sequence[int], answer: Answer) -> None:
        """Put the answers of the tokens that windows own in their places; reject what has none.

        Args:
            answer: that of a pass of just these windows.
        """
        not_finite = np.isnan(answer.scores)
        if not_finite.any():
            of_window = np.logical_or.reduceat(not_finite, self.windows.begins(group))
            for place in np.flatnonzero(of_window).tolist():
                self.reject(group[place], _not_a_number())
        source, target = self.windows.places(group)
        kept = self._predictions
        kept.label_ids[target] = answer.label_ids[source]
        kept.scores[target] = answer.scores[source]
        if kept.probabilities is not None and answer.probabilities is not None:
            kept.probabilities[target] = answer.probabilities[source]

    def result(self) -> ForwardResult:
        """What came of it, when no window waits and no pass is under way."""
        for article in self._rejected:
            own = self.windows.tokens_of(article)
            self._predictions.label_ids[own] = 0
            self._predictions.scores[own] = 0.0
            if self._predictions.probabilities is not None:
                self._predictions.probabilities[own] = 0.0
        return ForwardResult(self._predictions, self._rejected, self.computed_tokens, self.splits)


def _not_a_number() -> RejectedMessage:
    return RejectedMessage(
        RejectCode.NOT_A_NUMBER,
        "the model answered with logits that are not finite numbers; "
        "try --dtype float32, and tag the article on its own to see it again",
    )
