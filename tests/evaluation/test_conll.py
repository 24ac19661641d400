from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from consumer.evaluation.conll import (
    ConllError,
    LabelledArticle,
    Sentence,
    corpus_statistics,
    parse_conll,
    read_conll,
    to_iob2,
)

CORPUS = Path(__file__).parents[3] / "shared" / "conll2003"


def parse(text: str) -> list[LabelledArticle]:
    return list(parse_conll(text.split("\n"), "made-up.txt"))


def test_four_columns_with_document_marks() -> None:
    articles = parse(
        "-DOCSTART- -X- -X- O\n\n"
        "Maria NNP B-NP B-PER\nLund NNP I-NP I-PER\nsings VBZ B-VP O\n\n"
        "Oslo NNP B-NP B-LOC\n\n"
        "-DOCSTART- -X- -X- O\n\n"
        "Rain NN B-NP O\n"
    )
    assert articles == [
        LabelledArticle(
            (
                Sentence(("Maria", "Lund", "sings"), ("B-PER", "I-PER", "O")),
                Sentence(("Oslo",), ("B-LOC",)),
            )
        ),
        LabelledArticle((Sentence(("Rain",), ("O",)),)),
    ]
    assert articles[0].text == "Maria Lund sings\nOslo"


def test_two_columns_without_document_marks_are_one_article() -> None:
    (article,) = parse("Maria B-PER\nsings O\n\nin O\nOslo B-LOC")
    assert [sentence.words for sentence in article.sentences] == [
        ("Maria", "sings"),
        ("in", "Oslo"),
    ]


def test_with_tabs_a_word_may_hold_a_space() -> None:
    (article,) = parse("1 000\tO\r\nOslo\tB-LOC\r\n")
    assert article.sentences == (Sentence(("1 000", "Oslo"), ("O", "B-LOC")),)


def test_runs_of_spaces_are_one_separator() -> None:
    (article,) = parse("Oslo   NNP  B-LOC ")
    assert article.sentences[0] == Sentence(("Oslo",), ("B-LOC",))


def test_a_document_mark_of_one_column_is_read() -> None:
    assert len(parse("-DOCSTART-\n\na O\n\n-DOCSTART-\n\nb O\n")) == 2


def test_empty_sentences_and_articles_are_left_out() -> None:
    articles = parse("\n\n-DOCSTART- O\n\n-DOCSTART- O\n\n\na O\n\n\n\nb O\n\n")
    assert [len(article.sentences) for article in articles] == [2]


@pytest.mark.parametrize(
    ("scheme", "labels"),
    [
        ("IOB1", "I-PER I-PER B-PER O I-LOC I-ORG O"),
        ("IOB2", "B-PER I-PER B-PER O B-LOC B-ORG O"),
        ("IOBES", "B-PER E-PER S-PER O S-LOC S-ORG O"),
        ("BILOU", "B-PER L-PER U-PER O U-LOC U-ORG O"),
    ],
)
def test_every_scheme_becomes_iob2(scheme: str, labels: str) -> None:
    assert " ".join(to_iob2(labels.split())) == "B-PER I-PER B-PER O B-LOC B-ORG O", scheme


def test_a_single_word_entity_closes_before_an_inside_label_of_its_type() -> None:
    assert to_iob2(["S-PER", "I-PER", "E-PER", "I-PER"]) == ("B-PER", "B-PER", "I-PER", "B-PER")


def test_an_entity_does_not_reach_over_the_end_of_a_sentence() -> None:
    (article,) = parse("Oslo I-LOC\n\nBergen I-LOC")
    assert [sentence.labels for sentence in article.sentences] == [("B-LOC",), ("B-LOC",)]


def test_a_type_may_hold_a_dash() -> None:
    assert to_iob2(["I-work-of-art", "I-work-of-art"]) == ("B-work-of-art", "I-work-of-art")


@pytest.mark.parametrize(
    ("text", "line_number", "problem"),
    [
        ("a O\nOslo\n", 2, "the word 'Oslo' has no label column"),
        ("a O\n\nOslo NNP B-LOC\n", 3, "3 columns where earlier lines have 2"),
        ("a O\nOslo LOC\n", 2, "the last column is 'LOC'"),
        ("Oslo B-\n", 1, "the last column is 'B-'"),
        ("Oslo X-LOC\n", 1, "the last column is 'X-LOC'"),
    ],
)
def test_errors_name_the_line(text: str, line_number: int, problem: str) -> None:
    with pytest.raises(ConllError, match=f"^made-up.txt:{line_number}: ") as caught:
        parse(text)
    assert caught.value.line_number == line_number
    assert caught.value.problem.startswith(problem)


def test_a_file_without_a_word_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_text("-DOCSTART- O\n\n")
    with pytest.raises(ConllError, match="there is no word in this file"):
        read_conll(path)


def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes("Oslo B-LOC\nMalmö B-LOC\n".encode("latin-1"))
    with pytest.raises(ConllError, match=r"latin.txt:2: the text is not UTF-8"):
        read_conll(path)


def test_a_file_may_begin_with_a_byte_order_mark_and_hold_odd_line_separators(
    tmp_path: Path,
) -> None:
    path = tmp_path / "marked.txt"
    path.write_bytes("\ufeffOslo B-LOC\r\na\u2028b O\r\n".encode())
    (article,) = read_conll(path)
    assert article.sentences[0].words == ("Oslo", "a\u2028b")


def test_statistics() -> None:
    statistics = corpus_statistics(
        parse("-DOCSTART- O\n\na B-PER\nb I-PER\nc B-PER\n\nd B-LOC\n\n-DOCSTART- O\n\ne O\n")
    )
    assert (statistics.articles, statistics.sentences, statistics.words) == (2, 3, 5)
    assert statistics.entities == (("LOC", 1), ("PER", 2))


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the CoNLL-2003 files are not beside the project")
@pytest.mark.parametrize(
    ("split", "counts", "entities"),
    [
        ("train", (946, 14_041, 203_621), (7_140, 3_438, 6_321, 6_600)),
        ("dev", (216, 3_250, 51_362), (1_837, 922, 1_341, 1_842)),
    ],
)
def test_conll_2003_counts_as_published(
    split: str, counts: tuple[int, ...], entities: tuple[int, ...]
) -> None:
    statistics = corpus_statistics(read_conll(CORPUS / f"{split}.txt"))
    assert (statistics.articles, statistics.sentences, statistics.words) == counts
    types = ("LOC", "MISC", "ORG", "PER")
    assert statistics.entities == tuple(zip(types, entities, strict=True))


def test_reading_and_scoring_need_no_torch() -> None:
    script = (
        "import sys, consumer.evaluation.conll, consumer.evaluation.scoring;"
        "import consumer.commands.train;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
