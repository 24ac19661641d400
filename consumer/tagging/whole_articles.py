"""Scoring a model on whole articles, as the worker sees them: long ones in windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from consumer.tagging.conll import OUTSIDE
from consumer.tagging.scoring import Scores, score_labels
from consumer.tagging.training_data import (
    IGNORED,
    EncodedArticle,
    collate,
    with_special_tokens,
)

#: Sub-words that neighbouring windows of a long article share.
OVERLAP = 128


@dataclass(frozen=True, slots=True)
class CutWindow:
    """Sub-words ``start`` to ``end`` of an article, of which ``keep_start`` to
    ``keep_end`` take their label from this window."""

    start: int
    end: int
    keep_start: int
    keep_end: int


def score_articles(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    articles: Sequence[EncodedArticle],
    max_length: int,
) -> Scores:
    """Scores of the model's labels; a word's label is its first sub-word's.

    Blocks for one forward pass a window of ``max_length`` sub-words, special
    tokens included. The model is left in evaluation mode.
    """
    model.eval()
    gold = [[word.label for word in sentence] for article in articles for sentence in article]
    predicted = [
        labels
        for article in articles
        for labels in predict_article(model, tokenizer, article, max_length)
    ]
    return score_labels(gold, predicted)


@torch.inference_mode()
def predict_article(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    article: EncodedArticle,
    max_length: int,
) -> list[list[str]]:
    """A label for each word of each sentence; O for a word without sub-words."""
    ids = [token for sentence in article for word in sentence for token in word.ids]
    predicted: list[int] = []
    # A window's edge may fall inside a word; only its first sub-word is read.
    overlap = min(OVERLAP, max_length // 4)
    for window in cut_windows(len(ids), max_length - 2, overlap):
        example = with_special_tokens(
            tokenizer,
            ids[window.start : window.end],
            [IGNORED] * (window.end - window.start),
        )
        tokens, mask, _ = collate([example], tokenizer, model.device)
        found = model(input_ids=tokens, attention_mask=mask).logits[0, 1:-1].argmax(-1).tolist()
        predicted += found[window.keep_start - window.start : window.keep_end - window.start]
    sentences: list[list[str]] = []
    position = 0
    for sentence in article:
        labels: list[str] = []
        for word in sentence:
            labels.append(model.config.id2label[predicted[position]] if word.ids else OUTSIDE)
            position += len(word.ids)
        sentences.append(labels)
    return sentences


def cut_windows(length: int, window: int, overlap: int) -> list[CutWindow]:
    """Windows that cover ``length`` sub-words, neighbours sharing ``overlap``.

    A label is taken from the window in which its sub-word stands farther from
    the edge, so the shared part is halved. ``overlap`` is less than ``window``.
    """
    windows: list[CutWindow] = []
    start = 0
    while True:
        end = min(start + window, length)
        last = end == length
        keep_start = start + overlap // 2 if start else 0
        keep_end = length if last else end - (overlap - overlap // 2)
        windows.append(CutWindow(start, end, keep_start, keep_end))
        if last:
            return windows
        start = end - overlap
