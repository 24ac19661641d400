"""What a model is trained on: sub-words with labels, in batches."""

from __future__ import annotations

import random

import pytest
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.processors import ByteLevel as ByteLevelProcessor
from transformers import (
    PreTrainedTokenizerFast,
)

from consumer.evaluation.conll import parse_conll
from consumer.training.data import (
    IGNORED,
    Example,
    encode_articles,
    labelled_example,
    make_batches,
)
from tests.support.models.training_base import LABELS, articles


def test_sub_words_of_a_word_are_labelled_inside(tokenizer: PreTrainedTokenizerFast) -> None:
    (encoded,) = encode_articles(
        tokenizer, list(parse_conll(["Moe B-PER", "Al I-PER", "in O"], "made-up.txt"))
    )
    label_ids = {label: index for index, label in enumerate(LABELS)}
    words = [word for sentence in encoded for word in sentence]
    example = labelled_example(words, label_ids, tokenizer, 64)
    assert tokenizer.convert_ids_to_tokens(example.ids) == [
        *("[CLS]", "m", "##o", "##e", "a", "##l", "i", "##n", "[SEP]")
    ]
    inside = LABELS.index("I-PER")
    assert example.labels == (
        *(IGNORED, LABELS.index("B-PER"), inside, inside, inside, inside, 0, 0, IGNORED),
    )
    cut = labelled_example(words, label_ids, tokenizer, 6)
    assert (cut.ids, cut.labels) == (
        (*example.ids[:5], example.ids[-1]),
        (*example.labels[:5], IGNORED),
    )


def test_words_are_tokenized_as_the_running_text_is(tokenizer: PreTrainedTokenizerFast) -> None:
    article = articles()[0]
    (encoded,) = encode_articles(tokenizer, [article])
    ids = [token for sentence in encoded for word in sentence for token in word.ids]
    assert ids == tokenizer(article.text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("trim_offsets", [True, False])
def test_a_space_counts_to_the_word_after_it(trim_offsets: bool) -> None:
    # As in RoBERTa: the space is a letter of the next sub-word, here one of its own.
    vocabulary = {letter: index for index, letter in enumerate(ByteLevel.alphabet())}
    byte_level = Tokenizer(BPE(vocabulary, []))
    byte_level.pre_tokenizer = ByteLevel(add_prefix_space=False)
    byte_level.post_processor = ByteLevelProcessor(trim_offsets=trim_offsets)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=byte_level)
    (encoded,) = encode_articles(
        tokenizer, list(parse_conll(["Al B-PER", "in O", "Åre B-LOC"], "made-up.txt"))
    )
    assert [tokenizer.convert_ids_to_tokens(word.ids) for word in encoded[0]] == [
        ["A", "l"],
        ["Ġ", "i", "n"],
        ["Ġ", "Ã", "ħ", "r", "e"],
    ]


def test_a_word_without_sub_words_is_kept(tokenizer: PreTrainedTokenizerFast) -> None:
    # The normalizer takes zero-width characters away.
    lines = ["Moe B-PER", "\u200b O", "in O"]
    (encoded,) = encode_articles(tokenizer, list(parse_conll(lines, "made-up.txt")))
    assert [len(word.ids) for word in encoded[0]] == [3, 0, 2]


def test_batches_keep_to_the_budget_and_lose_nothing() -> None:
    draw = random.Random(5)
    examples = [Example((index,) * draw.randint(3, 60), ()) for index in range(200)]
    examples.append(Example((200,) * 500, ()))
    batches = make_batches(examples, 128, draw)
    assert sorted(e.ids[0] for batch in batches for e in batch) == list(range(201))
    for batch in batches:
        assert len(batch) == 1 or max(map(len, batch)) * len(batch) <= 128
    padded = sum(max(map(len, batch)) * len(batch) for batch in batches)
    assert padded < 1.2 * sum(map(len, examples))
