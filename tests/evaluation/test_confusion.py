from __future__ import annotations

from consumer.evaluation.confusion import ErrorKind, Mention, TaggingError, confusion_of


def labels(*lines: str) -> list[list[str]]:
    return [line.split() for line in lines]


WORDS = labels("Anna Lund left Oslo", "Oslo fell")


def test_every_entity_is_in_one_place_on_its_side() -> None:
    found = confusion_of(
        [*WORDS, *WORDS],
        labels("B-PER I-PER O B-LOC", "B-LOC O", "B-PER I-PER O B-LOC", "O O"),
        labels("B-PER I-PER O B-ORG", "O O", "O B-PER O B-LOC", "B-LOC B-MISC"),
    )
    assert found.types == ("LOC", "MISC", "ORG", "PER")
    assert found.same_words == {("PER", "PER"): 1, ("LOC", "ORG"): 1, ("LOC", "LOC"): 1}
    assert found.gold_other_edges == {"PER": 1}
    assert found.gold_missed == {"LOC": 1}
    assert found.predicted_other_edges == {"PER": 1}
    assert found.predicted_spurious == {"LOC": 1, "MISC": 1}


def test_errors_are_counted_and_the_most_frequent_comes_first() -> None:
    found = confusion_of(
        [*WORDS, *WORDS],
        labels("B-PER I-PER O B-LOC", "B-LOC O", "B-PER I-PER O B-LOC", "B-LOC O"),
        labels("B-PER O O B-ORG", "O O", "B-PER I-PER O B-ORG", "O B-MISC"),
    )
    oslo = Mention("LOC", "Oslo")
    assert found.errors == (
        (TaggingError(ErrorKind.TYPE, oslo, Mention("ORG", "Oslo")), 2),
        (TaggingError(ErrorKind.MISSED, oslo, None), 2),
        (TaggingError(ErrorKind.EDGES, Mention("PER", "Anna Lund"), Mention("PER", "Anna")), 1),
        (TaggingError(ErrorKind.SPURIOUS, None, Mention("MISC", "fell")), 1),
    )


def test_an_entity_cut_in_two_is_two_errors_and_both_parts_have_other_edges() -> None:
    found = confusion_of(
        labels("Bank of Oslo"), labels("B-ORG I-ORG I-ORG"), labels("B-ORG O B-LOC")
    )
    whole = Mention("ORG", "Bank of Oslo")
    assert dict(found.errors) == {
        TaggingError(ErrorKind.EDGES, whole, Mention("ORG", "Bank")): 1,
        TaggingError(ErrorKind.EDGES, whole, Mention("LOC", "Oslo")): 1,
    }
    assert found.gold_other_edges == {"ORG": 1}
    assert found.predicted_other_edges == {"ORG": 1, "LOC": 1}


def test_the_same_words_go_before_a_larger_share() -> None:
    # One predicted entity over both words, and none that has the words of either gold one.
    found = confusion_of(labels("Oslo Oslo x"), labels("B-LOC B-LOC O"), labels("B-LOC I-LOC O"))
    assert found.gold_other_edges == {"LOC": 2}
    assert sum(count for _, count in found.errors) == 2
    assert not found.predicted_spurious


def test_nothing_wrong_is_no_error() -> None:
    gold = labels("B-PER I-PER O B-LOC", "O O")
    found = confusion_of(WORDS, gold, gold)
    assert found.errors == ()
    assert found.same_words == {("PER", "PER"): 1, ("LOC", "LOC"): 1}
