"""`nerstream evaluate`: precision, recall and F1 of a model on a CoNLL file, as conlleval counts.

The articles go through the worker's own tagger, windows included, so the scores are those of the
messages that it would write.
"""

from __future__ import annotations

import argparse
import os
import time
from enum import StrEnum
from pathlib import Path

from consumer.commands.evaluate.display import progress_of, write_tables
from consumer.commands.evaluate.report import Report
from consumer.commands.files import read_corpus
from consumer.contracts.errors import SettingsError
from consumer.evaluation.articles import evaluate_tagger, joined, sentences_apart
from consumer.evaluation.confusion import confusion_of
from consumer.evaluation.conll import corpus_statistics
from consumer.evaluation.scoring import score_labels
from consumer.loading import OFFLINE_DEFAULTS, TAGGER_SETTINGS, tagger_from
from consumer.settings.flags import add_settings_arguments
from consumer.settings.sources import load_settings
from consumer.terminal import say_json, tell


class Level(StrEnum):
    """What the model sees at once."""

    ARTICLE = "article"
    SENTENCE = "sentence"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, what to show of the result, and the tagger's settings."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="CoNLL file: a word a line, its label in the last column",
    )
    parser.add_argument(
        "--level",
        choices=list(Level),
        default=Level.ARTICLE,
        help="article gives the model whole articles, cut into windows as in production; sentence "
        "gives it each sentence alone [default: article]",
    )
    parser.add_argument(
        "--join-words",
        type=int,
        default=0,
        metavar="N",
        help="make long articles of short ones: join consecutive articles until they have N "
        "words, to see what windows cost [default: 0, which joins none]",
    )
    parser.add_argument(
        "--errors",
        type=int,
        default=20,
        metavar="N",
        help="how many of the most frequent errors to show [default: 20]",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    add_settings_arguments(parser, TAGGER_SETTINGS, defaults=OFFLINE_DEFAULTS)


def run(arguments: argparse.Namespace) -> int:
    """Tag the file's articles and print the scores; blocks until that is done.

    Raises:
        SettingsError: the file cannot be read, or a setting is wrong.
        ModelError: the model cannot be loaded, or cannot tag one of the articles.
    """
    settings = load_settings(arguments, os.environ, defaults=OFFLINE_DEFAULTS)
    level = Level(arguments.level)
    _check(arguments.errors, arguments.join_words, level)
    articles = read_corpus(arguments.file, "FILE")
    tagger = tagger_from(settings)
    statistics = corpus_statistics(articles)
    unknown = [name for name, _ in statistics.entities if name not in tagger.info.types]
    if unknown:
        tell(
            f"nerstream: the model {tagger.info.name} has no type {', '.join(unknown)}, so it "
            f"will find none of them; it has {', '.join(tagger.info.types)}"
        )
    units = sentences_apart(articles) if level is Level.SENTENCE else articles
    if arguments.join_words:
        units = joined(articles, arguments.join_words)
    begun = time.monotonic()
    with progress_of(len(units), f"{level}s") as advance:
        evaluation = evaluate_tagger(tagger, units, advance)
    report = Report(
        file=str(arguments.file),
        level=level,
        join_words=arguments.join_words,
        statistics=statistics,
        model=tagger.info,
        aggregation=settings.aggregation,
        window_overlap_tokens=settings.window_overlap_tokens,
        window_tokens=settings.window_tokens,
        tokens=evaluation.tokens,
        seconds=time.monotonic() - begun,
        scores=score_labels(evaluation.gold, evaluation.predicted),
        by_characters=evaluation.by_characters,
        confusion=confusion_of(
            (sentence.words for article in articles for sentence in article.sentences),
            evaluation.gold,
            evaluation.predicted,
        ),
    )
    if arguments.json:
        say_json(report.as_dict(arguments.errors))
    else:
        write_tables(report, arguments.errors)
    return 0


def _check(errors: int, join_words: int, level: Level) -> None:
    for name, value in (("--errors", errors), ("--join-words", join_words)):
        if value < 0:
            raise SettingsError(name, f"{value} is below 0", "give 0 or more")
    if join_words and level is Level.SENTENCE:
        raise SettingsError(
            "--join-words",
            "joins articles, and --level sentence takes them apart",
            "leave one of the two out",
        )
