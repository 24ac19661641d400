from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Any

import orjson

from consumer.codec.article_codec import Codec
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import Article, Position, RawMessage, TopicPartition
from consumer.resources import sample_lines

CODEC = Codec(("title", "body"))


def read() -> tuple[list[Article], list[RejectedMessage]]:
    articles: list[Article] = []
    rejected: list[RejectedMessage] = []
    for offset, line in enumerate(sample_lines()):
        position = Position(TopicPartition("articles", 0), offset)
        try:
            article = CODEC.decode(RawMessage(position, None, line, (), None, 0))
        except RejectedMessage as reason:
            rejected.append(reason)
        else:
            assert isinstance(article, Article)
            articles.append(article)
    return articles, rejected


ARTICLES, REJECTED = read()
DOCUMENTS: list[dict[str, Any]] = [orjson.loads(article.raw.value or b"") for article in ARTICLES]


def text_of(article: Article) -> str:
    return "\n".join(field.text for field in article.fields)


def with_script(name: str) -> list[str]:
    """Ids of articles with several letters of a script."""
    return [
        article.id
        for article in ARTICLES
        if sum(unicodedata.name(char, "").startswith(name) for char in text_of(article)) > 3
    ]


def test_there_are_57_articles_and_three_dead_letters() -> None:
    assert len(ARTICLES) == 57
    assert sorted(str(reason.code) for reason in REJECTED) == [
        "invalid_json",
        "missing_id",
        "wrong_type",
    ]
    assert all(line.strip() == line and line for line in sample_lines())


def test_ids_are_unique() -> None:
    assert max(Counter(article.id for article in ARTICLES).values()) == 1


def test_dead_letters_stand_between_articles() -> None:
    lines = sample_lines()
    bad = [
        offset
        for offset in range(len(lines))
        if offset not in {article.raw.position.offset for article in ARTICLES}
    ]
    assert bad == [12, 27, 46]


def test_one_feature_is_longer_than_1200_tokens() -> None:
    # A tokenizer of words and punctuation marks; those of models cut words further, never less.
    lengths = sorted(len(re.findall(r"\w+|[^\w\s]", text_of(article))) for article in ARTICLES)
    assert lengths[-1] > 1_200
    assert lengths[-2] < 200


def test_scripts_and_signs_vary() -> None:
    assert len(with_script("CYRILLIC")) >= 2
    assert len(with_script("CJK UNIFIED")) >= 2
    assert with_script("ARABIC") == ["arabic-012"]
    assert with_script("GREEK") == ["greek-013"]
    assert with_script("HANGUL") == ["korean-050"]
    assert with_script("COMBINING") == ["combining-053"]
    assert any("👩‍🍳" in text_of(article) for article in ARTICLES)
    accented = [a for a in ARTICLES if re.search("[À-žș-ță]", text_of(a))]
    assert len(accented) > 20


def test_forms_vary() -> None:
    names = [tuple(field.name for field in article.fields) for article in ARTICLES]
    assert Counter(names) == {("title", "body"): 53, ("title",): 2, ("body",): 2}
    titles = [document.get("title") or "" for document in DOCUMENTS]
    assert sum(title.isupper() for title in titles) >= 2
    assert any("&amp;" in text_of(article) for article in ARTICLES)
    assert any("“" in text_of(article) for article in ARTICLES)
    assert any("\r\n" in text_of(article) for article in ARTICLES)
    assert any("NORWAY SWEDEN DENMARK" in text_of(article) for article in ARTICLES)
    assert any(b"\\u" in (article.raw.value or b"") for article in ARTICLES)


def test_fields_of_the_senders_own_vary() -> None:
    own = Counter(name for document in DOCUMENTS for name in document)
    assert {"section", "published_at", "meta", "tags"} <= set(own)
    assert len(own) > 20
    assert any(b"100000000000000000021" in line for line in sample_lines())


def test_lengths_are_those_of_news() -> None:
    words = [len(text_of(article).split()) for article in ARTICLES]
    assert sum(40 <= count <= 250 for count in words) >= 40
