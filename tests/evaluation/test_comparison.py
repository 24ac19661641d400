"""Two precisions beside each other: what counts as kept, and what is shown of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import (
    Article,
    Encoding,
    Entity,
    ModelShare,
    PreparedArticle,
    TaggingResult,
    TextField,
)
from consumer.evaluation.comparison import ENOUGH_ENTITIES, Comparison, Difference
from tests.support.fakes import MODEL, FakeEncoding, raw

TEXT = "Marta Lindqvist of Nordbank met Jean Okafor in Lisbon on Tuesday."


def entity(text: str, type: str = "PER", field: str = "body", score: float = 1.0) -> Entity:
    start = TEXT.index(text)
    return Entity(field, type, text, start, start + len(text), score)


MARTA, BANK, LISBON = entity("Marta Lindqvist"), entity("Nordbank", "ORG"), entity("Lisbon", "LOC")


class Scripted:
    """A tagger that answers what it was told to, and notes when it was asked."""

    def __init__(
        self, name: str, asked: list[str], *answers: Sequence[Entity] | RejectedMessage
    ) -> None:
        self._name = name
        self._asked = asked
        self._answers = answers

    def encode(self, articles: Sequence[Article]) -> list[Encoding]:
        return [FakeEncoding(10) for _ in articles]

    def tag(
        self, articles: Sequence[PreparedArticle], _progress: Callable[[], None]
    ) -> TaggingResult:
        self._asked.append(self._name)
        answers = tuple(
            one if isinstance(one, RejectedMessage) else tuple(one)
            for one in self._answers[: len(articles)]
        )
        return TaggingResult.of_one_model(answers, ModelShare(MODEL, 0, 0))


def articles(count: int) -> list[Article]:
    return [Article(raw(n), f"a{n}", (TextField("body", TEXT),)) for n in range(count)]


def compared(expected: Sequence[Entity], found: Sequence[Entity], times: int = 1) -> Comparison:
    asked: list[str] = []
    comparison = Comparison(
        [("float32", Scripted("a", asked, expected)), ("int8", Scripted("b", asked, found))]
    )
    for _ in range(times):
        assert comparison.tag(articles(1)) == []
    return comparison


def test_what_both_find_is_kept_whatever_its_score() -> None:
    comparison = compared([MARTA, LISBON], [MARTA._replace(score=0.5), LISBON])
    tally = comparison.tallies[1]
    assert (tally.dtype, tally.expected, tally.found, tally.shared) == ("int8", 2, 2, 2)
    assert (tally.kept, tally.confirmed) == (1.0, 1.0)
    assert tally.differences == []
    assert (comparison.articles, comparison.tokens) == (1, 10)


def test_another_type_or_another_edge_is_one_difference() -> None:
    wrong, short = BANK._replace(type="LOC"), entity("Lindqvist")
    tally = compared([MARTA, BANK], [short, wrong]).tallies[1]
    assert (tally.kept, tally.confirmed) == (0.0, 0.0)
    assert tally.differences == [Difference("a0", MARTA, short), Difference("a0", BANK, wrong)]


def test_what_one_of_them_does_not_find_is_a_difference_of_its_own() -> None:
    tally = compared([MARTA, BANK], [MARTA, LISBON, entity("Tuesday", "MISC")]).tallies[1]
    assert (tally.kept, round(tally.confirmed, 3)) == (0.5, 0.333)
    assert tally.differences == [
        Difference("a0", BANK, None),
        Difference("a0", None, LISBON),
        Difference("a0", None, entity("Tuesday", "MISC")),
    ]


def test_fields_are_apart() -> None:
    title = LISBON._replace(field="title")
    tally = compared([LISBON], [title]).tallies[1]
    assert tally.shared == 0
    assert tally.differences == [Difference("a0", LISBON, None), Difference("a0", None, title)]


def test_without_entities_nothing_is_lost() -> None:
    tally = compared([], []).tallies[1]
    assert (tally.kept, tally.confirmed, tally.is_faithful) == (1.0, 1.0, True)


@pytest.mark.parametrize(
    ("missed", "added", "is_faithful"),
    [(0, 0, True), (1, 1, True), (0, 1, True), (2, 0, False), (0, 2, False)],
)
def test_faithful_is_what_keeps_995_of_1000_and_adds_no_more_than_five(
    missed: int, added: int, is_faithful: bool
) -> None:
    """Of 200 entities one may be missed and one may be added."""
    asked: list[str] = []
    expected: list[list[Entity]] = [[BANK] for _ in range(200)]
    found: list[list[Entity]] = [[BANK] for _ in range(200)]
    for number in range(missed):
        found[number] = []
    for number in range(added):
        found[-1 - number] = [BANK, LISBON]
    comparison = Comparison(
        [("float32", Scripted("a", asked, *expected)), ("int8", Scripted("b", asked, *found))]
    )
    comparison.tag(articles(200))
    assert comparison.tallies[1].is_faithful is is_faithful


def test_a_thousand_entities_are_enough() -> None:
    three = [MARTA, BANK, LISBON]
    assert not compared(three, three, times=ENOUGH_ENTITIES // 3).has_enough
    assert compared(three, three, times=ENOUGH_ENTITIES // 3 + 1).has_enough


def test_each_precision_begins_in_its_turn() -> None:
    asked: list[str] = []
    comparison = Comparison(
        [(name, Scripted(name, asked, [MARTA])) for name in ("float32", "bfloat16", "int8")]
    )
    for _ in range(3):
        comparison.tag(articles(1))
    assert [asked[place] for place in (0, 3, 6)] == ["float32", "bfloat16", "int8"]
    assert [tally.found for tally in comparison.tallies] == [3, 3, 3]
    assert all(tally.seconds > 0 for tally in comparison.tallies)


def test_an_article_that_one_of_them_refuses_counts_nowhere() -> None:
    asked: list[str] = []
    refusal = RejectedMessage(RejectCode.NOT_A_NUMBER, "no")
    comparison = Comparison(
        [
            ("float32", Scripted("a", asked, [MARTA], [BANK])),
            ("int8", Scripted("b", asked, refusal, [BANK])),
        ]
    )
    one, other = articles(2)
    assert comparison.tag([one, other]) == [(one, refusal)]
    assert comparison.articles == 1
    assert [tally.found for tally in comparison.tallies] == [1, 1]
    assert comparison.tallies[1].kept == 1.0
