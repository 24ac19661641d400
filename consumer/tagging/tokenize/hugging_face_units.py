"""What Hugging Face's token-classification pipeline takes for a word, as a rule on arrays.

The strategies `first`, `average` and `max` must give that pipeline's answers, so their words are
its words, not those of `consumer.tagging.tokenize.words`. Some tokenizers mark the tokens that
continue a word (WordPiece's `##`). There a token continues one if its name is longer or shorter
than the text it covers. Elsewhere it does if no space stands at its first character or before it.
An unknown token is always a word of its own. (transformers, pipelines/token_classification.py,
gather_pre_entities.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from consumer.tagging.tokenize.encoding import UnitRule


def every_token(
    ids: NDArray[np.int32],
    _starts: NDArray[np.int32],
    _ends: NDArray[np.int32],
    _points: NDArray[np.uint32],
) -> NDArray[np.bool_]:
    """The rule of `none` and `simple`: each token is a unit."""
    return np.ones(len(ids), dtype=np.bool_)


def pipeline_words(tokenizer: Tokenizer, unknown_id: int | None) -> UnitRule:
    """The rule of `first`, `average` and `max` for this tokenizer."""
    unknown = -1 if unknown_id is None else unknown_id
    marks_continuation = bool(getattr(tokenizer.model, "continuing_subword_prefix", None))
    name_lengths = np.zeros(0, dtype=np.int32)
    if marks_continuation:
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        name_lengths = np.zeros(max(vocabulary.values()) + 1, dtype=np.int32)
        for name, token_id in vocabulary.items():
            name_lengths[token_id] = len(name)

    def rule(
        ids: NDArray[np.int32],
        starts: NDArray[np.int32],
        ends: NDArray[np.int32],
        points: NDArray[np.uint32],
    ) -> NDArray[np.bool_]:
        if marks_continuation:
            continues = name_lengths[ids] != ends - starts
        else:
            # One more place, so that an empty token at the end of the text finds no space there.
            is_space = np.append(points == ord(" "), False)
            continues = (starts > 0) & ~is_space[starts] & ~is_space[np.maximum(starts - 1, 0)]
        begins: NDArray[np.bool_] = ~continues | (ids == unknown)
        return begins

    return rule
