"""`nerstream tag`: text or JSON lines to JSON lines with entities, without Kafka.

The articles go through the worker's own codec and tagger, so the answer is the same.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from rich.progress import Progress, SpinnerColumn, TextColumn

from consumer.codec.article_codec import Codec
from consumer.commands.tag.explain import Explanations
from consumer.commands.tag.input import (
    STANDARD_INPUT,
    InputFormat,
    Line,
    Readahead,
    add_format_argument,
    article_reader,
    lines,
    opened,
    whole,
)
from consumer.commands.tag.output import JsonLines, Output, Pretty
from consumer.console import SafeConsole
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage, SettingsError
from consumer.contracts.messages import (
    Article,
    PreparedArticle,
    TaggedArticle,
    Tombstone,
    Untagged,
)
from consumer.contracts.ports import Tagger
from consumer.loading import (
    ENTITY_SETTINGS,
    MESSAGE_SETTINGS,
    OFFLINE_DEFAULTS,
    TAGGER_SETTINGS,
    codec_from,
    refined,
    taggers_from,
)
from consumer.settings.flags import add_settings_arguments
from consumer.settings.sources import load_settings
from consumer.terminal import tell

#: The settings of the worker that mean something here.
SETTINGS = (*MESSAGE_SETTINGS, *ENTITY_SETTINGS, "models", *TAGGER_SETTINGS)

#: Lines that are tagged together at most.
_BATCH_LINES = 64


#: For a file of which no line is an article, though it begins as an object does.
_HINT = (
    "the input looks like one JSON object over many lines; --whole takes it as one article, and"
    " without it each line is one"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The input, how to read and write it, and the tagger's settings."""
    parser.add_argument(
        "file",
        nargs="?",
        default=STANDARD_INPUT,
        metavar="FILE",
        help="text or JSON lines; - or nothing is standard input",
    )
    add_format_argument(parser)
    parser.add_argument(
        "--whole",
        action="store_true",
        help="take the whole input as one article, not each line: a text of many lines, or one "
        "JSON object that is spread over lines, as it then comes out",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--pretty", action="store_true", help="print the text with its entities in colour"
    )
    form.add_argument(
        "--explain",
        action="store_true",
        help="instead of the articles, print of each message which fields were read, as what, and "
        "what becomes of it",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object a line, which is the default; of --explain too",
    )
    add_settings_arguments(parser, SETTINGS, defaults=OFFLINE_DEFAULTS)


def run(arguments: argparse.Namespace) -> int:
    """Tag the input; 0, or 1 where a line could not be tagged and was reported.

    Raises:
        SettingsError: the file cannot be read, or a setting is wrong.
        ModelError: the model cannot be loaded.
    """
    if arguments.pretty and arguments.json:
        raise SettingsError("--json", "--pretty is given too", "give one of the two")
    settings = load_settings(arguments, os.environ, defaults=OFFLINE_DEFAULTS)
    with opened(arguments.file) as stream:
        tagger = refined(taggers_from(settings), settings)
        codec = codec_from(settings)
        name = arguments.file
        output = _output(arguments, codec, tagger)
        source = whole(stream) if arguments.whole else lines(stream)
        first = next(source, None)
        read = article_reader(name, InputFormat(arguments.lines_format), first, codec)
        with _progress() as advance:
            tagging = _Tagging(read, tagger, output, advance)
            ahead = Readahead(itertools.chain([first] if first else [], source))
            while batch := ahead.next_lines(_BATCH_LINES):
                tagging.tag(batch)
        if not arguments.whole and tagging.is_one_object(first):
            tell(_HINT)
    return 1 if tagging.rejected else 0


def _output(arguments: argparse.Namespace, codec: Codec, tagger: Tagger) -> Output:
    name = "standard input" if arguments.file == STANDARD_INPUT else arguments.file
    if arguments.pretty:
        return Pretty(name, SafeConsole(file=sys.stdout))
    if arguments.explain:

        def tokens(article: Article) -> int:
            try:
                return tagger.encode([article])[0].tokens
            except LookupError:  # no model is for its language
                return 0

        return Explanations(sys.stdout.buffer, codec, tokens, arguments.json)
    return JsonLines(name, sys.stdout, codec)


class _Tagging:
    """Tags batches of lines in order, and says which lines cannot be tagged."""

    def __init__(
        self,
        read: Callable[[Line], Article | Untagged | Tombstone],
        tagger: Tagger,
        output: Output,
        advance: Callable[[int, int], None],
    ) -> None:
        self._read = read
        self._tagger = tagger
        self._output = output
        self._advance = advance
        self.rejected = 0
        self._lines = 0
        self._begins_broken = False

    def is_one_object(self, first: Line | None) -> bool:
        """Whether no line is an article, and the first is the beginning of an object."""
        begins = first is not None and first.value.lstrip().startswith(b"{")
        return begins and self._begins_broken and self.rejected == self._lines > 1

    def tag(self, batch: Sequence[Line]) -> None:
        """Tag these lines, and write what comes of them."""
        self._lines += len(batch)
        found = [self._found(line) for line in batch]
        articles = [one for one in found if isinstance(one, Article)]
        encodings = self._tagger.encode(articles)
        prepared = [
            PreparedArticle(article, encoding)
            for article, encoding in zip(articles, encodings, strict=True)
        ]
        result = self._tagger.begin(prepared, lambda: None)()
        answered = zip(prepared, result.answers, result.models, strict=True)
        for line, one in zip(batch, found, strict=True):
            outcome: TaggedArticle | Untagged | Tombstone | RejectedMessage
            if isinstance(one, Article):
                item, answer, model = next(answered)
                outcome = (
                    answer
                    if isinstance(answer, RejectedMessage)
                    else TaggedArticle(one, answer, item.encoding.tokens, model)
                )
            else:
                outcome = one
            if isinstance(outcome, RejectedMessage):
                if not self.rejected:
                    self._begins_broken = outcome.code == RejectCode.INVALID_JSON
                self.rejected += 1
                self._output.reject(line.number, outcome)
            else:
                self._output.write(outcome)
        self._output.flush()
        self._advance(len(articles), sum(item.encoding.tokens for item in prepared))

    def _found(self, line: Line) -> Article | Untagged | Tombstone | RejectedMessage:
        try:
            return self._read(line)
        except RejectedMessage as rejection:
            return rejection


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Articles and tokens so far, on a terminal that does not show the articles themselves."""
    if not sys.stderr.isatty() or sys.stdout.isatty():
        yield lambda _articles, _tokens: None
        return
    articles = tokens = 0
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        console=SafeConsole(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("tagging")

        def advance(more_articles: int, more_tokens: int) -> None:
            nonlocal articles, tokens
            articles += more_articles
            tokens += more_tokens
            bar.update(task, description=f"{articles:,} articles, {tokens:,} tokens")

        yield advance
