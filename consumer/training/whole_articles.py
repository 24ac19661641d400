"""Scoring a model on whole articles, as the worker sees them: long ones in windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from consumer.contracts.schemes import OUTSIDE
from consumer.evaluation.scoring import Scores, score_labels
from consumer.training.data import (
    IGNORED,
    EncodedArticle,
    collate,
    with_special_tokens,
)

#: Sub-words that neighbouring windows of a long article share.
OVERLAP = 64

#: Windows of one forward pass: enough to fill a few cores.
WINDOWS_A_PASS = 8


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

    Blocks for the forward passes of all windows of ``max_length`` sub-words, special
    tokens included. The model is left in evaluation mode.
    """
    model.eval()
    gold = [[word.label for word in sentence] for article in articles for sentence in article]
    predicted = [
        labels
        for sentences in predict_articles(model, tokenizer, articles, max_length)
        for labels in sentences
    ]
    return score_labels(gold, predicted)


@torch.inference_mode()
def predict_articles(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    articles: Sequence[EncodedArticle],
    max_length: int,
) -> list[list[list[str]]]:
    """A label for each word of each sentence of each article; O for a word without sub-words."""
    # A window's edge may fall inside a word; only its first sub-word is read.
    overlap = min(OVERLAP, max_length // 4)
    ids = [
        [token for sentence in article for word in sentence for token in word.ids]
        for article in articles
    ]
    windows = [
        (index, window)
        for index, tokens in enumerate(ids)
        for window in cut_windows(len(tokens), max_length - 2, overlap)
    ]
    # Windows of like length together, so that little is padding.
    windows.sort(key=lambda pair: pair[1].end - pair[1].start, reverse=True)
    predicted = [[0] * len(tokens) for tokens in ids]
    for first in range(0, len(windows), WINDOWS_A_PASS):
        group = windows[first : first + WINDOWS_A_PASS]
        examples = [
            with_special_tokens(
                tokenizer,
                ids[index][window.start : window.end],
                [IGNORED] * (window.end - window.start),
            )
            for index, window in group
        ]
        tokens, mask, _ = collate(examples, tokenizer, model.device)
        found = model(input_ids=tokens, attention_mask=mask).logits[:, 1:].argmax(-1).tolist()
        for (index, window), row in zip(group, found, strict=True):
            kept = row[window.keep_start - window.start : window.keep_end - window.start]
            predicted[index][window.keep_start : window.keep_end] = kept
    names = model.config.id2label
    return [
        _by_word(article, [names[label] for label in labels])
        for article, labels in zip(articles, predicted, strict=True)
    ]


def _by_word(article: EncodedArticle, labels: Sequence[str]) -> list[list[str]]:
    """From a label for each sub-word to one for each word of each sentence."""
    sentences: list[list[str]] = []
    position = 0
    for sentence in article:
        of_words: list[str] = []
        for word in sentence:
            of_words.append(labels[position] if word.ids else OUTSIDE)
            position += len(word.ids)
        sentences.append(of_words)
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
