"""Texts in tokens: the same tokens in parts as in whole, and offsets of the text as it came in."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from consumer.contracts.messages import Article, TextField
from consumer.tagging.tagger import Tagger
from consumer.tagging.tokenize import encoding as encoding_module
from consumer.tagging.tokenize import segments as segments_module
from consumer.tagging.tokenize.encoding import ArticleEncoding, TextTokenizer
from consumer.tagging.tokenize.segments import Segment, cut_segments
from tests.support.models.tiny_models import FAMILIES, SENTENCES, article, tiny_tagger

#: What is hard about white space, accents, scripts and single words.
PIECES = (
    *SENTENCES,
    "a  b",
    " \u0301x ",
    "e\u0301 ",
    "\u00a0",
    "\n",
    "\t ",
    "\u200b",
    "'s",
    " 'll",
    "!!",
    "İstanbul",
    "ﬁn",
    "½",
    "[SEP]",
    "<s>",
    "👩‍👩‍👧",
    " ",
)


def of_fields(texts: Sequence[str]) -> Article:
    """An article of any number of fields."""
    fields = tuple(TextField(str(number), text) for number, text in enumerate(texts))
    return article(0, "")._replace(fields=fields)


def encode(tagger: Tagger, *texts: str) -> ArticleEncoding:
    (encoding,) = tagger.encode([of_fields(texts)])
    assert isinstance(encoding, ArticleEncoding)
    return encoding


@pytest.mark.parametrize("family", FAMILIES)
def test_segments_give_the_tokens_of_the_whole(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagger = tiny_tagger(family)
    draw = random.Random(5)
    text = "".join(
        draw.choice(PIECES) + draw.choice(["", " ", " ", " w", " 7 "]) for _ in range(3_000)
    )
    whole = encode(tagger, text).fields[0]
    for size in (40, 301, 5_000):
        monkeypatch.setattr(
            encoding_module, "cut_segments", lambda text, size=size: cut_segments(text, size)
        )
        assert len(cut_segments(text, size)) > 10
        parts = encode(tagger, text).fields[0]
        assert np.array_equal(parts.ids, whole.ids)
        assert np.array_equal(parts.starts, whole.starts)
        assert np.array_equal(parts.ends, whole.ends)
        assert np.array_equal(parts.begins_unit, whole.begins_unit)


@given(text=st.text(st.sampled_from("ab  \n.é"), max_size=200), size=st.integers(2, 30))
def test_segments_follow_one_another_and_are_cut_only_at_single_spaces(
    text: str, size: int
) -> None:
    segments = cut_segments(text, size, longest=4 * size)
    assert "".join(text[s.start : s.end] for s in segments) == text
    for segment in segments[1:]:
        before = text[segment.start - 1]
        was_longest = segments[segments.index(segment) - 1]
        is_forced = was_longest.end - was_longest.start == 4 * size
        after_space = text[segment.start + 1 : segment.start + 2]
        is_good = text[segment.start] == " " and before.isalnum() and after_space.isalnum()
        assert is_good or is_forced
        assert segment.end - segment.start <= 4 * size


def test_a_run_without_a_space_is_cut_where_it_stands_and_stays_a_word() -> None:
    assert cut_segments("a" * 10, size=3, longest=4) == [
        Segment(0, 4),
        Segment(4, 8, is_forced=True),
        Segment(8, 10, is_forced=True),
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_word_of_a_forced_cut_stays_one_word(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        encoding_module, "cut_segments", lambda text: cut_segments(text, size=30, longest=40)
    )
    field = encode(tiny_tagger(family), "x" * 200 + " end").fields[0]
    first_of_words = field.starts[field.begins_unit]
    assert first_of_words.tolist() == [0, 201]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Marta 🎉 Lindqvist", ["Marta", "🎉", "Lindqvist"]),
        ("Zürich, Genève", ["Zürich", ",", "Genève"]),
        ("Ge\u0301rard Ndiaye", ["Ge\u0301rard", "Ndiaye"]),
        ("  two\u00a0 spaces \n", ["two", "spaces"]),
        ("قالت ليلى حداد", ["قالت", "ليلى", "حداد"]),
        ("Jean-Pierre O'Brien", ["Jean", "-", "Pierre", "O", "'", "Brien"]),
        ("𝕏 😀x", ["𝕏", "😀x"]),
    ],
)
def test_words_are_the_same_for_every_tokenizer(family: str, text: str, words: list[str]) -> None:
    field = encode(tiny_tagger(family), text).fields[0]
    # White space alone can be a token; it stands for no text.
    first = np.flatnonzero(field.begins_unit)
    last = np.append(first[1:], len(field.ids)) - 1
    spans = zip(field.starts[first], field.ends[last], strict=True)
    assert [text[start:end] for start, end in spans if end > start] == words


@pytest.mark.parametrize("family", FAMILIES)
def test_special_tokens_in_a_text_are_letters(family: str) -> None:
    tagger = tiny_tagger(family)
    model = tagger._model
    special = {*model.prefix_ids, *model.suffix_ids, model.pad_id}
    ids = encode(tagger, "a [SEP] b [PAD] c </s> d <pad> e <s>").fields[0].ids
    assert special.isdisjoint(ids.tolist())


@pytest.mark.parametrize(
    ("family", "text"), [("bert-cased", "of [SEP] of"), ("roberta", "of </s> of")]
)
def test_the_letters_of_a_special_token_are_read(family: str, text: str) -> None:
    field = encode(tiny_tagger(family), text).fields[0]
    inside = (field.starts >= 3) & (field.ends <= len(text) - 3)
    assert inside.sum() >= 3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_lone_surrogate_is_one_unknown_character(family: str) -> None:
    field = encode(tiny_tagger(family), "Marta \ud83d Okafor").fields[0]
    assert field.starts[-1] >= 8
    assert field.ends[-1] == 14


def test_one_call_takes_all_fields_and_long_texts_are_taken_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tagger = tiny_tagger()
    monkeypatch.setattr(encoding_module, "CALL_CHARACTERS", 64)
    articles = [["Marta of Nordbank", "Lisbon " * 30], ["Kotor"], ["", "Tokyo"]]
    together = tagger.encode([of_fields(texts) for texts in articles])
    for texts, encoding in zip(articles, together, strict=True):
        alone = encode(tagger, *texts)
        assert isinstance(encoding, ArticleEncoding)
        assert encoding.tokens == alone.tokens
        for field, expected in zip(encoding.fields, alone.fields, strict=True):
            assert np.array_equal(field.ids, expected.ids)
            assert np.array_equal(field.starts, expected.starts)
            assert np.array_equal(field.windows, expected.windows)


def test_tokens_are_what_the_device_computes() -> None:
    tagger = tiny_tagger(max_length=12, window_overlap_tokens=2)
    # 20 words of one token: windows of 10 that share 2 at least, and two special tokens each.
    encoding = encode(tagger, "of " * 20, "of")
    assert encoding.fields[0].windows[:, :2].tolist() == [[0, 10], [8, 18], [16, 20]]
    assert encoding.tokens == (10 + 2) + (10 + 2) + (4 + 2) + (1 + 2)


def test_white_space_alone_costs_nothing() -> None:
    encoding = encode(tiny_tagger(), " \n ")
    assert encoding.tokens == 0
    assert len(encoding.fields[0].ids) == 0


def test_the_limits_are_what_the_module_says() -> None:
    assert segments_module.SEGMENT_CHARACTERS <= encoding_module.CALL_CHARACTERS


def test_a_tokenizer_that_panics_fails_on_that_text_alone() -> None:
    """A panic of Rust's is no `Exception`, and would end the worker, each time it reads the text
    again."""
    bomb = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, "[UNK]"))
    bomb.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+b"), "isolated")
    tokenizer = TextTokenizer(
        bomb,
        capacity=10,
        special_tokens=0,
        reserved_ids=(),
        unknown_id=0,
        overlap=0,
        unit_rule=None,
    )
    with pytest.raises(RuntimeError, match=r"the tokenizer broke: .*retry-limit"):
        tokenizer.encode([["a"], ["a" * 200 + "!b"]])
    assert tokenizer.encode([["a"]])[0].tokens == 1
