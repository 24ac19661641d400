"""The chunks of articles that a model is trained on, cut as the worker cuts windows.

The worker sees running text in whole articles and cuts long ones between words, so a chunk may
begin and end in mid-sentence, and an article may begin in the middle of one.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from consumer.training.data import EncodedArticle, Word

#: Longest chunk in sub-words, special tokens included, and the weight with which
#: it is drawn. Short ones keep the model good at headlines and single sentences;
#: the long ones train every position embedding that whole articles reach.
CHUNK_LENGTHS = (64, 128, 256, 512)
CHUNK_WEIGHTS = (0.25, 0.35, 0.25, 0.15)

#: Share of the chunks that end with a sentence where one ends in reach; the others end with the
#: last word that fits, as windows do.
SENTENCE_END_SHARE = 0.6

#: Most articles that are laid end to end.
_MOST_JOINED = 4

#: Special tokens of a chunk.
_SPECIAL = 2


def join_articles(
    articles: Sequence[EncodedArticle], share: float, draw: random.Random
) -> list[EncodedArticle]:
    """The articles in a new order, some of them laid end to end: text in which an article begins
    far from where the window does.

    Args:
        share: probability with which an article has others after it.
    """
    order = list(articles)
    draw.shuffle(order)
    joined: list[EncodedArticle] = []
    while order:
        count = draw.randint(2, _MOST_JOINED) if draw.random() < share else 1
        joined.append(tuple(sentence for article in order[-count:] for sentence in article))
        del order[-count:]
    return joined


def cut_chunks(
    article: EncodedArticle, max_length: int, draw: random.Random
) -> list[tuple[Word, ...]]:
    """Consecutive words up to a length drawn anew for each chunk; each word is in one.

    Args:
        max_length: most sub-words of a chunk, special tokens included; a longer word is a chunk
            of its own.
    """
    words = [word for sentence in article for word in sentence]
    sentence_ends = set()
    count = 0
    for sentence in article:
        count += len(sentence)
        sentence_ends.add(count)
    chunks: list[tuple[Word, ...]] = []
    start = 0
    while start < len(words):
        drawn = draw.choices(CHUNK_LENGTHS, CHUNK_WEIGHTS)[0]
        room = min(drawn, max_length) - _SPECIAL
        end, sentence_end = start, 0
        while end < len(words) and len(words[end].ids) <= room:
            room -= len(words[end].ids)
            end += 1
            if end in sentence_ends:
                sentence_end = end
        if sentence_end and end < len(words) and draw.random() < SENTENCE_END_SHARE:
            end = sentence_end
        end = max(end, start + 1)
        chunks.append(tuple(words[start:end]))
        start = end
    return chunks
