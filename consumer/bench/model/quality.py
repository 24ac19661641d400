"""How right each contestant is: the entities that it shares with float32, and its F1."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from consumer.bench.model.contest import Contestant, agreement, entities_of
from consumer.contracts.messages import Article
from consumer.evaluation.articles import evaluate_tagger
from consumer.evaluation.conll import LabelledArticle
from consumer.evaluation.scoring import score_labels
from consumer.tagging.tagger import Tagger


def judge(
    contestants: Sequence[Contestant],
    articles: Sequence[Article],
    labelled: Sequence[LabelledArticle],
    on_progress: Callable[[str], None],
) -> None:
    """Fill in agreement and F1; blocks for a pass over all labelled articles, or else over the
    articles of a round.

    Args:
        contestants: the first is the reference.
        labelled: may be empty.
    """
    taggers = [(one, one.tagger) for one in contestants if one.tagger is not None]
    if labelled:
        _judge_labelled(taggers, labelled, on_progress)
        return
    reference = None
    for contestant, tagger in taggers:
        on_progress(f"entities: {contestant.name} {contestant.precision}")
        found = entities_of(tagger, articles)
        reference = found if reference is None else reference
        contestant.agreement = agreement(found, reference)


def _judge_labelled(
    taggers: Sequence[tuple[Contestant, Tagger]],
    labelled: Sequence[LabelledArticle],
    on_progress: Callable[[str], None],
) -> None:
    reference = None
    for contestant, tagger in taggers:
        on_progress(f"F1: {contestant.name} {contestant.precision}")
        evaluation = evaluate_tagger(tagger, labelled, lambda _: None)
        reference = evaluation.predicted if reference is None else reference
        contestant.f1 = score_labels(evaluation.gold, evaluation.predicted).overall.f1
        # F1 of one set of entities against another is Dice's coefficient of the two.
        contestant.agreement = score_labels(reference, evaluation.predicted).overall.f1
