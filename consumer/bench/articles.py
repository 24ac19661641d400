"""Articles for the benchmark: as long as real news, made from the samples that are shipped."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator, Sequence

import orjson

from consumer import resources

#: Words of an article follow a log-normal distribution. The sample articles, full of names, have
#: some 1.6 tokens a word, so that the mean is 270 tokens and one article of some 800 is longer than
#: 2,000; the articles of CoNLL-2003 have 268 in the mean.
MEAN_WORDS = 165
SIGMA = 0.9

#: The shortest article, in words: an agency's flash.
LEAST_WORDS = 20

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=\S)")


def news_articles(count: int, seed: int, size_bytes: int = 0) -> list[bytes]:
    """Message values that the codec takes, each an article with an id of its own.

    Sentences of the sample articles in random order, under one of their titles. The same seed
    gives the same articles.

    Args:
        count: how many.
        seed: of the random numbers.
        size_bytes: bytes of each value, to within a word; 0 draws a length for each.
    """
    rng = random.Random(seed)
    titles, sentences = _material()
    return [
        _article(rng, f"bench-{number}", titles, sentences, size_bytes) for number in range(count)
    ]


def _material() -> tuple[list[str], list[str]]:
    """Titles and sentences of the good sample articles."""
    titles: list[str] = []
    sentences: list[str] = []
    for line in resources.sample_lines():
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue  # bad on purpose, as two others are
        title, body = document.get("title"), document.get("body")
        if isinstance(title, str) and isinstance(body, str):
            titles.append(title)
            sentences += [one for one in _SENTENCE.split(body) if one]
    return titles, sentences


def _article(
    rng: random.Random, id: str, titles: Sequence[str], sentences: Sequence[str], size_bytes: int
) -> bytes:
    title = rng.choice(titles)
    if size_bytes:
        bare = len(orjson.dumps({"id": id, "title": title, "body": ""}))
        body = " ".join(
            _until(rng, sentences, size_bytes - bare, lambda one: len(one.encode()) + 1)
        )
        # Quotes take a byte more in JSON. A character takes four bytes at the most.
        while (excess := len(orjson.dumps(body)) - 2 - (size_bytes - bare)) > 0 and body:
            body = body[: -max(1, excess // 4)]
    else:
        # exp(mu + sigma^2 / 2) is the mean of a log-normal distribution.
        drawn = rng.lognormvariate(math.log(MEAN_WORDS) - SIGMA**2 / 2, SIGMA)
        words = max(LEAST_WORDS, round(drawn))
        body = " ".join(_until(rng, sentences, words, lambda one: one.count(" ") + 1))
    return orjson.dumps({"id": id, "title": title, "body": body})


def _until(
    rng: random.Random, sentences: Sequence[str], amount: int, weigh: Callable[[str], int]
) -> Iterator[str]:
    """Sentences that together weigh at least so much, the last one included."""
    while amount > 0:
        sentence = rng.choice(sentences)
        amount -= weigh(sentence)
        yield sentence
