"""Which articles a second model tags too."""

from __future__ import annotations

from consumer.contracts.messages import Article
from consumer.shadow.sample import Sample
from tests.support.fakes import P1, raw


def article(id_: str, offset: int = 0) -> Article:
    return Article(raw(offset), id_, ())


def test_about_so_many_and_always_the_same() -> None:
    articles = [article(str(n)) for n in range(20_000)]
    taken = [one.id for one in articles if Sample(0.05).takes(one)]
    # Five standard deviations of a binomial around 1,000.
    assert 846 < len(taken) < 1_154
    assert taken == [one.id for one in articles if Sample(0.05).takes(one)]
    # More share takes in those of less.
    assert set(taken) <= {one.id for one in articles if Sample(0.2).takes(one)}


def test_the_choice_outlives_the_process() -> None:
    """A hash with a salt would choose others in each."""
    assert [n for n in range(60) if Sample(0.1).takes(article(str(n)))] == CHOSEN


CHOSEN = [18, 29, 47, 55]


def test_none_and_all() -> None:
    articles = [article(str(n)) for n in range(100)]
    assert not any(map(Sample(0).takes, articles))
    assert all(map(Sample(1).takes, articles))


def test_one_without_an_id_is_told_by_its_place() -> None:
    places = [article("", offset) for offset in range(1_000)]
    taken = [Sample(0.5).takes(one) for one in places]
    assert 400 < sum(taken) < 600
    elsewhere = [Article(raw(n, partition=P1), "", ()) for n in range(1_000)]
    assert [Sample(0.5).takes(one) for one in elsewhere] != taken


def test_an_id_may_hold_what_is_no_text() -> None:
    assert Sample(1).takes(article("\ud83d"))
