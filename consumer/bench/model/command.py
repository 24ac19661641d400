"""`nerstream bench model`: the tagger's forward pass beside its peers and beside the ceiling.

All run the same model on the same articles with the same threads, in turn, round after round.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from consumer.bench.articles import news_articles
from consumer.bench.model.report import model_document, printed, surroundings
from consumer.codec.article_codec import Codec
from consumer.codec.json_lines import json_lines_of
from consumer.console import SafeConsole
from consumer.contracts.errors import RejectedMessage, SettingsError
from consumer.contracts.messages import Article, Position, RawMessage, TextField, TopicPartition
from consumer.contracts.safe_text import safe
from consumer.settings.flags import add_settings_arguments
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.terminal import say_json

if TYPE_CHECKING:
    from consumer.evaluation.conll import LabelledArticle

#: The geometry of the usual production model, for a machine without the hub.
RANDOM_BASE = "bert-base-random"

_MODELS = ("bundled", RANDOM_BASE)

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}

_SETTINGS = ("threads", "window_overlap_tokens", "window_tokens", "batch_tokens")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure, on what, and the tagger's settings."""
    parser.add_argument(
        "--model",
        action="append",
        metavar="MODEL",
        dest="models",
        help=f"hub id, local folder, bundled, or {RANDOM_BASE} for BERT-base's geometry with "
        f"random weights; may be repeated [default: {' and '.join(_MODELS)}]",
    )
    parser.add_argument(
        "--articles",
        type=Path,
        metavar="FILE",
        help="JSON lines, or a CoNLL file, on which F1 is measured too; instead of made articles "
        "as long as real news",
    )
    parser.add_argument(
        "--number",
        type=int,
        default=40,
        metavar="N",
        help="articles of a round, drawn from the file or made [default: 40]",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the articles [default: 1]")
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="the median counts [default: 3]"
    )
    parser.add_argument(
        "--clock",
        choices=list(CLOCKS),
        default="wall",
        help="processor counts the time on a processor, for a machine that is not quiet; it means "
        "something with --threads 1 [default: wall]",
    )
    parser.add_argument(
        "--no-peers", action="store_true", help="measure only nerstream and the ceiling"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw the result, as .svg or .png"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_settings_arguments(parser, _SETTINGS)


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print what was found; blocks for minutes.

    Raises:
        SettingsError: an argument is wrong.
        ModelError: a model cannot be loaded.
    """
    settings = load_settings(arguments, os.environ)
    if arguments.clock == "processor" and settings.threads != 1:
        raise SettingsError(
            "--clock", "processor counts threads that wait as well", "give --threads 1"
        )
    for name in ("number", "rounds"):
        if getattr(arguments, name) < 1:
            raise SettingsError(f"--{name}", "is too small", "it must be at least 1")
    if arguments.plot is not None:
        _check_plot(arguments.plot)
    articles, labelled = _articles(arguments)
    console = SafeConsole(stderr=True)
    found: dict[str, Any] = surroundings(settings, articles, arguments)
    with console.status("loading") as status:
        for name in arguments.models or _MODELS:

            def show(what: str, name: str = name) -> None:
                status.update(Text(safe(f"{name}: {what}")))

            found["models"].append(_contest(name, settings, arguments, articles, labelled, show))
    if arguments.plot is not None:
        from consumer.bench.model.plot import plot

        plot(found, arguments.plot)
    if arguments.json:
        say_json(found, indented=True)
    else:
        printed(found, SafeConsole())
    return 0


def _contest(
    name: str,
    settings: Settings,
    arguments: argparse.Namespace,
    articles: Sequence[Article],
    labelled: Sequence[LabelledArticle],
    tell: Any,
) -> dict[str, Any]:
    # Imported here: torch takes seconds, which `--help` and a wrong argument should not.
    from consumer.bench.model.contest import run_rounds
    from consumer.bench.model.field import Entrant, gather
    from consumer.bench.model.quality import judge
    from consumer.bench.model.random_model import save_random_model
    from consumer.tagging.tagger import TaggingOptions

    with tempfile.TemporaryDirectory() as folder:
        model = name
        if name == RANDOM_BASE:
            model = str(Path(folder) / name)
            save_random_model(Path(model))
        entrant = Entrant(
            model=model,
            revision="",
            threads=settings.threads,
            options=TaggingOptions(
                window_overlap_tokens=settings.window_overlap_tokens,
                window_tokens=settings.window_tokens,
                batch_tokens=settings.batch_tokens,
            ),
            articles=articles,
            clock=CLOCKS[arguments.clock],
            with_peers=not arguments.no_peers,
        )
        field = gather(entrant, tell)
        ceilings = {precision: [] for precision in field.ceilings}  # type: dict[str, list[float]]
        for contestant in field.contestants:
            tell(f"warming up: {contestant.name} {contestant.precision}")
            contestant.measure()
        for _ in range(arguments.rounds):
            run_rounds(field.contestants, 1, tell)
            for precision, ceiling in field.ceilings.items():
                tell(f"ceiling {precision}")
                ceilings[precision].append(field.tokens / ceiling.seconds(field.tokens))
        if name != RANDOM_BASE:
            judge(field.contestants, articles, labelled, tell)
        return model_document(name, field, ceilings, has_random_weights=name == RANDOM_BASE)


def _articles(
    arguments: argparse.Namespace,
) -> tuple[list[Article], tuple[LabelledArticle, ...]]:
    """The articles of a round, and all labelled ones, where there are some."""
    if arguments.articles is None:
        return _decoded(news_articles(arguments.number, arguments.seed)), ()
    if _is_json(arguments.articles):
        lines = json_lines_of(arguments.articles, "--articles")
        return _decoded(_drawn(lines, arguments)), ()
    from consumer.evaluation.conll import ConllError, read_conll

    try:
        labelled = read_conll(arguments.articles)
    except ConllError as error:
        raise SettingsError("--articles", str(error), error.remedy) from error
    texts = [one.text for one in _drawn(labelled, arguments)]
    return [
        Article(_raw(number, b""), str(number), (TextField("body", text),))
        for number, text in enumerate(texts)
    ], labelled


def _is_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError as failure:
        raise SettingsError(
            "--articles", str(failure), "name a file of JSON lines or a CoNLL file"
        ) from failure


def _drawn(found: Sequence[Any], arguments: argparse.Namespace) -> list[Any]:
    if len(found) <= arguments.number:
        return list(found)
    return random.Random(arguments.seed).sample(list(found), arguments.number)


def _decoded(values: Sequence[bytes]) -> list[Article]:
    codec = Codec(("title", "body"))
    articles = []
    for number, value in enumerate(values):
        try:
            article = codec.decode(_raw(number, value))
        except RejectedMessage as rejection:
            raise SettingsError(
                "--articles",
                f"article {number + 1}: {rejection.message}",
                "each line must be an article, see schemas/article.v1.json",
            ) from rejection
        assert isinstance(article, Article)
        articles.append(article)
    return articles


def _raw(number: int, value: bytes) -> RawMessage:
    return RawMessage(Position(TopicPartition("", 0), number), None, value, (), None, 0)


def _check_plot(path: Path) -> None:
    if path.suffix not in (".svg", ".png"):
        raise SettingsError("--plot", f"{path} is no picture", "name a file.svg or a file.png")
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        raise SettingsError(
            "--plot", "needs matplotlib", "install nerstream[bench], or leave --plot out"
        )
