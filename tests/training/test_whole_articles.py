"""Labels for whole articles, window by window."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import (
    AutoModelForTokenClassification,
    PreTrainedTokenizerFast,
)

from consumer.training.data import (
    encode_articles,
)
from consumer.training.whole_articles import cut_windows, predict_articles
from tests.support.models.training_base import LABELS, articles


@pytest.mark.parametrize("length", [0, 1, 62, 63, 100, 500])
def test_windows_give_each_sub_word_one_label_far_from_the_edge(length: int) -> None:
    windows = cut_windows(length, 62, 16)
    kept = [index for w in windows for index in range(w.keep_start, w.keep_end)]
    assert kept == list(range(length))
    for window in windows:
        assert window.end - window.start <= 62
        assert window.keep_start - window.start >= (8 if window.start else 0)
        assert window.end - window.keep_end >= (8 if window.end < length else 0)


def test_a_long_article_gets_a_label_for_each_word(
    base_model: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = AutoModelForTokenClassification.from_pretrained(base_model, num_labels=5)
    model.config.id2label = dict(enumerate(LABELS))
    first, second = encode_articles(tokenizer, articles())
    both = predict_articles(model.eval(), tokenizer, [second, first * 9], 64)
    assert [[len(labels) for labels in article] for article in both] == [[4, 4], [6, 2] * 9]
    # Which windows share a pass changes nothing.
    assert predict_articles(model, tokenizer, [first * 9], 64) == both[1:]
