"""The training examples of an epoch: articles joined, changed, cut, as the recipe has it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

from consumer.evaluation.conll import LabelledArticle
from consumer.training.augmentation import (
    Recasing,
    collect_mentions,
    mask_words,
    replace_mentions,
)
from consumer.training.case_marks import CONTINUES, mark_ids
from consumer.training.chunks import cut_chunks, join_articles
from consumer.training.data import Example, Word, encode_articles, labelled_example
from consumer.training.recipe import Recipe


class ExampleSource:
    """Draws an epoch's examples from articles; the articles are tokenised once."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        recipe: Recipe,
        label_ids: dict[str, int],
        articles: Sequence[LabelledArticle],
    ) -> None:
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._label_ids = label_ids
        self._articles = encode_articles(tokenizer, articles)
        self._mentions = collect_mentions(self._articles)
        marks = mark_ids(tokenizer)
        self._marks = frozenset(marks.values())
        pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
        self._recasing = Recasing(
            marks, [piece.removeprefix(CONTINUES).isalpha() for piece in pieces]
        )

    def draw(self, draw: random.Random) -> list[Example]:
        """Every word of every article once, in chunks."""
        recipe = self._recipe
        articles = [
            replace_mentions(article, self._mentions, recipe.mention_replacement, draw)
            for article in self._articles
        ]
        return [
            labelled_example(
                self._changed(chunk, draw), self._label_ids, self._tokenizer, recipe.max_length
            )
            for article in join_articles(articles, recipe.joined_articles, draw)
            for chunk in cut_chunks(article, recipe.max_length, draw)
        ]

    def _changed(self, words: tuple[Word, ...], draw: random.Random) -> tuple[Word, ...]:
        if draw.random() < self._recipe.recased_chunks:
            words = self._recasing.recase(words, draw)
        if self._recipe.masked_words:
            words = mask_words(
                words, self._recipe.masked_words, self._tokenizer.mask_token_id, self._marks, draw
            )
        return words
