"""Articles with gold labels, from files in the CoNLL column format.

One word a line, the word first and its label last, a blank line after each
sentence, and optionally a ``-DOCSTART-`` line before each article. Columns are
separated by tabs or by spaces, and there may be two (word, label) or more (the
four of CoNLL-2003: word, part of speech, chunk, label).

Labels may be IOB1, IOB2, IOBES or BILOU; what comes out is always IOB2 (every
entity begins with ``B-``); `consumer.contracts.schemes` has their letters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from consumer.contracts.schemes import CLOSING, LETTERS, OPENING, OUTSIDE

#: The word that starts an article in CoNLL-2003 files.
DOCUMENT_START = "-DOCSTART-"

#: What a file should look like, for errors.
_FORM = "give one word a line with its label in the last column, and a blank line after a sentence"


class ConllError(ValueError):
    """A file that is not in the column format; says which file, line and why.

    `remedy` says what would be right.
    """

    def __init__(self, path: str, line_number: int, problem: str, remedy: str) -> None:
        super().__init__(f"{path}:{line_number}: {problem}")
        self.path = path
        self.line_number = line_number
        self.problem = problem
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words of one sentence and their IOB2 labels; both have the same length."""

    words: tuple[str, ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.words)


@dataclass(frozen=True, slots=True)
class LabelledArticle:
    """Consecutive sentences of one article, at least one."""

    sentences: tuple[Sentence, ...]

    @property
    def text(self) -> str:
        """Running text: words joined by spaces, sentences by line breaks."""
        return "\n".join(" ".join(sentence.words) for sentence in self.sentences)


@dataclass(frozen=True, slots=True)
class CorpusStatistics:
    """Counts over a corpus. ``entities`` holds (type, count), sorted by type."""

    articles: int
    sentences: int
    words: int
    entities: tuple[tuple[str, int], ...]


def read_conll(path: Path) -> tuple[LabelledArticle, ...]:
    """All articles of a UTF-8 file, in order.

    A file without any ``-DOCSTART-`` is one article. Sentences and articles
    without words are left out, as the shared task's own counts do.

    Raises:
        ConllError: a line lacks a label, a label has no known form, the number
            of columns changes, the text is not UTF-8, or there is no word at all.
        OSError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line_number = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConllError(
            str(path), line_number, "the text is not UTF-8", "convert the file to UTF-8"
        ) from error
    # Not splitlines(): it also splits at characters that may be part of a word.
    articles = tuple(parse_conll(text.split("\n"), str(path)))
    if not articles:
        raise ConllError(str(path), 1, "there is no word in this file", _FORM)
    return articles


def parse_conll(lines: Iterable[str], name: str) -> Iterator[LabelledArticle]:
    """Articles from lines; ``name`` stands for the file in errors.

    Raises:
        ConllError: as for `read_conll`, when the line at fault is reached.
    """
    sentences: list[Sentence] = []
    words: list[str] = []
    labels: list[str] = []
    columns = 0

    def end_sentence() -> None:
        if words:
            sentences.append(Sentence(tuple(words), to_iob2(labels)))
            words.clear()
            labels.clear()

    for line_number, line in enumerate(lines, start=1):
        fields = _fields(line)
        if not fields:
            end_sentence()
            continue
        if fields[0] == DOCUMENT_START:
            end_sentence()
            if sentences:
                yield LabelledArticle(tuple(sentences))
                sentences.clear()
            continue
        if len(fields) < 2:
            raise ConllError(
                name, line_number, f"the word {fields[0]!r} has no label column", _FORM
            )
        if columns and len(fields) != columns:
            raise ConllError(
                name,
                line_number,
                f"{len(fields)} columns where earlier lines have {columns}",
                "give every word the same columns, separated by one tab or by spaces alone",
            )
        columns = len(fields)
        if not _is_label(fields[-1]):
            raise ConllError(
                name,
                line_number,
                f"the last column is {fields[-1]!r}, not O or a label such as B-PER or I-PER",
                "put the label last: O, or B-, I-, E-, S-, L- or U- and a type",
            )
        words.append(fields[0])
        labels.append(fields[-1])
    end_sentence()
    if sentences:
        yield LabelledArticle(tuple(sentences))


def to_iob2(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels of one sentence in IOB1, IOB2, IOBES or BILOU, as IOB2.

    One rule reads them all: a word opens an entity if its prefix says so, or if
    no entity of its type is open. So a file need not name its scheme.
    """
    converted: list[str] = []
    open_type = ""
    for label in labels:
        prefix, _, entity_type = label.partition("-")
        if label == OUTSIDE:
            converted.append(OUTSIDE)
            open_type = ""
            continue
        opens = prefix in OPENING or entity_type != open_type
        converted.append(f"{'B' if opens else 'I'}-{entity_type}")
        open_type = "" if prefix in CLOSING else entity_type
    return tuple(converted)


def corpus_statistics(articles: Iterable[LabelledArticle]) -> CorpusStatistics:
    """Articles, sentences, words, and entities by type."""
    article_count = sentence_count = word_count = 0
    entities: Counter[str] = Counter()
    for article in articles:
        article_count += 1
        for sentence in article.sentences:
            sentence_count += 1
            word_count += len(sentence)
            entities.update(label[2:] for label in sentence.labels if label.startswith("B-"))
    return CorpusStatistics(
        article_count, sentence_count, word_count, tuple(sorted(entities.items()))
    )


def _fields(line: str) -> list[str]:
    """Columns of a line; a tab, where there is one, is the only separator.

    With tabs a word may hold spaces, which some corpora's numbers do.
    """
    stripped = line.strip(" \t\r\n")
    if "\t" in stripped:
        return [field.strip(" ") for field in stripped.split("\t")]
    return [field for field in stripped.split(" ") if field]


def _is_label(label: str) -> bool:
    prefix, dash, entity_type = label.partition("-")
    return label == OUTSIDE or bool(dash and entity_type and prefix in LETTERS)
