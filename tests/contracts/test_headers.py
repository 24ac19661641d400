"""The header that names an input: written, found again, and never taken from what came in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.contracts.headers import SOURCE, source_in, with_source, without_source
from consumer.contracts.messages import Headers, Position, TopicPartition

#: What Kafka lets into the name of a topic.
TOPICS = st.text("abcXYZ019._-", min_size=1, max_size=249)
POSITIONS = st.builds(
    Position,
    st.builds(TopicPartition, TOPICS, st.integers(0, 2**31 - 1)),
    st.integers(0, 2**63 - 1),
)
HEADERS = st.lists(
    st.tuples(st.sampled_from(["a", SOURCE, "__nerstream.sourc"]), st.none() | st.binary())
).map(tuple)


@given(headers=HEADERS, position=POSITIONS)
def test_it_is_found_again_and_all_else_stays(headers: Headers, position: Position) -> None:
    """Whatever the topic is called, and whatever came in by that name."""
    named = tuple(with_source(headers, position))
    assert source_in(named) == position
    assert [name for name, _ in named].count(SOURCE) == 1
    assert without_source(named) == without_source(headers)
    assert without_source(headers) == tuple(one for one in headers if one[0] != SOURCE)


def test_it_is_text_that_a_person_reads() -> None:
    position = Position(TopicPartition("news.eu-west_1", 3), 120)
    assert with_source((("a", b"1"),), position) == [
        ("a", b"1"),
        ("__nerstream.source", b"news.eu-west_1/3/120"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"news",
        b"news/1",
        b"/1/2",
        b"news/1/",
        b"news/-1/2",
        b"news/1/2.0",
        b"\xff/1/2",
        b"news/1/" + b"9" * 5_000,
    ],
)
def test_what_names_no_input_is_told_from_what_does(value: bytes | None) -> None:
    assert source_in(((SOURCE, value),)) is None


def test_without_the_header_there_is_none() -> None:
    assert source_in(()) is None
    assert source_in((("a", b"news/1/2"),)) is None
