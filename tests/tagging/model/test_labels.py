"""The labels of a model, in the spellings in which checkpoints have them."""

from __future__ import annotations

import re

import pytest

from consumer.contracts.errors import ModelError
from consumer.tagging.model.labels import UNNAMED_TYPE, Labels, read_labels


def read(names: str) -> Labels:
    return read_labels(dict(enumerate(names.split())), "some/model")


def as_iob2(labels: Labels) -> list[str]:
    """What each output stands for, in one spelling: `O`, or the type with B, I, E or S."""
    letters = {(False, False): "I", (True, False): "B", (False, True): "E", (True, True): "S"}
    return [
        "O" if type_id < 0 else f"{letters[begins, ends]}-{labels.types[type_id]}"
        for type_id, begins, ends in zip(
            labels.type_ids.tolist(), labels.begins.tolist(), labels.ends.tolist(), strict=True
        )
    ]


@pytest.mark.parametrize(
    ("names", "scheme", "meaning"),
    [
        ("O B-PER I-PER B-LOC", "IOB", "O B-PER I-PER B-LOC"),
        ("B-PER I-PER O", "IOB", "B-PER I-PER O"),
        ("O I-PER I-LOC", "IO", "O I-PER I-LOC"),
        ("O PER LOC", "IO", "O I-PER I-LOC"),
        ("O B-PER I-PER LOC", "IOB", "O B-PER I-PER I-LOC"),
        # Other spellings of the letter.
        ("O B_PER I_PER", "IOB", "O B-PER I-PER"),
        ("O B:PER I:PER B/LOC I|LOC", "IOB", "O B-PER I-PER B-LOC I-LOC"),
        ("o b-per i-per", "IOB", "O B-per I-per"),
        ("o b_loc i_loc b_per", "IOB", "O B-loc I-loc B-per"),
        ("O PER-B PER-I LOC-B LOC-I", "IOB", "O B-PER I-PER B-LOC I-LOC"),
        ("O PER_B PER_I PER_E PER_S", "BIOES", "O B-PER I-PER E-PER S-PER"),
        ("O PER-B PER-I LOC", "IOB", "O B-PER I-PER I-LOC"),
        ("O B–PER I–PER B‑LOC I−LOC", "IOB", "O B-PER I-PER B-LOC I-LOC"),
        ("O B+PER I+PER B~LOC I@LOC", "IOB", "O B-PER I-PER B-LOC I-LOC"),
        ("O B__PER I__PER B--LOC I::LOC", "IOB", "O B-PER I-PER B-LOC I-LOC"),
        ("Ｏ Ｂ－ＰＥＲ Ｉ－ＰＥＲ", "IOB", "O B-PER I-PER"),
        # Other letters.
        ("O B-PER I-PER E-PER S-PER S-LOC", "BIOES", "O B-PER I-PER E-PER S-PER S-LOC"),
        ("O B-PER I-PER L-PER U-PER", "BILOU", "O B-PER I-PER E-PER S-PER"),
        ("O B-NAME M-NAME E-NAME S-NAME", "BIOES", "O B-NAME I-NAME E-NAME S-NAME"),
        ("O B-PER M-PER E-PER W-PER", "BIOES", "O B-PER I-PER E-PER S-PER"),
        ("O b-PER i-PER e-PER s-PER", "BIOES", "O B-PER I-PER E-PER S-PER"),
        # Letters alone.
        ("B I O", "IOB", f"B-{UNNAMED_TYPE} I-{UNNAMED_TYPE} O"),
        ("O B I E S", "BIOES", "O B-ENTITY I-ENTITY E-ENTITY S-ENTITY"),
        ("O BEGIN INSIDE", "IOB", "O B-ENTITY I-ENTITY"),
        ("outside inside begin", "IOB", "O I-ENTITY B-ENTITY"),
        ("O Beg In", "IOB", "O B-ENTITY I-ENTITY"),
        ("OUT beginning I", "IOB", "O B-ENTITY I-ENTITY"),
        ("O BEGIN MIDDLE END SINGLE", "BIOES", "O B-ENTITY I-ENTITY E-ENTITY S-ENTITY"),
        ("O begin inside last unit", "BILOU", "O B-ENTITY I-ENTITY E-ENTITY S-ENTITY"),
        # Of those words a type may be one.
        ("O UNIT QUANTITY", "IO", "O I-UNIT I-QUANTITY"),
        ("O B-QUANTITY I-QUANTITY UNIT", "IOB", "O B-QUANTITY I-QUANTITY I-UNIT"),
        ("O S E", "IO", "O I-S I-E"),
        # Types that hold separators and letters.
        ("O B-GPE-LOC I-GPE-LOC", "IOB", "O B-GPE-LOC I-GPE-LOC"),
        ("O B-EVENT_TYPE I-EVENT_TYPE", "IOB", "O B-EVENT_TYPE I-EVENT_TYPE"),
        ("O CREATIVE-WORK PER", "IO", "O I-CREATIVE-WORK I-PER"),
        ("O B-corporation I-corporation", "IOB", "O B-corporation I-corporation"),
        ("O B-B I-B B-I I-I", "IOB", "O B-B I-B B-I I-I"),
        ("O PHONE E-MAIL", "IO", "O I-PHONE I-E-MAIL"),
        ("O B-E-MAIL I-E-MAIL", "IOB", "O B-E-MAIL I-E-MAIL"),
        ("O DNA cell_line b_cell", "IO", "O I-DNA I-cell_line I-b_cell"),
        ("O HEPATITIS_B HEPATITIS_C", "IO", "O I-HEPATITIS_B I-HEPATITIS_C"),
        ("O FIRST_NAME LAST_NAME S_CORP", "IO", "O I-FIRST_NAME I-LAST_NAME I-S_CORP"),
        # Spellings of the outside.
        ("B-O I-O B-PER I-PER", "IOB", "O O B-PER I-PER"),
        ("O-B O-I PER-B PER-I", "IOB", "O O B-PER I-PER"),
        ("NONE B-PER I-PER", "IOB", "O B-PER I-PER"),
        ("OUT PER", "IO", "O I-PER"),
        ("outside b-per i-per", "IOB", "O B-per I-per"),
        ("0 B-PER I-PER", "IOB", "O B-PER I-PER"),
        ("OTHER PER LOC", "IO", "O I-PER I-LOC"),
        ("N/A PER", "IO", "O I-PER"),
        ("Not-an-Entity B-PER I-PER", "IOB", "O B-PER I-PER"),
        ("B-PER I-PER О", "IOB", "B-PER I-PER O"),
        ("O B-0 I-0 B-1 I-1", "IOB", "O B-0 I-0 B-1 I-1"),
        ("O OTHER B-NIL PER", "IOB", "O I-OTHER B-NIL I-PER"),
        ("O B-OTHER I-OTHER", "IOB", "O B-OTHER I-OTHER"),
        ("[PAD] O B-PER I-PER X [CLS] [SEP]", "IOB", "O O B-PER I-PER O O O"),
        ("<pad> O B-PER <s> </s>", "IOB", "O O B-PER O O"),
    ],
)
def test_labels_are_read_as_they_are_spelled(names: str, scheme: str, meaning: str) -> None:
    labels = read(names)
    assert (labels.scheme, as_iob2(labels)) == (scheme, meaning.split())


def test_types_are_sorted_and_what_is_outside_is_told() -> None:
    labels = read("B-PER O LOC I-PER [PAD]")
    assert labels.types == ("LOC", "PER")
    assert labels.type_ids.tolist() == [1, -1, 0, 1, -1]
    assert labels.outside == ("O", "[PAD]")


def test_white_space_at_the_edges_of_a_label_is_none_of_it() -> None:
    labels = read_labels({0: "O\r", 1: " B-PER", 2: "I-PER\r"}, "m")
    assert (labels.types, labels.outside) == (("PER",), ("O",))
    labels = read_labels({0: "\ufeffO", 1: "B-PER\u200b", 2: "I-PER\0"}, "m")
    assert (labels.types, labels.outside) == (("PER",), ("O",))


@pytest.mark.parametrize("written", ["'{}'", '"{}"', "`{}`", "b'{}'", "u'{}'"])
def test_quotes_around_all_labels_are_none_of_them(written: str) -> None:
    names = ("O", "B-PER", "I-PER")
    labels = read_labels({n: written.format(name) for n, name in enumerate(names)}, "M")
    assert (labels.types, labels.outside) == (("PER",), ("O",))


def test_quotes_around_some_labels_belong_to_them() -> None:
    labels = read_labels(dict(enumerate(("O", "'t", "'title'"))), "M")
    assert labels.types == ("'t", "'title'")


def test_a_long_label_is_shown_by_its_beginning() -> None:
    with pytest.raises(
        ModelError, match=r"none of its labels \(Px{39}\.\.\., Qx{39}\.\.\.\) is for"
    ):
        read_labels({0: "P" + "x" * 5_000, 1: "Q" + "x" * 5_000}, "M")


def test_a_space_may_stand_between_letter_and_type() -> None:
    labels = read_labels({0: "O", 1: "B PER", 2: "I PER", 3: "B - LOC", 4: "I - LOC"}, "m")
    assert as_iob2(labels) == ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    labels = read_labels({0: "O", 1: "T cell", 2: "B cell"}, "m")
    assert labels.types == ("B cell", "T cell")


def test_one_type_may_be_written_in_two_ways_of_unicode() -> None:
    assert read_labels({0: "O", 1: "B-e\u0301", 2: "I-\u00e9"}, "m").types == ("\u00e9",)


@pytest.mark.parametrize("label", ["B-\ud800", "B-P\nER", "P\0ER"])
def test_a_type_of_what_is_no_text_is_refused(label: str) -> None:
    with pytest.raises(ModelError, match=r"its label 1, .*, holds what is no character of a text"):
        read_labels({0: "O", 1: label}, "m")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ("LABEL_0 LABEL_1", r"its labels have no names \(LABEL_0, ...\); name them under id2label"),
        ("O B-PER LABEL_2", "have no names"),
        ("0 1 2", "have no names"),
        ("B-PER I-PER", r"none of its labels \(B-PER, I-PER\) is for words in no entity, so every"),
        ("NEGATIVE POSITIVE", "is for words in no entity"),
        ("NOUN VERB ADJ ADP X", r"\(NOUN, VERB, ADJ, ADP, ...\) is for words in no entity"),
        ("[PAD] B-PER I-PER", "is for words in no entity"),
        ("O B-", "its label 1, 'B-', names no type; give it one under id2label"),
        ("- B-PER I-PER", "its label 0, '-', names no type; if it is for words in no entity, name"),
        (
            "B-PER I-PER _",
            r"label 2, '_', names no type; if .* entity, name it O under id2label in",
        ),
        ("O B-PER _", "its label 2, '_', names no type; give it one under id2label"),
        ("O B-PER .", r"its label 2, '\.', names no type"),
        ("O", "no label but O; choose"),
        ("O S-PER S-LOC", "its label 'S-PER' may be a type, or a type with a letter of IOB"),
        ("O B-PER I-PER E-MAIL", "its label 'E-MAIL' may be a type"),
        ("O HEPATITIS-B", "its label 'HEPATITIS-B' may be a type"),
        ("O B PER", "its label 'B' may be a type"),
        ("O B PER", "or a part of an entity of any type, and its other labels do not"),
        ("O PER Inside", "its label 'Inside' may be a type"),
        ("O B-PER I-PER E S", "its label 'E' may be a type"),
        ("O PER-B PER-I s", "its label 's' may be a type"),
        ("O B-PER I-PER E-PER BEGIN", "its label 'BEGIN' may be a type"),
        ("O BEGIN-PER INSIDE-PER", "its label 'BEGIN-PER' may be a type"),
        ("O PER_beg PER_in", "its label 'PER_beg' may be a type"),
        ("O B(PER) I(PER)", r"its label 'B\(PER\)' may be a type"),
        ("O PER[B] PER[I]", r"its label 'PER\[B\]' may be a type"),
        ("O BPER IPER", "its label 'BPER' may be a type"),
    ],
)
def test_labels_that_cannot_be_read_are_refused(names: str, says: str) -> None:
    with pytest.raises(ModelError, match=f"model some/model: .*{says}") as caught:
        read(names)
    assert not re.search(r"\n", str(caught.value))


def test_labels_must_be_numbered_without_gaps() -> None:
    with pytest.raises(ModelError, match="number the labels from 0"):
        read_labels({0: "O", 2: "B-PER"}, "m")


def test_an_empty_label_names_no_type() -> None:
    with pytest.raises(ModelError, match="its label 1, '', names no type"):
        read_labels({0: "O", 1: " ", 2: "PER"}, "m")
