"""Labelled articles as sub-word ids, and batches of them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from consumer.evaluation.conll import LabelledArticle, Sentence

#: Relative noise on lengths before they are sorted into batches, so that a
#: batch is not the same chunks in every epoch.
_LENGTH_NOISE = 0.1

#: Label index that the loss leaves out (the default of torch's cross entropy).
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Word:
    """Sub-word ids of one word (possibly none) and its IOB2 label."""

    ids: tuple[int, ...]
    label: str


@dataclass(frozen=True, slots=True)
class Example:
    """One row of a batch, special tokens included: ids and label indices."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)


#: An article as sentences of words.
EncodedArticle = tuple[tuple[Word, ...], ...]


def encode_articles(
    tokenizer: PreTrainedTokenizerFast, articles: Iterable[LabelledArticle]
) -> tuple[EncodedArticle, ...]:
    """Each sentence tokenized as running text, its sub-words given to its words."""
    encoded = []
    for article in articles:
        texts = [" ".join(sentence.words) for sentence in article.sentences]
        # A sentence may be longer than the model here; chunks are cut later.
        batch = tokenizer(
            texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        encoded.append(
            tuple(
                _encode_sentence(sentence, ids, offsets)
                for sentence, ids, offsets in zip(
                    article.sentences, batch["input_ids"], batch["offset_mapping"], strict=True
                )
            )
        )
    return tuple(encoded)


def labelled_example(
    words: Iterable[Word],
    label_ids: dict[str, int],
    tokenizer: PreTrainedTokenizerFast,
    max_length: int,
) -> Example:
    """Words as a row of a batch, cut at ``max_length`` sub-words, special tokens included.

    A word's first sub-word has the word's label, the others the ``I-`` of its type.
    """
    ids: list[int] = []
    labels: list[int] = []
    for word in words:
        ids.extend(word.ids)
        inside = "I" + word.label[1:] if word.label.startswith("B-") else word.label
        labels.extend(label_ids[inside if index else word.label] for index in range(len(word.ids)))
    return with_special_tokens(tokenizer, ids[: max_length - 2], labels)


def with_special_tokens(
    tokenizer: PreTrainedTokenizerFast, ids: Sequence[int], labels: Sequence[int]
) -> Example:
    """The ids between the model's start and end token, which carry no label."""
    start = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    end = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    return Example((start, *ids, end), (IGNORED, *labels[: len(ids)], IGNORED))


def make_batches(
    examples: Iterable[Example], batch_tokens: int, draw: random.Random
) -> list[list[Example]]:
    """Batches of similar lengths, at most ``batch_tokens`` with padding, shuffled.

    An example over the budget is a batch of its own.
    """
    keyed = [(len(example) * draw.uniform(1 - _LENGTH_NOISE, 1 + _LENGTH_NOISE), example)
             for example in examples]  # fmt: skip
    keyed.sort(key=lambda pair: pair[0])
    batches: list[list[Example]] = []
    longest = 0
    for _, example in keyed:
        longest = max(longest, len(example))
        if not batches or longest * (len(batches[-1]) + 1) > batch_tokens:
            batches.append([])
            longest = len(example)
        batches[-1].append(example)
    draw.shuffle(batches)
    return batches


def collate(
    batch: Sequence[Example], tokenizer: PreTrainedTokenizerFast, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, attention mask and labels, each (rows, longest row) of int64."""
    longest = max(len(example) for example in batch)
    ids = torch.full((len(batch), longest), tokenizer.pad_token_id or 0)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for row, example in enumerate(batch):
        ids[row, : len(example)] = torch.tensor(example.ids)
        mask[row, : len(example)] = 1
        labels[row, : len(example)] = torch.tensor(example.labels)
    return ids.to(device), mask.to(device), labels.to(device)


def _encode_sentence(
    sentence: Sentence, ids: Sequence[int], offsets: Sequence[tuple[int, int]]
) -> tuple[Word, ...]:
    # The space before a word counts to it, since some tokenizers give it to the
    # word's first sub-word, or make a sub-word of its own from it.
    word_of_character: list[int] = []
    for index, word in enumerate(sentence.words):
        word_of_character.extend([index] * (len(word) + (index > 0)))
    pieces: list[list[int]] = [[] for _ in sentence.words]
    for token, (_, end) in zip(ids, offsets, strict=True):
        pieces[word_of_character[max(end - 1, 0)]].append(token)
    return tuple(
        Word(tuple(piece), label) for piece, label in zip(pieces, sentence.labels, strict=True)
    )
