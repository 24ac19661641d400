"""Running any number of windows in bounded device memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import DeviceFailed, RejectedMessage, first_line
from consumer.tagging.engine.engine import Engine, is_out_of_memory, release_memory
from consumer.tagging.engine.forward_run import ForwardResult, ForwardRun
from consumer.tagging.engine.overlap import StartedPass, Starter
from consumer.tagging.engine.pass_limit import PassLimit
from consumer.tagging.engine.sharing import HoldsSpareMemory, SharesThreads
from consumer.tagging.engine.window_batch import WindowBatch
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.tokenize.encoding import ArticleEncoding

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Started:
    """Windows whose pass is under way, and what it costs in tokens."""

    run: ForwardRun
    group: list[int]
    cost: int
    running: StartedPass


class Forward:
    """Owns the device: forward passes of at most so many tokens, fewer once memory ran out.

    Passes begin and end in order, those of one batch before those of the next. Passes for which
    there was no memory are begun again in halves. On a GPU memory is given out when a pass is
    started, so they are begun at once. On a CPU a pass finds out while it runs whether there is
    memory, so they are begun behind those that have begun meanwhile.

    Args:
        batch_tokens: most tokens of a pass; a single longer window is a pass of its own.
        outputs: outputs of the classifier where all probabilities are wanted, else 0.
        reads_all: whether every token's answer is read, or only that of the first of a unit.
    """

    def __init__(
        self,
        model: LoadedModel,
        engine: Engine,
        batch_tokens: int,
        outputs: int = 0,
        reads_all: bool = True,
    ) -> None:
        self._model = model
        self._engine = engine
        self._starter = Starter(engine)
        self._limit = PassLimit(batch_tokens)
        self._longest_fitted = 0
        self._outputs = outputs
        # An engine that answers for all tokens need not be told: that takes time between passes.
        self._reads_all = reads_all or not engine.skips_unread
        self._prefix = np.array(model.prefix_ids, dtype=np.int32)
        self._suffix = np.array(model.suffix_ids, dtype=np.int32)
        self._under_way: deque[_Started] = deque()
        self._latest: ForwardRun | None = None
        self._neighbours: tuple[Forward, ...] = ()

    @property
    def limit_tokens(self) -> int:
        """Most tokens that a pass has now."""
        return self._limit.tokens

    @property
    def overlaps(self) -> bool:
        """Whether passes that have begun are computed while the host does something else."""
        return self._starter.passes > 1

    def run(
        self, articles: Sequence[ArticleEncoding], progress: Callable[[], None]
    ) -> ForwardResult:
        """`begin` and `finish`."""
        return self.finish(self.begin(articles, progress))

    def begin(
        self, articles: Sequence[ArticleEncoding], progress: Callable[[], None]
    ) -> ForwardRun:
        """Start as many passes as may be under way at once. It waits for passes of earlier batches
        that take their room, never for its own.

        Args:
            progress: called after every pass.

        Raises:
            DeviceFailed: a pass, perhaps an earlier batch's, failed for a reason that is not in the
                articles.
        """
        starter = self._starter
        pads = self._engine.pads
        windows = WindowBatch(
            articles,
            self._prefix,
            self._suffix,
            longest_first=pads,
            reads_all=self._reads_all,
        )
        run = ForwardRun(windows, self._outputs, pads, progress)
        if self._latest is not None:
            self._start_all(self._latest)
        self._latest = run
        while run.pending and run.passes < starter.passes:
            self._start_next(run)
        return run

    def finish(self, run: ForwardRun) -> ForwardResult:
        """Run what is left of a batch; blocks until all of it is here.

        Raises:
            DeviceFailed: as `begin`.
        """
        while run.pending or run.passes:
            self._start_all(run)
            if run.passes:
                self._collect()
        if self._latest is run:
            self._latest = None
        return run.result()

    def await_room(self) -> None:
        """Where passes overlap, block until a pass of another batch would be computed as soon as
        it is begun. Then all passes of the latest batch have begun, and none waits for others.

        Raises:
            DeviceFailed: as `begin`.
        """
        if self.overlaps and self._latest is not None:
            self._start_all(self._latest)
            self._starter.await_room()

    def _start_all(self, run: ForwardRun) -> None:
        while run.pending:
            self._start_next(run)

    def _start_next(self, run: ForwardRun) -> None:
        """Start the next pass, when there is room for it."""
        while len(self._under_way) >= self._starter.passes:
            self._collect()
        group, cost = run.take(self._limit.tokens)
        if not group:
            return
        is_read = run.windows.is_read(group) if self._engine.skips_unread else None
        ids = run.windows.ids(group)
        running = self._with_memory(lambda: self._starter.start(ids, is_read))
        if running is not None:
            run.passes += 1
            self._under_way.append(_Started(run, group, cost, running))
        else:
            self._had_no_memory(run, group, cost)

    def _collect(self) -> None:
        """Wait for the oldest pass and keep its answer."""
        started = self._under_way.popleft()
        run = started.run
        run.passes -= 1
        answer = self._with_memory(started.running.answer)
        if answer is None:
            self._had_no_memory(run, started.group, started.cost)
            return
        run.computed_tokens += started.cost
        run.keep(started.group, answer)
        self._limit.fitted(started.cost)
        longest = max([run.windows.lengths[window] for window in started.group])
        self._longest_fitted = max(self._longest_fitted, longest)
        run.progress()

    def _with_memory(self, call: Callable[[], T]) -> T | None:
        """What a call on the device gives, or None where memory ran out."""
        try:
            return call()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise self._failed(error) from error
        # Out here the error is gone, and with it the frames that hold the tensors.
        release_memory(self._model)
        return None

    def _had_no_memory(self, run: ForwardRun, group: list[int], cost: int) -> None:
        """Let windows be run again in smaller passes; one that was alone, in all the memory that
        there is, is rejected."""
        if len(group) == 1 and self._made_room():
            run.take_back(group)
        elif len(group) == 1:
            run.reject(group[0], self._without_memory(run.windows.lengths[group[0]]))
        else:
            self._limit.ran_out(cost)
            run.put_back(group)
        run.progress()

    def _made_room(self) -> bool:
        """Whether more memory is free than before: passes under way have ended or, where there were
        none, engines of other models have given back what they hold only to be faster."""
        busy = [one for one in (self, *self._neighbours) if one._under_way]
        for one in busy:
            while one._under_way:
                one._collect()
        if busy:
            release_memory(self._model)
            return True
        engines = [one._engine for one in self._neighbours]
        return any(one.give_back() for one in engines if isinstance(one, HoldsSpareMemory))

    def _failed(self, error: RuntimeError) -> DeviceFailed:
        """After most of its errors CUDA refuses every later call: a device-side assert, an illegal
        address, memory that cannot be corrected. So no article is known to be the reason, neither
        of these nor a neighbour."""
        return DeviceFailed(f"a forward pass failed on {self._model.device}: {first_line(error)}")

    def _without_memory(self, tokens: int) -> RejectedMessage:
        """Why an article cannot be tagged: a window of so many tokens, alone, found no memory."""
        if tokens <= self._longest_fitted:
            raise DeviceFailed(
                f"{self._model.device} has no memory left for a window of {tokens} tokens, "
                f"though it had for one of {self._longest_fitted}; something else takes it: give "
                "the worker a device to itself"
            )
        return RejectedMessage(
            RejectCode.OUT_OF_MEMORY,
            f"the device has no memory for a window of {tokens} tokens; "
            "give the worker a device with more memory, or to itself",
        )


def share_device(forwards: Sequence[Forward]) -> None:
    """Let models run beside each other on one device: on a CPU in the same threads, since two
    threads on a core would take its caches from each other. A window that finds no memory is tried
    again when the others' passes have ended. One thread uses them all.
    """
    first: SharesThreads | None = None
    for forward in forwards:
        forward._neighbours = tuple(other for other in forwards if other is not forward)
        engine = forward._engine
        if not isinstance(engine, SharesThreads):
            continue
        if first is None:
            first = engine
        else:
            engine.share_threads(first)
