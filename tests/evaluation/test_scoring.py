from __future__ import annotations

import pytest

from consumer.evaluation.scoring import Score, Span, entity_spans, score_labels


@pytest.mark.parametrize(
    ("labels", "spans"),
    [
        ("O O", []),
        ("B-PER I-PER O", [Span("PER", 0, 2)]),
        ("O B-LOC", [Span("LOC", 1, 2)]),
        ("B-PER B-PER", [Span("PER", 0, 1), Span("PER", 1, 2)]),
        # An I- without its B- opens an entity, as conlleval counts.
        ("I-PER I-PER", [Span("PER", 0, 2)]),
        ("B-PER I-LOC", [Span("PER", 0, 1), Span("LOC", 1, 2)]),
        ("B-PER O I-PER", [Span("PER", 0, 1), Span("PER", 2, 3)]),
    ],
)
def test_spans(labels: str, spans: list[Span]) -> None:
    assert entity_spans(labels.split()) == tuple(spans)


def test_a_type_and_both_edges_must_be_right() -> None:
    scores = score_labels(
        gold=[
            ["B-PER", "I-PER", "O", "B-LOC"],
            ["B-ORG", "I-ORG", "O"],
            ["B-MISC", "O", "O"],
        ],
        predicted=[
            ["B-PER", "I-PER", "O", "B-ORG"],  # right, and a wrong type
            ["B-ORG", "O", "O"],  # a wrong edge
            ["O", "O", "B-MISC"],  # a wrong place
        ],
    )
    assert scores.overall == Score(correct=1, predicted=4, gold=4)
    assert dict(scores.by_type) == {
        "LOC": Score(0, 0, 1),
        "MISC": Score(0, 1, 1),
        "ORG": Score(0, 2, 1),
        "PER": Score(1, 1, 1),
    }


def test_an_entity_is_counted_where_it_stands() -> None:
    # The same span in another sentence is another entity.
    scores = score_labels([["B-PER"], ["O"]], [["O"], ["B-PER"]])
    assert scores.overall == Score(correct=0, predicted=1, gold=1)


def test_fractions() -> None:
    score = Score(correct=3, predicted=4, gold=6)
    assert score.precision == 0.75
    assert score.recall == 0.5
    assert score.f1 == pytest.approx(0.6)
    assert score.as_dict()["f1"] == pytest.approx(0.6)


def test_nothing_predicted_and_nothing_to_find_is_zero() -> None:
    score = score_labels([["O"]], [["O"]]).overall
    assert (score.precision, score.recall, score.f1) == (0.0, 0.0, 0.0)


def test_as_dict_names_types() -> None:
    found = score_labels([["B-PER"]], [["B-PER"]]).as_dict()
    assert found == {
        "overall": Score(1, 1, 1).as_dict(),
        "by_type": {"PER": Score(1, 1, 1).as_dict()},
    }


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="sentence 0 has 2 gold labels and 1 predicted ones"):
        score_labels([["O", "O"]], [["O"]])
    with pytest.raises(ValueError, match="zip"):
        score_labels([["O"], ["O"]], [["O"]])
