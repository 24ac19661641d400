"""From token labels to entities, with labels given by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from consumer.contracts.choices import Aggregation
from consumer.contracts.messages import Entity, TextField
from consumer.evaluation.conll import to_iob2
from consumer.evaluation.scoring import entity_spans
from consumer.tagging.entities import Predictions, find_entities
from consumer.tagging.model.labels import read_labels
from consumer.tagging.tokenize.encoding import FieldEncoding
from consumer.tagging.tokenize.windows import cut_windows
from consumer.tagging.tokenize.words import character_classes, code_points, trim, word_starts

LABELS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")


def entities(
    text: str,
    tokens: list[tuple[str, str, float]],
    strategy: Aggregation = Aggregation.WORD,
    names: tuple[str, ...] = LABELS,
    probabilities: list[list[float]] | None = None,
) -> list[Entity]:
    """Entities of a text whose tokens are given as (surface, label, score), in order."""
    starts, ends, at = [], [], 0
    for surface, _, _ in tokens:
        start = text.index(surface, at)
        starts.append(start)
        ends.append(start + len(surface))
        at = start + len(surface)
    classes = character_classes(code_points(text))
    spans = trim(np.array(starts, dtype=np.int32), np.array(ends, dtype=np.int32), classes)
    begins = word_starts(*spans, classes)
    if strategy in (Aggregation.NONE, Aggregation.SIMPLE):
        begins = np.ones(len(tokens), dtype=np.bool_)
    count = len(tokens)
    encoding = FieldEncoding(np.zeros(count, np.int32), *spans, begins, cut_windows(begins, 64, 0))
    (found,) = find_entities(
        [TextField("body", text)],
        [encoding],
        Predictions(
            label_ids=np.array([names.index(label) for _, label, _ in tokens], dtype=np.int16),
            scores=np.array([score for _, _, score in tokens], dtype=np.float32),
            probabilities=None
            if probabilities is None
            else np.array(probabilities, dtype=np.float32),
        ),
        read_labels(dict(enumerate(names)), "m"),
        strategy,
    )
    return found


def found(*arguments: Any, **options: Any) -> list[tuple[str, str]]:
    return [(e.text, e.type) for e in entities(*arguments, **options)]


def test_a_word_has_the_label_of_its_first_token_and_the_mean_of_the_words_as_score() -> None:
    tokens = [("Lis", "B-LOC", 0.9), ("bon", "O", 0.8), ("Port", "I-LOC", 0.5), ("o", "B-PER", 1.0)]
    (entity,) = entities("in Lisbon Porto!", tokens)
    assert entity == Entity("body", "LOC", "Lisbon Porto", 3, 15, entity.score)
    assert entity.score == pytest.approx(0.7)


def test_a_word_whose_first_token_is_outside_is_outside() -> None:
    assert found("in Lisbon", [("Lis", "O", 1.0), ("bon", "B-LOC", 1.0)]) == []


def test_b_opens_an_entity_so_that_two_neighbours_stay_two() -> None:
    tokens = [("Anna", "B-PER", 1.0), ("Ivo", "B-PER", 1.0), ("Lund", "I-PER", 1.0)]
    assert found("Anna Ivo Lund", tokens) == [("Anna", "PER"), ("Ivo Lund", "PER")]


def test_i_after_another_type_or_outside_opens_an_entity() -> None:
    tokens = [("Anna", "I-PER", 1.0), ("Lisbon", "I-LOC", 1.0), ("x", "O", 1.0), ("y", "I-LOC", 1)]
    assert found("Anna Lisbon x y", tokens) == [("Anna", "PER"), ("Lisbon", "LOC"), ("y", "LOC")]


def test_bare_labels_join_neighbours_of_one_type() -> None:
    tokens = [("Anna", "PER", 1.0), ("Lund", "PER", 1.0), ("Lisbon", "LOC", 1.0)]
    names = ("O", "PER", "LOC")
    assert found("Anna Lund Lisbon", tokens, names=names) == [
        ("Anna Lund", "PER"),
        ("Lisbon", "LOC"),
    ]


def test_none_gives_an_entity_for_each_token_and_simple_joins_them() -> None:
    tokens = [("Lis", "B-LOC", 0.9), ("bon", "I-LOC", 0.7), ("x", "O", 1.0)]
    assert found("Lisbon x", tokens, Aggregation.NONE) == [("Lis", "LOC"), ("bon", "LOC")]
    (entity,) = entities("Lisbon x", tokens, Aggregation.SIMPLE)
    assert entity.text == "Lisbon"
    assert entity.score == pytest.approx(0.8)


def test_max_takes_the_most_certain_token_and_the_first_of_equals() -> None:
    tokens = [("Lis", "O", 0.6), ("bon", "B-LOC", 0.9), ("Ank", "B-PER", 0.8), ("a", "O", 0.8)]
    assert found("Lisbon Anka", tokens, Aggregation.MAX) == [("Lisbon", "LOC"), ("Anka", "PER")]


def test_average_takes_the_label_of_the_highest_mean() -> None:
    tokens = [("Lis", "O", 0.6), ("bon", "B-LOC", 0.9)]
    probabilities = [[0.6, 0.0, 0.0, 0.4, 0.0], [0.1, 0.0, 0.0, 0.9, 0.0]]
    (entity,) = entities("Lisbon", tokens, Aggregation.AVERAGE, probabilities=probabilities)
    assert entity.type == "LOC"
    assert entity.score == pytest.approx(0.65)


def test_white_space_in_tokens_is_never_part_of_an_entity() -> None:
    tokens = [(" Lisbon", "B-LOC", 1.0), (" \n", "I-LOC", 1.0), ("  ", "B-PER", 1.0)]
    assert found("in Lisbon \n  ", tokens, Aggregation.SIMPLE) == [("Lisbon", "LOC")]
    assert found("in Lisbon \n  ", tokens, Aggregation.NONE) == [("Lisbon", "LOC")]


def test_a_combining_mark_that_the_tokenizer_dropped_belongs_to_its_word() -> None:
    text = "in Orle\u0301 e\u0301"
    (entity,) = entities(text, [("Orle", "B-LOC", 1.0)])
    assert entity.text == "Orle\u0301" == text[entity.start : entity.end]


def field_of(surfaces: list[str]) -> tuple[TextField, FieldEncoding]:
    """A field of words, each a token, with a space between two."""
    lengths = np.array([len(surface) for surface in surfaces], dtype=np.int32)
    ends = np.cumsum(lengths + 1, dtype=np.int32) - 1
    begins = np.ones(len(surfaces), dtype=np.bool_)
    encoding = FieldEncoding(ends, ends - lengths, ends, begins, cut_windows(begins, 64, 0))
    return TextField("body", " ".join(surfaces)), encoding


def random_predictions(count: int, with_probabilities: bool) -> Predictions:
    probabilities = (
        np.random.default_rng(2).dirichlet([0.5] * len(LABELS), count).astype(np.float32)
    )
    return Predictions(
        probabilities.argmax(axis=1).astype(np.int16),
        probabilities.max(axis=1),
        probabilities if with_probabilities else None,
    )


@pytest.mark.parametrize("strategy", Aggregation)
def test_fields_decoded_together_are_those_decoded_alone(strategy: Aggregation) -> None:
    """Many end in a label with which the next one begins; some have no tokens."""
    draw = np.random.default_rng(1)
    counts = [0, *draw.integers(0, 5, 300).tolist(), 0]
    fields = [field_of([f"w{number}" for number in range(count)]) for count in counts]
    if strategy in (Aggregation.FIRST, Aggregation.AVERAGE, Aggregation.MAX):
        for _, encoding in fields:
            encoding.begins_unit[1:] = draw.random(max(0, len(encoding.ids) - 1)) < 0.5
    texts, encodings = [field for field, _ in fields], [encoding for _, encoding in fields]
    labels = read_labels(dict(enumerate(LABELS)), "m")
    together = random_predictions(sum(counts), strategy is Aggregation.AVERAGE)
    found = find_entities(texts, encodings, together, labels, strategy)
    assert sum(map(len, found)) > 200
    at = 0
    for (text, encoding), count, entities_found in zip(fields, counts, found, strict=True):
        own = slice(at, at + count)
        probabilities = None if together.probabilities is None else together.probabilities[own]
        alone = Predictions(together.label_ids[own], together.scores[own], probabilities)
        assert find_entities([text], [encoding], alone, labels, strategy) == [entities_found]
        at += count


def test_an_entity_does_not_reach_into_the_next_field() -> None:
    (first, one), (second, other) = field_of(["in", "Lisbon"]), field_of(["Porto", "won"])
    label_ids = np.array([0, 4, 4, 0], dtype=np.int16)
    predictions = Predictions(label_ids, np.ones(4, dtype=np.float32), None)
    labels = read_labels(dict(enumerate(LABELS)), "m")
    found = find_entities([first, second], [one, other], predictions, labels, Aggregation.WORD)
    assert [[e.text for e in entities] for entities in found] == [["Lisbon"], ["Porto"]]


def test_no_fields_and_fields_without_tokens_have_no_entities() -> None:
    empty, encoding = field_of([])
    none = random_predictions(0, False)
    labels = read_labels(dict(enumerate(LABELS)), "m")
    assert find_entities([], [], none, labels, Aggregation.WORD) == []
    assert find_entities([empty] * 2, [encoding] * 2, none, labels, Aggregation.WORD) == [[], []]


@pytest.mark.parametrize(
    ("text", "tokens", "words"),
    [
        ("Jean-Pierre", ["Jean", "-", "Pi", "erre"], [1, 1, 1, 0]),
        ("in the G20", [" in", " the", " G", "20"], [1, 1, 1, 0]),
        ("50 €", ["50", " €"], [1, 1]),
        ("U.S.", ["U", ".", "S", "."], [1, 1, 1, 1]),
        ("东京 a", ["东", "京", " a"], [1, 1, 1]),
        ("re\u0301sume\u0301", ["re", "\u0301", "sume", "\u0301"], [1, 0, 0, 0]),
        ("हिन्दी में", ["ह", "ि", "न", "्दी", " म", "ें"], [1, 0, 0, 0, 1, 0]),
        ("กิน", ["ก", "ิ", "น"], [1, 0, 1]),
        ("a\u00a0b", ["a", "\u00a0b"], [1, 1]),
    ],
)
def test_where_words_begin(text: str, tokens: list[str], words: list[int]) -> None:
    ends = np.cumsum([len(token) for token in tokens]).astype(np.int32)
    starts = np.concatenate(([0], ends[:-1])).astype(np.int32)
    classes = character_classes(code_points(text))
    assert word_starts(*trim(starts, ends, classes), classes).astype(int).tolist() == words


def test_the_bytes_of_one_character_are_one_word() -> None:
    classes = character_classes(code_points("京"))
    zeros, ones = np.zeros(3, dtype=np.int32), np.ones(3, dtype=np.int32)
    assert word_starts(zeros, ones, classes).tolist() == [True, False, False]


BIOES = ("O", "B-PER", "I-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("S-PER S-PER B-PER E-PER", ["w0", "w1", "w2 w3"]),
        ("B-PER I-PER E-PER O S-LOC", ["w0 w1 w2", "w4"]),
        # Broken sequences, as a lenient reader of CoNLL takes them.
        ("I-PER E-PER E-PER", ["w0 w1", "w2"]),
        ("S-PER I-PER I-PER", ["w0", "w1 w2"]),
        ("B-PER S-PER E-PER", ["w0", "w1", "w2"]),
        ("B-PER E-LOC I-LOC", ["w0", "w1", "w2"]),
        ("B-PER O E-PER", ["w0", "w2"]),
        ("I-PER I-PER", ["w0 w1"]),
    ],
)
@pytest.mark.parametrize("letters", ["BIES", "BILU", "BMES", "BMEW"])
def test_ends_and_singles_are_kept_apart(labels: str, expected: list[str], letters: str) -> None:
    """In every scheme that has them, under every strategy that joins words."""
    spelled = str.maketrans("BIES", letters)
    names = tuple(name[0].translate(spelled) + name[1:] if "-" in name else name for name in BIOES)
    tokens = [
        (f"w{place}", names[BIOES.index(label)], 1.0) for place, label in enumerate(labels.split())
    ]
    text = " ".join(word for word, _, _ in tokens)
    for strategy in (Aggregation.WORD, Aggregation.SIMPLE, Aggregation.FIRST, Aggregation.MAX):
        answers = found(text, tokens, strategy, names)
        assert [surface for surface, _ in answers] == expected, strategy
        assert {kind for _, kind in answers} <= {"PER", "LOC"}
    # A corpus that is labelled so is read so.
    iob2 = to_iob2([label for _, label, _ in tokens])
    assert [
        (" ".join(text.split()[span.start : span.end]), span.type) for span in entity_spans(iob2)
    ] == answers
