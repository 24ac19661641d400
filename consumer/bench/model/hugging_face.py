"""The token-classification pipeline of transformers, in float32, at its best batch size."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import transformers
from transformers import AutoTokenizer

from consumer.bench.model.contest import Clock
from consumer.tagging.model.loaded_model import LoadedModel

#: Batch sizes that are tried; a larger one fills more up.
BATCH_SIZES = (1, 4, 16, 32)

_OVERLAP_TOKENS = 128


class HuggingFacePipeline:
    """The pipeline on texts, as a person would call it; tokenising is part of it.

    Args:
        model: float32, as transformers made it.
        folder: where its tokenizer is.
        clock: what counts the seconds.
    """

    def __init__(self, model: LoadedModel, folder: str, clock: Clock) -> None:
        self._clock = clock
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, model_max_length=model.max_tokens
        )
        self._pipeline: Any = transformers.pipeline(
            "token-classification",
            model=model.network,
            tokenizer=tokenizer,
            aggregation_strategy="simple",
            stride=_OVERLAP_TOKENS,
            device=-1,
        )
        self.batch_size = BATCH_SIZES[0]

    def choose_batch_size(self, texts: Sequence[str]) -> None:
        """Take the size that is fastest on these texts."""
        sizes = [size for size in BATCH_SIZES if size <= len(texts)]
        self.batch_size = min(sizes, key=lambda size: self.seconds(texts, size))

    def seconds(self, texts: Sequence[str], batch_size: int = 0) -> float:
        """Seconds for all texts."""
        begin = self._clock()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._pipeline(list(texts), batch_size=batch_size or self.batch_size)
        return self._clock() - begin
