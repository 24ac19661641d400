"""Running any number of windows in bounded device memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consumer.errors import DeviceFailed, RejectedMessage, first_line
from consumer.rejections import RejectCode
from consumer.tagging.encoding import ArticleEncoding, FieldEncoding
from consumer.tagging.engine import Answer, Engine, is_out_of_memory, release_memory
from consumer.tagging.entities import Predictions
from consumer.tagging.model import LoadedModel
from consumer.tagging.overlap import StartedPass, Starter
from consumer.tagging.pass_limit import PassLimit
from consumer.tagging.windows import END, OWN_END, OWN_START, START


@dataclass(frozen=True, slots=True)
class _Window:
    """One row of a field's windows: tokens `start` to `end` are run, the owned ones are kept."""

    article: int
    field: int
    start: int
    end: int
    own_start: int
    own_end: int
    length: int


@dataclass(frozen=True, slots=True)
class _Started:
    """Windows whose pass is under way, and what it costs in tokens."""

    group: list[_Window]
    cost: int
    running: StartedPass


@dataclass(frozen=True, slots=True)
class ForwardResult:
    """What came of one call of `Forward.run`.

    Attributes:
        answers: for each article the predictions of its fields, or why there are none.
        computed_tokens: tokens of the forward passes that succeeded, padding included.
        out_of_memory_splits: how often windows had to be run in halves.
    """

    answers: list[list[Predictions] | RejectedMessage]
    computed_tokens: int
    out_of_memory_splits: int


class Forward:
    """Owns the device: forward passes of at most so many tokens, fewer once memory ran out.

    Args:
        batch_tokens: most tokens of a pass; a single longer window is a pass of its own.
        outputs: outputs of the classifier where all probabilities are wanted, else 0.
    """

    def __init__(
        self, model: LoadedModel, engine: Engine, batch_tokens: int, outputs: int = 0
    ) -> None:
        self._model = model
        self._engine = engine
        self._limit = PassLimit(batch_tokens)
        self._longest_fitted = 0
        self._outputs = outputs
        self._prefix = np.array(model.prefix_ids, dtype=np.int32)
        self._suffix = np.array(model.suffix_ids, dtype=np.int32)

    @property
    def limit_tokens(self) -> int:
        """Most tokens that a pass has now."""
        return self._limit.tokens

    def run(
        self, articles: Sequence[ArticleEncoding], progress: Callable[[], None]
    ) -> ForwardResult:
        """Run all windows of all articles; `progress` is called after every pass.

        Raises:
            DeviceFailed: a pass failed for a reason that is not in the articles.
        """
        pending = self._windows(articles)
        predictions = [[self._blank(field) for field in article.fields] for article in articles]
        rejected: dict[int, RejectedMessage] = {}
        under_way: deque[_Started] = deque()
        starter = Starter(self._engine)
        enough_tokens = starter.enough_tokens(sum(window.length for window in pending))
        computed_tokens = splits = 0
        while pending or under_way:
            group, cost = self._take(pending, rejected, enough_tokens)
            if group:
                running = self._start(starter, [self._ids(articles, window) for window in group])
                if running is not None:
                    under_way.append(_Started(group, cost, running))
                elif len(group) == 1:
                    rejected[group[0].article] = self._without_memory(group[0])
                else:
                    splits += 1
                    self._limit.ran_out(cost)
                    pending.extendleft(reversed(group))
                if running is None:
                    progress()
            # The last passes, when there is nothing more to start.
            while under_way and (len(under_way) >= starter.passes or not pending):
                started = under_way.popleft()
                answer = self._answer(started)
                computed_tokens += started.cost
                self._limit.fitted(started.cost)
                self._longest_fitted = max(
                    self._longest_fitted, *(window.length for window in started.group)
                )
                self._keep(started.group, answer, predictions, rejected)
                progress()
        answers: list[list[Predictions] | RejectedMessage] = [
            rejected.get(index, fields) for index, fields in enumerate(predictions)
        ]
        return ForwardResult(answers, computed_tokens, splits)

    def _windows(self, articles: Sequence[ArticleEncoding]) -> deque[_Window]:
        special_tokens = self._model.special_tokens
        windows = [
            _Window(
                article_index,
                field_index,
                int(row[START]),
                int(row[END]),
                int(row[OWN_START]),
                int(row[OWN_END]),
                int(row[END] - row[START]) + special_tokens,
            )
            for article_index, article in enumerate(articles)
            for field_index, field in enumerate(article.fields)
            for row in field.windows
        ]
        if self._engine.pads:
            windows.sort(key=lambda window: window.length, reverse=True)
        return deque(windows)

    def _blank(self, field: FieldEncoding) -> Predictions:
        count = len(field.ids)
        return Predictions(
            label_ids=np.zeros(count, dtype=np.int16),
            scores=np.zeros(count, dtype=np.float32),
            rows=np.zeros((count, self._outputs), dtype=np.float32) if self._outputs else None,
        )

    def _take(
        self, pending: deque[_Window], rejected: dict[int, RejectedMessage], enough_tokens: int
    ) -> tuple[list[_Window], int]:
        """The next windows that fit together and are enough, and their cost. There is one at the
        least, unless all that remain are of rejected articles."""
        group: list[_Window] = []
        tokens = longest = cost = 0
        while pending:
            window = pending[0]
            if window.article in rejected:
                pending.popleft()
                continue
            tokens += window.length
            longest = max(longest, window.length)
            next_cost = longest * (len(group) + 1) if self._engine.pads else tokens
            if group and (next_cost > self._limit.tokens or cost >= enough_tokens):
                break
            cost = next_cost
            group.append(pending.popleft())
        return group, cost

    def _ids(self, articles: Sequence[ArticleEncoding], window: _Window) -> NDArray[np.int32]:
        ids = articles[window.article].fields[window.field].ids
        return np.concatenate((self._prefix, ids[window.start : window.end], self._suffix))

    def _start(self, starter: Starter, windows: Sequence[NDArray[np.int32]]) -> StartedPass | None:
        """The pass, or None where memory ran out."""
        try:
            return starter.start(windows)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise self._failed(error) from error
        # Out here the error is gone, and with it the frames that hold the tensors.
        release_memory(self._model)
        return None

    def _answer(self, started: _Started) -> Answer:
        try:
            return started.running.answer()
        except RuntimeError as error:
            # Memory is given out when a pass is started; what fails later is the device.
            raise self._failed(error) from error

    def _failed(self, error: RuntimeError) -> DeviceFailed:
        """CUDA refuses every later call after most of its errors (a device-side assert, an illegal
        address, memory that cannot be corrected): none of these articles, and no neighbour, is
        known to be the reason."""
        return DeviceFailed(f"a forward pass failed on {self._model.device}: {first_line(error)}")

    def _without_memory(self, window: _Window) -> RejectedMessage:
        """Why an article cannot be tagged whose window, alone, found no memory."""
        if window.length <= self._longest_fitted:
            raise DeviceFailed(
                f"{self._model.device} has no memory left for a window of {window.length} tokens, "
                f"though it had for one of {self._longest_fitted}; something else takes it: give "
                "the worker a device to itself"
            )
        return RejectedMessage(
            RejectCode.OUT_OF_MEMORY,
            f"the device has no memory for a window of {window.length} tokens; "
            "give the worker a device with more memory, or to itself",
        )

    def _keep(
        self,
        group: Sequence[_Window],
        answer: Answer,
        predictions: Sequence[Sequence[Predictions]],
        rejected: dict[int, RejectedMessage],
    ) -> None:
        """Put the owned tokens of each window in their places."""
        at = 0
        for window in group:
            if np.isnan(answer.scores[at : at + window.length]).any():
                rejected[window.article] = RejectedMessage(
                    RejectCode.NOT_A_NUMBER,
                    "the model answered with logits that are not finite numbers; "
                    "try --dtype float32, and tag the article on its own to see it again",
                )
            begin = at + len(self._prefix) + window.own_start - window.start
            source = slice(begin, begin + window.own_end - window.own_start)
            target = slice(window.own_start, window.own_end)
            field = predictions[window.article][window.field]
            field.label_ids[target] = answer.label_ids[source]
            field.scores[target] = answer.scores[source]
            if field.rows is not None and answer.rows is not None:
                field.rows[target] = answer.rows[source]
            at += window.length
