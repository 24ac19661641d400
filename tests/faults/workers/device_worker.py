"""`nerstream run` on a device that fails: `python -m tests.faults.workers.device_worker FLAGS`.

All is the command's own, the model too, but for a device that does what these variables say; one
that is not set does nothing. A word is found in a text by its tokens, so it must be one that the
model's vocabulary can spell.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from consumer import app, cli
from consumer.settings.schema import Settings
from consumer.tagging.engine.engine import Answer, Engine
from consumer.tagging.engine.overlap import Starter
from consumer.tagging.tagger import Tagger
from consumer.telemetry.metrics import Metrics

#: Tokens that the device has memory for in one pass.
FITS_TOKENS = "FAULT_FITS_TOKENS"
#: A text with this word in it has logits that are not numbers.
NAN_WORD = "FAULT_NAN_WORD"
#: A pass with this word in it never ends.
HANG_WORD = "FAULT_HANG_WORD"
#: A pass with this word in it breaks the device.
BREAK_WORD = "FAULT_BREAK_WORD"


class FailingDevice:
    """An `OverlappingEngine` on a device that fails, when it is asked for the answer.

    Args:
        engine: does what does not fail.
        words: tokens of the word that the variable of this name asks for.
        fits_tokens: as `FITS_TOKENS`; None for a device that always has memory.
    """

    def __init__(
        self, engine: Engine, words: Mapping[str, Sequence[int]], fits_tokens: int | None
    ) -> None:
        self._engine = engine
        self._words = words
        self._fits_tokens = fits_tokens
        self.pads, self.skips_unread = engine.pads, engine.skips_unread
        self.is_exact = engine.is_exact

    def start(
        self, windows: Sequence[NDArray[np.int32]], is_read: NDArray[np.bool_] | None = None
    ) -> _Begun:
        return _Begun(partial(self.run, windows, is_read))

    def await_room(self) -> None:
        """There is."""

    def run(
        self, windows: Sequence[NDArray[np.int32]], is_read: NDArray[np.bool_] | None = None
    ) -> Answer:
        if self._fits_tokens is not None and sum(map(len, windows)) > self._fits_tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if any(self._has(BREAK_WORD, window) for window in windows):
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        if any(self._has(HANG_WORD, window) for window in windows):
            threading.Event().wait()
        answer = self._engine.run(windows, is_read)
        start = 0
        for window in windows:
            if self._has(NAN_WORD, window):
                answer.scores[start : start + len(window)] = np.nan
            start += len(window)
        return answer

    def _has(self, name: str, window: NDArray[np.int32]) -> bool:
        word = list(self._words.get(name, ()))
        ids = window.tolist()
        return bool(word) and any(
            ids[at : at + len(word)] == word for at in range(len(ids) - len(word) + 1)
        )


class _Begun:
    def __init__(self, run: Callable[[], Answer]) -> None:
        self.answer = run


def put_on_failing_device(tagger: Tagger, variables: Mapping[str, str]) -> Tagger:
    """Have the tagger's model run on a device that fails as the variables say."""
    spell = tagger._model.tokenizer.encode
    words = {
        name: spell(variables[name], add_special_tokens=False).ids
        for name in (NAN_WORD, HANG_WORD, BREAK_WORD)
        if name in variables
    }
    fits = variables.get(FITS_TOKENS)
    forward = tagger._forward
    device = FailingDevice(forward._engine, words, None if fits is None else int(fits))
    forward._starter = Starter(device)
    return tagger


def main() -> int:
    """The exit code of the command."""
    load = app.load_tagger

    def load_on_failing_device(
        settings: Settings, metrics: Metrics, signals: Callable[[], int] = lambda: 0
    ) -> Tagger:
        tagger = load(settings, metrics, signals)
        assert isinstance(tagger, Tagger)
        return put_on_failing_device(tagger, os.environ)

    app.load_tagger = load_on_failing_device
    return cli.main(["run", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
