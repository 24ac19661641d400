"""From articles to the examples of an epoch: joined, cut, changed."""

from __future__ import annotations

import random
from collections import Counter

from consumer.training.augmentation import (
    Recasing,
    collect_mentions,
    mask_words,
    replace_mentions,
)
from consumer.training.case_marks import CaseMark
from consumer.training.chunks import cut_chunks, join_articles
from consumer.training.data import EncodedArticle, Word

CAPITALISED, UPPER, MIXED = 90, 91, 92


def article(number: int, sentences: int = 4, words: int = 5) -> EncodedArticle:
    """Words whose single sub-word says where they stand."""
    return tuple(
        tuple(Word((1000 * number + 10 * row + column,), "O") for column in range(words))
        for row in range(sentences)
    )


def test_chunks_hold_every_word_once_and_keep_to_the_limit() -> None:
    sentence = (Word((7,) * 3, "O"),) * 3
    text = (sentence,) * 60
    for seed in range(5):
        chunks = cut_chunks(text, 64, random.Random(seed))
        assert [word for chunk in chunks for word in chunk] == [w for s in text for w in s]
        # Two of the 64 are special tokens, and a word that does not fit whole waits.
        assert {sum(len(word.ids) for word in chunk) for chunk in chunks[:-1]} <= {54, 57, 60}
        assert len(chunks) >= 9


def test_chunks_end_with_sentences_or_in_the_middle_of_one_and_differ_in_length() -> None:
    text = article(1, sentences=400)
    chunks = cut_chunks(text, 512, random.Random(2))
    ends = [chunk[-1].ids[0] % 10 == 4 for chunk in chunks[:-1]]
    assert 0.3 < sum(ends) / len(ends) < 0.95
    assert {"short", "long"} == {"long" if len(chunk) > 200 else "short" for chunk in chunks}
    assert max(map(len, chunks)) <= 510


def test_a_word_longer_than_a_chunk_is_one_of_its_own() -> None:
    long = Word(tuple(range(100)), "O")
    text = ((Word((1,), "O"), long, Word((2,), "O")),)
    assert cut_chunks(text, 64, random.Random(1)) == [(text[0][0],), (long,), (text[0][2],)]


def test_joined_articles_follow_one_another_and_none_is_lost() -> None:
    articles = [article(number) for number in range(50)]
    apart = join_articles(articles, 0.0, random.Random(1))
    assert Counter(apart) == Counter(articles)
    assert apart != articles
    joined = join_articles(articles, 0.5, random.Random(1))
    assert Counter(s for text in joined for s in text) == Counter(s for a in articles for s in a)
    assert {len(text) // 4 for text in joined} == {1, 2, 3, 4}
    for text in joined:
        for first in range(0, len(text), 4):
            assert text[first : first + 4] in articles


def test_replaced_mentions_keep_their_type_and_stay_the_same_in_an_article() -> None:
    maria, lund = Word((1, 2), "B-PER"), Word((3,), "I-PER")
    text = (
        (maria, lund, Word((4,), "O"), Word((5,), "B-LOC")),
        (Word((3,), "B-PER"), Word((6,), "O")),
    )
    other = ((Word((7,), "B-PER"), Word((8,), "I-PER"), Word((9,), "B-LOC")),)
    mentions = collect_mentions([text, other])
    assert {name: len(found) for name, found in mentions.items()} == {"PER": 3, "LOC": 2}
    two_times = (*text, *text)
    changed = 0
    for seed in range(20):
        replaced = replace_mentions(two_times, mentions, 0.5, random.Random(seed))
        assert replaced[:2] == replaced[2:]
        assert [w.label for s in replaced for w in s if w.label.startswith("B-")] == (
            ["B-PER", "B-LOC", "B-PER"] * 2
        )
        assert [w for s in replaced for w in s if w.label == "O"] == [text[0][2], text[1][1]] * 2
        changed += replaced != two_times
    assert 10 <= changed < 20
    assert replace_mentions(two_times, mentions, 0.0, random.Random(1)) == two_times


def test_recased_words_are_all_written_in_one_way() -> None:
    marks = {
        CaseMark.CAPITALISED: CAPITALISED,
        CaseMark.UPPER: UPPER,
        CaseMark.MIXED: MIXED,
    }
    has_case = [True] * 80 + [False] * 20
    words = (
        Word((1, CAPITALISED), "B-LOC"),
        Word((2,), "O"),
        Word((3, MIXED), "B-ORG"),
        Word((85,), "O"),  # a number
    )
    found = {
        tuple(word.ids for word in Recasing(marks, has_case).recase(words, random.Random(seed)))
        for seed in range(30)
    }
    assert found == {
        ((1, UPPER), (2, UPPER), (3, UPPER), (85,)),
        ((1, CAPITALISED), (2, CAPITALISED), (3, MIXED), (85,)),
        ((1,), (2,), (3,), (85,)),
    }
    labels = [w.label for w in Recasing(marks, has_case).recase(words, random.Random(0))]
    assert labels == [word.label for word in words]


def test_masked_words_keep_their_length_label_and_case() -> None:
    words = tuple(Word((number, number + 1, CAPITALISED), "B-PER") for number in range(0, 40, 2))
    masked = mask_words(words, 0.4, 77, frozenset({CAPITALISED}), random.Random(3))
    hidden = [word for word in masked if word.ids == (77, 77, CAPITALISED)]
    assert 4 <= len(hidden) <= 12
    assert all(word in words for word in masked if word not in hidden)
    assert {word.label for word in masked} == {"B-PER"}
    assert mask_words(words, 0.0, 77, frozenset(), random.Random(3)) == words
