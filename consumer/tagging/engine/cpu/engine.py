"""The engine of a CPU: passes that fit its caches, and layers in the form that it computes best."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from consumer.tagging.engine.cpu.layers.packed_layer import PackedLayer
from consumer.tagging.engine.cpu.layers.row_blocks import WHOLE
from consumer.tagging.engine.cpu.pass_threads import PassThreads
from consumer.tagging.engine.cpu.passes import CpuPass, parts
from consumer.tagging.engine.cpu.steady_rows import steady_rows
from consumer.tagging.engine.encoder_layers import find_layers
from consumer.tagging.engine.engine import Answer, PackedEngine, answer_of
from consumer.tagging.model.loaded_model import LoadedModel

#: Values of the widest activations of one pass through the layers, those of the feed-forward part.
#: They are 25 MB in bfloat16, 4,096 tokens of a base model. Smaller passes read the weights more
#: often, and each has new shapes that oneDNN prepares for. Larger ones gain nothing more.
PART_VALUES = 4_096 * 3_072

#: The same in 16 bits, whose kernel takes the weights a block of tokens at a time in any pass.
#: 12 MB stay in the caches, and were 5 to 15 % faster than 50 for a small model. For a base model
#: passes of any length are alike.
INT16_PART_VALUES = 2_048 * 1_536

_log = logging.getLogger(__name__)


def make_cpu_engine(
    model: LoadedModel, with_probabilities: bool, replace_layers: Callable[[], None] | None
) -> CpuEngine:
    """The engine for a model on a CPU. Blocks.

    Args:
        model: one whose attention can be packed, see `can_pack`.
        with_probabilities: whether answers hold all probabilities.
        replace_layers: puts packed layers in the place of the model's own; None keeps those.
    """
    if replace_layers is not None:
        # Before they are replaced, which is done in place.
        layers = find_layers(model.network)
        replace_layers()
        assert layers is not None
        last = layers[-1]
        assert isinstance(last, PackedLayer)
        last.is_last = True
    engine = CpuEngine(model, with_probabilities, is_fused=replace_layers is not None)
    engine.steady()
    return engine


class CpuEngine(PackedEngine):
    """Windows laid end to end, a few at a time, by a thread for each core.

    Fulfils `consumer.tagging.engine.overlap.OverlappingEngine`, so that no core waits for another
    between batches.

    Each pass is one thread's own. Threads that share a pass wait for each other two hundred times
    in it: on a machine that has anything else to do, even reading from Kafka, they mostly wait.

    Args:
        model: on the CPU.
        with_probabilities: as `make_cpu_engine`.
        is_fused: whether its layers are packed ones, whose last leaves out what nobody reads.
    """

    def __init__(self, model: LoadedModel, with_probabilities: bool, is_fused: bool) -> None:
        super().__init__(model, with_probabilities)
        self.skips_unread = is_fused
        self.is_exact = False
        self._blocks = WHOLE
        self._part_tokens = part_tokens(model)
        self._threads = torch.get_num_threads()
        self._streams = PassThreads(self._threads)
        self._latest: list[Future[Answer]] = []

    def steady(self) -> None:
        """Make a window's answer independent of the number of tokens in its pass, see
        `steady_rows`, and log where it is not. Blocks for a few matmuls of each kind."""
        name = self._model.info.name
        blocks = steady_rows(self._model.network, self._part_tokens, self._streams.map)
        self.is_exact = blocks is not None
        self._blocks = blocks or WHOLE
        if blocks is None:
            _log.warning(
                "model %s: on this processor the last digits of a score depend on what else is in "
                "the batch, in %s; see docs/reference/accuracy.md",
                name,
                self._model.info.dtype,
            )
        elif blocks != WHOLE:
            _log.info(
                "model %s: passes are filled up to one of %d numbers of tokens, from %d to %d",
                name,
                len(blocks.sizes),
                blocks.sizes[0],
                blocks.sizes[-1],
            )

    def run(
        self, windows: Sequence[NDArray[np.int32]], is_read: NDArray[np.bool_] | None = None
    ) -> Answer:
        return self.start(windows, is_read).answer()

    def start(
        self, windows: Sequence[NDArray[np.int32]], is_read: NDArray[np.bool_] | None = None
    ) -> CpuPass:
        """See `OverlappingEngine.start`. Whether there is memory turns out later."""
        lengths = [len(window) for window in windows]
        groups = parts(lengths, self._part_tokens, self._threads)
        dealt = [[windows[index] for index in group] for group in groups]
        flags: list[NDArray[np.bool_] | None] = [None] * len(groups)
        if is_read is not None:
            of_window = np.split(is_read, np.cumsum(lengths)[:-1])
            flags = [np.concatenate([of_window[index] for index in group]) for group in groups]
        self._latest = [
            self._streams.submit(self._pass, *one) for one in zip(dealt, flags, strict=True)
        ]
        return CpuPass(self._latest, groups, lengths)

    def await_room(self) -> None:
        """See `OverlappingEngine.await_room`: what was begun last waits for no thread."""
        waiting = max(0, len(self._latest) - self._threads)
        for _ in islice(as_completed(self._latest), waiting):
            pass

    def share_threads(self, other: object) -> None:
        """See `consumer.tagging.engine.sharing.SharesThreads`."""
        if isinstance(other, CpuEngine) and other is not self:
            self._streams.shutdown()
            self._streams = other._streams

    @torch.inference_mode()
    def _pass(
        self, windows: Sequence[NDArray[np.int32]], is_read: NDArray[np.bool_] | None
    ) -> Answer:
        """One pass. Its last layer needs keys and values of all tokens. The rest of that layer is a
        tenth of a pass of six layers, and is left out for tokens that nobody reads. Those are a
        third: the later parts of words, and what windows share."""
        tokens = sum(map(len, windows))
        filling = self._blocks.filled(tokens) - tokens
        if is_read is None or not self.skips_unread:
            return _first(super().run([*windows, *self._filling(filling)]), tokens)
        read = np.flatnonzero(is_read)
        kept = self._blocks.filled(max(1, len(read)))
        # Rows that fill up are of a window of their own. In an article's window their number
        # would depend on its company.
        if not filling and kept > len(read):
            filling = self._blocks.filled(tokens + 1) - tokens
        rows = np.full(kept, tokens + filling - 1)
        rows[: len(read)] = read
        logits = self._logits(
            [*windows, *self._filling(filling)], kept_tokens=torch.from_numpy(rows)
        )
        return _spread(answer_of(logits[: len(read)], self._with_probabilities), read, tokens)

    def _filling(self, tokens: int) -> list[NDArray[np.int32]]:
        """Windows of so many tokens together, which nobody reads. Libraries compute a matmul of few
        rows in another way than one of many. oneDNN prepares anew for each number of rows that it
        has not met lately."""
        filling = np.zeros(tokens, dtype=np.int32)
        longest = self._model.max_tokens
        return [filling[start : start + longest] for start in range(0, tokens, longest)]


def part_tokens(model: LoadedModel, dtype: str | None = None) -> int:
    """Most tokens of one pass through a model's layers.

    Args:
        dtype: in which precision; None for the model's own.
    """
    config = model.network.config
    widest = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
    is_int16 = (dtype or model.info.dtype) == "int16"
    return max(1, (INT16_PART_VALUES if is_int16 else PART_VALUES) // int(widest))


def _first(answer: Answer, tokens: int) -> Answer:
    """That of the first tokens."""
    probabilities = None if answer.probabilities is None else answer.probabilities[:tokens]
    return Answer(answer.label_ids[:tokens], answer.scores[:tokens], probabilities)


def _spread(answer: Answer, places: NDArray[np.intp], tokens: int) -> Answer:
    """The answer of some tokens in their places among all; zeros in the others."""
    label_ids, scores = np.zeros(tokens, np.int16), np.zeros(tokens, np.float32)
    label_ids[places], scores[places] = answer.label_ids, answer.scores
    probabilities = None
    if answer.probabilities is not None:
        probabilities = np.zeros((tokens, answer.probabilities.shape[1]), np.float32)
        probabilities[places] = answer.probabilities
    return Answer(label_ids, scores, probabilities)
