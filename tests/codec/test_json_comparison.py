"""What an output has kept of its article: the same bytes, wherever ours stand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.codec.article_codec import Codec
from consumer.codec.json_comparison import JsonComparison
from consumer.codec.output_place import RESERVED_WITH_NAMES, OutputPlace
from consumer.contracts.choices import NoText
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import (
    Article,
    Position,
    RawMessage,
    TaggedArticle,
    TopicPartition,
    Untagged,
)
from tests.support.fakes import MODEL

KEPT = JsonComparison().kept


def enriched(value: bytes, output_field: str = "") -> bytes:
    """What the worker makes of an article, or of what passes without text."""
    codec = Codec(("title",), id_field="", no_text=NoText.PASS, output_field=output_field)
    raw = RawMessage(Position(TopicPartition("news", 0), 0), None, value, (), None, 0)
    article = codec.decode(raw)
    if isinstance(article, Article):
        return codec.encode(TaggedArticle(article, (), 1, MODEL), 1_000)
    assert isinstance(article, Untagged)
    return codec.encode(article, 1_000)


@pytest.mark.parametrize(
    "value",
    [
        b'{"id":"1","title":"x"}',
        b' { "id" : "1" , "title" : "x" } \n',
        b'{"id":"1","title":"x","n":1.0e2,"n":2}',
        b'{"title":"x","id":"1","a":{"entities":[1],"tagging":2}}',
        b'{"id":"1","title":",\\"entities\\":[]"}',
        b'{"id":"1","title":"\\u0065ntities"}',
        b'{"id":"1"}',
        b"{}",
    ],
)
def test_of_an_article_all_is_kept(value: bytes) -> None:
    assert KEPT(value) == (value, False)
    assert KEPT(enriched(value)) == (value, True)


@pytest.mark.parametrize(
    "value",
    [
        b'{"id":"1","title":"x","entities":[],"tagging":{}}',
        b'{"id":"1","title":"x" ,"entities":[],"tagging":{"a":"}"}}',
        b'{"entities":[{"field":"title"}],"id":"1","tagging":null,"title":"x"}',
        b'{"id":"1","tagging":1,"title":"x","entities":[],"tagging":{}}',
        b'{"id":"1","title":"x","\\u0065ntities":[], "t\\u0061gging":{} }',
        b'{"id":"1","title":"x","entities":7}',
    ],
)
def test_of_an_article_that_was_tagged_before_ours_are_left_out(value: bytes) -> None:
    kept, _ = KEPT(value)
    assert KEPT(enriched(value)) == (kept, True)
    document = json.loads(value)
    assert json.loads(kept) == {
        name: document[name] for name in document if name not in ("entities", "tagging")
    }


@pytest.mark.parametrize("value", [b"{}", b"{ }", b" {\n\t} \n"])
@pytest.mark.parametrize("output_field", ["", "nlp", "x.nlp"])
def test_white_space_in_an_object_without_members_is_nothing(
    value: bytes, output_field: str
) -> None:
    kept = JsonComparison(OutputPlace(output_field)).kept
    assert kept(value) == (b"{}", False)
    assert kept(enriched(value, output_field)) == (b"{}", True)


@pytest.mark.parametrize(
    "value",
    [
        b'{"id":"1","title":"x"}',
        b'{"id":"1","names":["x"],"title":"x"}',
        b'{"id":"1","title":"x","entities":[],"names":[],"tagging":{}}',
    ],
)
@pytest.mark.parametrize("output_field", ["", "nlp"])
def test_the_names_of_an_article_are_ours_where_they_are_asked_for(
    value: bytes, output_field: str
) -> None:
    place = OutputPlace(output_field, RESERVED_WITH_NAMES)
    codec = Codec(("title",), output_field=output_field, people=frozenset({"PER"}))
    raw = RawMessage(Position(TopicPartition("news", 0), 0), None, value, (), None, 0)
    article = codec.decode(raw)
    assert isinstance(article, Article)
    output = codec.encode(TaggedArticle(article, (), 1, MODEL), 1_000)
    assert b'"names":[]' in output
    kept = JsonComparison(place).kept
    assert kept(output) == (kept(value)[0], True)


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(['","entities":', "\\"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["entities", "tagging", "x"]), inner, max_size=2)
    ),
    max_leaves=5,
)
NAMES = st.sampled_from(["entities", "tagging", "section", "enti\u0301ties", ""])


#: Where `entities` and `tagging` go, and what stands there.
NESTED = st.recursive(
    st.none() | st.just({}) | st.dictionaries(st.sampled_from(["a", "nlp"]), st.integers()),
    lambda inner: st.dictionaries(st.sampled_from(["x", "nlp", "entities"]), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(
    members=st.lists(st.tuples(st.sampled_from(["x", "nlp", "a"]), NESTED), max_size=4),
    output_field=st.sampled_from(["nlp", "x.nlp", "x.x.nlp"]),
    is_ascii=st.booleans(),
)
def test_below_the_top_as_well(
    members: list[tuple[str, Any]], output_field: str, is_ascii: bool
) -> None:
    colon, comma = (":", ",") if is_ascii else (" : ", " , ")
    value = f"{{{comma.join(json.dumps(n) + colon + json.dumps(one) for n, one in members)}}}"
    kept = JsonComparison(OutputPlace(output_field)).kept
    try:
        output = enriched(value.encode(), output_field)
    except RejectedMessage:
        return  # something that is no object stands on the way
    assert kept(output) == (kept(value.encode())[0], True)
    spoilt = output.replace(b'"a"', b'"b"')
    assert (kept(spoilt) == kept(output)) == (spoilt == output)


@settings(max_examples=300, deadline=None)
@given(
    members=st.lists(st.tuples(NAMES, VALUES), max_size=4),
    first=st.integers(0, 4),
    is_ascii=st.booleans(),
    separators=st.sampled_from([(",", ":"), (" , ", " : ")]),
)
def test_any_articles_output_has_kept_what_it_had_to(
    members: list[tuple[str, Any]], first: int, is_ascii: bool, separators: tuple[str, str]
) -> None:
    members.insert(min(first, len(members)), ("id", "1"))
    comma, colon = separators
    value = (
        "{"
        + comma.join(
            json.dumps(name, ensure_ascii=is_ascii)
            + colon
            + json.dumps(one, ensure_ascii=is_ascii, separators=separators)
            for name, one in members
        )
        + "}"
    ).encode()
    assert KEPT(enriched(value)) == (KEPT(value)[0], True)


@pytest.mark.parametrize(
    "change",
    [
        (b'"x"', b'"y"'),
        (b'"id":"1",', b'"id":"1", '),
        (b'"entities":[],', b'"entities":[],"more":1,'),
        (b'"tagging":', b'"tagginG":'),
        (b'"id":"1",', b""),
    ],
)
def test_what_was_changed_is_seen(change: tuple[bytes, bytes]) -> None:
    value = b'{"id":"1","title":"x"}'
    spoilt = enriched(value).replace(*change)
    assert spoilt != enriched(value)
    assert KEPT(spoilt) != (value, True)


@given(value=st.binary(max_size=60) | st.text('{}[]",:\\entiagu0', max_size=40).map(str.encode))
def test_any_bytes_are_taken(value: bytes) -> None:
    kept, _ = KEPT(value)
    assert len(kept) <= len(value)


def test_what_is_no_article_stays_the_very_object() -> None:
    for value in (b"", b"{", b"[1]", b"\xff", b'{"entities":', b"1"):
        assert KEPT(value)[0] is value
        assert JsonComparison(OutputPlace("entities.x")).kept(value)[0] is value


def test_a_byte_order_mark_of_the_input_is_no_part_of_the_article() -> None:
    value = b'\xef\xbb\xbf{"title":"A"}'
    assert KEPT(value) == (b'{"title":"A"}', False)
    assert KEPT(enriched(value)) == (b'{"title":"A"}', True)
