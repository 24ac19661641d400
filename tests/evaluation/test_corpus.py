"""The annotated news that we wrote: whole, as its page says, and nothing of it in both files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from consumer.evaluation.conll import corpus_statistics, read_conll
from consumer.evaluation.scoring import entity_spans

FOLDER = Path(__file__).resolve().parents[2] / "corpus" / "modern-news"


@pytest.mark.parametrize("name", ["train.txt", "test.txt"])
def test_the_page_counts_what_is_in_the_file(name: str) -> None:
    statistics = corpus_statistics(read_conll(FOLDER / name))
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith(f"| `{name}`")]
    counts = [int(cell.strip().replace(",", "")) for cell in row.strip("|").split("|")[2:]]
    assert counts == [
        statistics.articles,
        statistics.sentences,
        statistics.words,
        *(count for _, count in statistics.entities),
    ]
    assert [entity for entity, _ in statistics.entities] == ["LOC", "MISC", "ORG", "PER"]


def test_no_sentence_is_in_both_files() -> None:
    train, test = (
        {
            sentence.words
            for article in read_conll(FOLDER / name)
            for sentence in article.sentences
            # Two pieces may well share a line such as "Results".
            if len(sentence.words) > 5
        }
        for name in ("train.txt", "test.txt")
    )
    assert len(test) > 400
    assert not train & test


@pytest.mark.parametrize("name", ["train.txt", "test.txt"])
def test_an_entity_has_no_possessive_and_no_punctuation_at_its_edges(name: str) -> None:
    edges = Counter(
        word
        for article in read_conll(FOLDER / name)
        for sentence in article.sentences
        for span in entity_spans(sentence.labels)
        for word in (sentence.words[span.start], sentence.words[span.end - 1])
    )
    assert edges["Washington"] > 0
    assert not edges.keys() & {"'s", "’s", ",", ".", '"', "'", "(", ")", ":", ";", "-"}
