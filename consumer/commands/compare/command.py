"""`nerstream compare`: which of float32's entities a model keeps in other precisions.

No labels are needed: the articles may be yours, as the worker will read them. Whoever has measured
it can have `dtype=auto` go by it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from consumer.commands.compare.articles import articles_in
from consumer.commands.compare.report import CompareReport, write_tables
from consumer.commands.evaluate.display import progress_of
from consumer.commands.tag.input import InputFormat, add_format_argument
from consumer.console import SafeConsole
from consumer.contracts.errors import RejectedMessage, SettingsError
from consumer.contracts.messages import Article
from consumer.evaluation.articles import calls_of
from consumer.evaluation.comparison import Comparison
from consumer.loading import (
    MESSAGE_SETTINGS,
    OFFLINE_DEFAULTS,
    TAGGER_SETTINGS,
    tagger_from,
)
from consumer.settings.flags import add_settings_arguments
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.terminal import say_json, tell

if TYPE_CHECKING:
    from consumer.tagging.tagger import Tagger

_REFERENCE = "float32"

_SETTINGS = (*MESSAGE_SETTINGS, *(name for name in TAGGER_SETTINGS if name != "dtype"))

#: Characters of the articles that are tagged together: a full pass of tokens in most languages, so
#: that the rates are those of a worker with work enough.
_CALL_CHARACTERS = 65_536


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The articles, the precisions, what to do with the result, and the tagger's settings."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="articles like those that the worker will read: JSON lines, text, or a CoNLL file; - "
        "is standard input",
    )
    add_format_argument(parser)
    parser.add_argument(
        "--dtypes",
        metavar="NAMES",
        help="precisions, with commas [default: those that the device computes fast]",
    )
    parser.add_argument(
        "--differences",
        type=int,
        default=10,
        metavar="N",
        help="how many differences of each precision to show [default: 10]",
    )
    parser.add_argument(
        "--write",
        action="store_true",
        help="have dtype=auto go by the result: write nerstream.json into the model's folder",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    add_settings_arguments(parser, _SETTINGS, defaults=OFFLINE_DEFAULTS)


def run(arguments: argparse.Namespace) -> int:
    """Tag the articles in every precision, and print what each keeps; blocks until that is done.

    Returns:
        0, or 1 where the result was to be written and there were too few entities for one.

    Raises:
        SettingsError: the file cannot be read, or a setting is wrong.
        ModelError: the model cannot be loaded, or not in one of the precisions.
    """
    settings = load_settings(arguments, os.environ, defaults=OFFLINE_DEFAULTS)
    if arguments.differences < 0:
        raise SettingsError(
            "--differences", f"{arguments.differences} is below 0", "give 0 or more"
        )
    folder = _folder_to_write(settings.model) if arguments.write else None
    articles = articles_in(arguments.file, InputFormat(arguments.lines_format), settings, _tell)
    # Imported here: torch takes seconds, which `--help` and a wrong argument should not.
    from consumer.tagging.model.faithful_dtypes import read_faithful_dtypes, write_faithful_dtypes

    dtypes = _dtypes(arguments.dtypes, settings)
    if folder is not None:
        # What is wrong with the file that is there is told before the work, not after it.
        read_faithful_dtypes(settings.model, folder)
    taggers = [(dtype, _tagger(settings, dtype)) for dtype in (_REFERENCE, *dtypes)]
    comparison = Comparison(taggers)
    done = 0
    with progress_of(len(articles), "articles") as advance:
        for call in calls_of(articles, _characters, _CALL_CHARACTERS):
            for article, rejection in comparison.tag(call):
                _tell(f"article {article.id}", rejection)
            done += len(call)
            advance(done)
    report = CompareReport(taggers[0][1].info, comparison, arguments.differences)
    if folder is not None and comparison.has_enough:
        measured = {tally.dtype: tally.is_faithful for tally in comparison.tallies[1:]}
        report.written = write_faithful_dtypes(settings.model, folder, measured)
    if arguments.json:
        say_json(report.as_dict())
    else:
        write_tables(report, SafeConsole())
    return 1 if arguments.write and report.written is None else 0


def _tagger(settings: Settings, dtype: str) -> Tagger:
    return tagger_from(settings.model_copy(update={"dtype": dtype}))


def _dtypes(wanted: str | None, settings: Settings) -> Sequence[str]:
    from consumer.tagging.model.device import LOW_PRECISIONS, find_device
    from consumer.tagging.select import fast_precisions, this_machine

    if wanted is None:
        found = fast_precisions(this_machine(find_device(settings.model, settings.device)))
        if not found:
            raise SettingsError(
                "--dtypes",
                "this processor is not known to multiply anything faster than float32, so the "
                "worker computes in float32 here",
                "run it where the worker will run, or name precisions with --dtypes",
            )
        return found
    names = [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in LOW_PRECISIONS or names.count(name) > 1:
            raise SettingsError(
                "--dtypes",
                f"{name!r} is not one of them" if name not in LOW_PRECISIONS else f"{name} twice",
                f"name some of {', '.join(LOW_PRECISIONS)}, with commas",
            )
    return names


def _folder_to_write(model: str) -> Path:
    folder = Path(os.path.expanduser(model))  # noqa: PTH111 - as `find_model_folder` does
    if model == OFFLINE_DEFAULTS["model"] or not folder.is_dir():
        raise SettingsError(
            "--write",
            f"{model} is not a folder of your own to write into",
            "copy the model into one (hf download OWNER/NAME --local-dir FOLDER) and name that "
            "with --model, or leave --write out and give the worker --dtype",
        )
    return folder


def _characters(article: Article) -> int:
    return sum(len(field.text) for field in article.fields)


def _tell(which: str, rejection: RejectedMessage) -> None:
    tell(f"left out: {which}: {rejection.code}: {rejection.message}")
