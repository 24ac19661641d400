"""Our counts against seqeval's, and against conlleval's rules written down a second time."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator, Sequence

import pytest

from consumer.evaluation.conll import to_iob2
from consumer.evaluation.scoring import Score, score_labels

TYPES = ("LOC", "MISC", "ORG", "PER")


def sentences(seed: int, count: int = 400) -> tuple[list[list[str]], list[list[str]]]:
    """Gold labels, and predicted ones that are right for the most part; any B-/I- order occurs."""
    draw = random.Random(seed)
    labels = ["O", "O", *(f"{prefix}-{name}" for prefix in "BI" for name in TYPES)]
    gold, predicted = [], []
    for _ in range(count):
        words: list[str] = []
        while len(words) < draw.randint(1, 30):
            kind = draw.choice(labels)
            words += [kind, *[f"I{kind[1:]}"] * draw.randint(0, 2)] if kind != "O" else ["O"]
        gold.append(words)
        predicted.append([w if draw.random() < 0.8 else draw.choice(labels) for w in words])
    return gold, predicted


@pytest.mark.parametrize("seed", range(5))
def test_seqeval_counts_the_same(seed: int) -> None:
    from seqeval.metrics import classification_report, f1_score, precision_score, recall_score

    gold, predicted = sentences(seed)
    ours = score_labels(gold, predicted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of types that nobody predicted
        report = classification_report(gold, predicted, output_dict=True, zero_division=0)
        assert ours.overall.precision == pytest.approx(precision_score(gold, predicted))
        assert ours.overall.recall == pytest.approx(recall_score(gold, predicted))
        assert ours.overall.f1 == pytest.approx(f1_score(gold, predicted))
    assert 0.2 < ours.overall.f1 < 0.9
    assert [name for name, _ in ours.by_type] == list(TYPES)
    for name, score in ours.by_type:
        assert score.precision == pytest.approx(report[name]["precision"])
        assert score.recall == pytest.approx(report[name]["recall"])
        assert score.f1 == pytest.approx(report[name]["f1-score"])
        assert score.gold == report[name]["support"]


@pytest.mark.parametrize("seed", range(5))
def test_the_rules_of_conlleval_count_the_same(seed: int) -> None:
    gold, predicted = sentences(seed)
    ours = score_labels(gold, predicted)
    assert ours.overall == counted(gold, predicted, None)
    for name, score in ours.by_type:
        assert score == counted(gold, predicted, name)


@pytest.mark.parametrize("seed", range(3))
def test_what_a_file_of_another_scheme_says_is_counted_the_same(seed: int) -> None:
    """conlleval reads IOB1 and IOB2 alike; so does the reader that makes IOB2 of both."""
    gold, predicted = sentences(seed)
    read = [to_iob2(labels) for labels in gold]
    assert score_labels(read, predicted) == score_labels(gold, predicted)
    assert read != [tuple(labels) for labels in gold]


def counted(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], only: str | None
) -> Score:
    """As the shared task's script counts: token by token, chunks that start and end together."""
    correct = found = wanted = 0
    for labels, guesses in zip(gold, predicted, strict=True):
        gold_starts, gold_ends = zip(*_edges(labels), strict=True)
        starts, ends = zip(*_edges(guesses), strict=True)
        is_open = False
        for place, (label, guess) in enumerate(zip(labels, guesses, strict=True)):
            kind, guessed = label.partition("-")[2], guess.partition("-")[2]
            if is_open and (gold_ends[place], ends[place]) != (False, False):
                correct += gold_ends[place] and ends[place]
                is_open = False
            if gold_starts[place] and starts[place] and kind == guessed:
                is_open = only in (None, kind)
            elif is_open and kind != guessed:
                is_open = False
            wanted += gold_starts[place] and only in (None, kind)
            found += starts[place] and only in (None, guessed)
        correct += is_open
    return Score(correct, found, wanted)


def _edges(labels: Sequence[str]) -> Iterator[tuple[bool, bool]]:
    """For each token whether a chunk starts at it, and whether one ends before it."""
    before, kind_before = "O", ""
    for label in labels:
        tag, _, kind = label.partition("-")
        changes = tag == "B" or kind != kind_before
        yield tag != "O" and (before == "O" or changes), before != "O" and (tag == "O" or changes)
        before, kind_before = tag, kind
