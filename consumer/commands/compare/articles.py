"""The articles that `nerstream compare` tags: JSON lines, lines of text, or of a CoNLL file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from consumer.commands.files import read_corpus
from consumer.commands.tag.input import (
    STANDARD_INPUT,
    InputFormat,
    Line,
    article_reader,
    lines,
    opened,
)
from consumer.contracts.errors import RejectedMessage, SettingsError
from consumer.contracts.messages import Article
from consumer.evaluation.conll import DOCUMENT_START
from consumer.loading import codec_from
from consumer.settings.schema import Settings


def articles_in(
    name: str,
    wanted: InputFormat,
    settings: Settings,
    on_rejected: Callable[[str, RejectedMessage], None],
) -> list[Article]:
    """All articles of an input, through the worker's own codec.

    Args:
        name: of the file; `-` is standard input.
        settings: say where the texts of a message are.
        wanted: its format. A file that begins as a CoNLL file with marks between its articles is
            one.
        on_rejected: called with each line that is no article, and why.

    Raises:
        SettingsError: it cannot be read, or there is no article in it.
    """
    with opened(name) as stream:
        source = lines(stream)
        first = next(source, None)
        if first is not None and first.value.startswith(DOCUMENT_START.encode()):
            source, wanted = _of_corpus(name), InputFormat.TEXT
        elif first is not None:
            source = itertools.chain([first], source)
        read = article_reader(name, wanted, first, codec_from(settings))
        articles = []
        for line in source:
            try:
                article = read(line)
            except RejectedMessage as rejection:
                on_rejected(f"line {line.number}", rejection)
                continue
            if isinstance(article, Article):
                articles.append(article)
    if not articles:
        raise SettingsError("FILE", f"there is no article in {name}", "name a file that has some")
    return articles


def _of_corpus(name: str) -> Iterator[Line]:
    if name == STANDARD_INPUT:
        raise SettingsError("FILE", "a CoNLL file is not read from standard input", "name the file")
    for number, article in enumerate(read_corpus(Path(name), "FILE"), 1):
        yield Line(number, article.text.encode())
