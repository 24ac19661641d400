"""The benchmark's articles: real ones in length, the same for the same seed."""

from __future__ import annotations

import orjson
import pytest

from consumer.bench.articles import MEAN_WORDS, news_articles
from consumer.codec.article_codec import Codec
from consumer.contracts.messages import Article, Position, RawMessage, TopicPartition


def words(value: bytes) -> int:
    return len(orjson.loads(value)["body"].split())


def test_the_seed_decides() -> None:
    assert news_articles(50, 3) == news_articles(50, 3)
    assert news_articles(50, 3) != news_articles(50, 4)


def test_lengths_are_those_of_news() -> None:
    lengths = sorted(words(value) for value in news_articles(2_000, 1))
    mean = sum(lengths) / len(lengths)
    assert MEAN_WORDS * 0.95 < mean < MEAN_WORDS * 1.15  # whole sentences go a little beyond
    assert lengths[0] >= 20
    assert lengths[len(lengths) // 2] < mean * 0.8  # a long tail on the right
    assert lengths[-1] > 1_500  # some 2,000 tokens


def test_all_are_articles_with_an_id_of_their_own() -> None:
    codec = Codec(("title", "body"))
    ids = set()
    for offset, value in enumerate(news_articles(300, 1)):
        position = Position(TopicPartition("t", 0), offset)
        decoded = codec.decode(RawMessage(position, None, value, (), None, 0))
        assert isinstance(decoded, Article)
        ids.add(decoded.id)
    assert len(ids) == 300


@pytest.mark.parametrize("size_bytes", [300, 2_048, 50_000])
def test_a_given_length_is_kept_to_within_a_word(size_bytes: int) -> None:
    for value in news_articles(50, 1, size_bytes):
        assert size_bytes - 40 < len(value) <= size_bytes
        orjson.loads(value)
