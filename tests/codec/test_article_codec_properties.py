"""What holds of the codec for any message: held against the standard library, on arbitrary JSON."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumer.codec.article_codec import Codec
from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import (
    Article,
    Entity,
    Headers,
    Position,
    RawMessage,
    Rejected,
    TaggedArticle,
    Tombstone,
    TopicPartition,
    Untagged,
)
from consumer.pipeline.dead_letters import dead_letter
from consumer.tagging.tagger import Tagger
from tests.faults.messages import message_oracle
from tests.faults.messages.large_articles import OUTPUT_LIMIT_BYTES
from tests.faults.messages.mutations import LARGE_PERIOD, kind_of, message
from tests.faults.workers import light_tagger
from tests.support.models.tiny_models import tag, tiny_tagger

AT_MS = 1_795_416_002_318
CODEC = Codec(message_oracle.TEXT_FIELDS)


def raw(value: bytes | None, key: bytes | None = None, headers: Headers = ()) -> RawMessage:
    return RawMessage(Position(TopicPartition("articles", 0), 7), key, value, headers, 1, 0)


def decoded(value: bytes | None) -> Article | Untagged | Tombstone | RejectedMessage:
    """What the codec says, its refusal too; any other exception fails the test."""
    try:
        return CODEC.decode(raw(value))
    except RejectedMessage as reason:
        return reason


def decode(value: bytes) -> Article:
    article = decoded(value)
    assert isinstance(article, Article)
    return article


def encode(article: Article, *entities: Entity) -> bytes:
    return CODEC.encode(TaggedArticle(article, entities, 1, light_tagger.INFO), AT_MS)


@cache
def shared_tagger() -> Tagger:
    return tiny_tagger()


# --- JSON as text, in every spelling that the grammar allows

_space = st.text(" \t\r\n", max_size=2)
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["", "Oslo 👩‍🍳 Lima", "e\u0301 Ñandú", "\u202eשלום", '"\\/{[,:]}', "\u0000\u001f\u2028"]
)


@st.composite
def _spelled_strings(draw: st.DrawFn, texts: st.SearchStrategy[str] = _texts) -> str:
    """A JSON string in which any character may be escaped, astral ones as two."""
    parts = []
    for character in draw(texts):
        if character in '"\\' or ord(character) < 0x20 or draw(st.booleans()):
            units = character.encode("utf-16-be")
            code = draw(st.sampled_from(("{:04x}", "{:04X}")))
            parts += [
                "\\u" + code.format(int.from_bytes(units[at : at + 2], "big"))
                for at in range(0, len(units), 2)
            ]
        else:
            parts.append(character)
    return f'"{"".join(parts)}"'


_numbers = st.from_regex(
    r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?", fullmatch=True
)
_scalars = st.one_of(_numbers, _spelled_strings(), st.sampled_from(["null", "true", "false"]))


@st.composite
def _containers(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    parts = draw(st.lists(inner, max_size=3))
    if draw(st.booleans()):
        return "[" + ",".join(draw(_space) + part + draw(_space) for part in parts) + "]"
    return "{" + ",".join(f"{draw(_spelled_strings())}:{part}" for part in parts) + "}"


_values = st.recursive(_scalars, _containers, max_leaves=6)
_names = _spelled_strings(_texts | st.sampled_from(["entities", "tagging", "id", "title"]))


@st.composite
def _articles(draw: st.DrawFn) -> bytes:
    """An article with other members around its own, names repeated or not."""
    other = draw(st.lists(st.tuples(_names, _values), max_size=4))
    own = [
        (draw(_spelled_strings(st.just(name))), draw(_spelled_strings(texts)))
        for name, texts in (("id", _texts.filter(bool)), ("title", _texts), ("body", _texts))
    ]
    # At the end, since of a name that is repeated the last value counts.
    members = [*other, *own, ('"body"', draw(_spelled_strings(_texts.filter(bool))))]
    spaces = [draw(_space) for _ in range(4)]
    text = ",".join(f"{spaces[0]}{name}{spaces[1]}:{spaces[2]}{value}" for name, value in members)
    return f"{spaces[3]}{{{text}{spaces[0]}}}{spaces[1]}".encode()


# --- properties


@settings(max_examples=500, deadline=None)
@given(seed=st.integers(0, 2**32), number=st.integers(0, LARGE_PERIOD // 4 - 1))
def test_a_mutated_message_becomes_what_the_standard_library_and_the_schema_say(
    seed: int, number: int
) -> None:
    value = message(seed, number).value
    right = message_oracle.expected(value, OUTPUT_LIMIT_BYTES).outcomes
    if kind_of(seed, number) == "not_a_number":
        return  # for the tagger to say
    found = decoded(value)
    if isinstance(found, RejectedMessage):
        assert found.code in right
        assert "\n" not in found.message
        assert len(found.message) < 600
    elif isinstance(found, Tombstone):
        assert value is None
    else:
        assert isinstance(found, Article)
        assert right == {message_oracle.ENRICHED}
        out = encode(found, *light_tagger.entities_of(found.fields))
        assert message_oracle.faults_of_enriched(value or b"", out) == []


@settings(max_examples=100, deadline=None)
@given(value=_articles())
@example(value=b'{"id":"7","body":"x","entities":1,"":[],"\\u0065ntities":[{"tagging":0}] }\n')
def test_all_but_the_two_fields_stays_in_whatever_spelling(value: bytes) -> None:
    article = decode(value)
    out = encode(article, *light_tagger.entities_of(article.fields))
    assert message_oracle.faults_of_enriched(value, out) == []
    before: list[tuple[str, Any]] = json.loads(value, object_pairs_hook=list)
    reserved = {"entities", "tagging"} & {name for name, _ in before}
    assert article.has_reserved_fields == bool(reserved)
    if not reserved:
        end = value.rindex(b"}")
        assert out.startswith(value[:end] + b',"entities":[')
        assert out.endswith(b"}" + value[end:])


@settings(max_examples=100, deadline=None)
@given(value=_articles())
def test_tagged_again_an_article_is_the_same(value: bytes) -> None:
    article = decode(value)
    out = encode(article, *light_tagger.entities_of(article.fields))
    again = decode(out)
    assert again.fields == article.fields
    assert again.has_reserved_fields
    assert json.loads(encode(again, *light_tagger.entities_of(again.fields))) == json.loads(out)


@settings(max_examples=100, deadline=None)
@given(title=_spelled_strings(), body=_spelled_strings(_texts.filter(bool)))
@example(title='"\\ud83d\\ude00 Ann"', body='"e\\u0301 \\ud83d\\udc69\\u200d\\ud83c\\udf73 Bob"')
def test_offsets_count_code_points_whatever_the_spelling(title: str, body: str) -> None:
    article = decode(f'{{"id":"7","title":{title},"body":{body}}}'.encode())
    (answer,) = tag(shared_tagger(), [article]).answers
    assert isinstance(answer, tuple)
    found = json.loads(encode(article, *answer))
    assert len(found["entities"]) == len(answer)
    for entity in found["entities"]:
        text = found[entity["field"]]
        assert text[entity["start"] : entity["end"]] == entity["text"]
        # The same by the code points that UTF-32 has, apart from Python's strings.
        points = text.encode("utf-32-le")[4 * entity["start"] : 4 * entity["end"]]
        assert points.decode("utf-32-le") == entity["text"]


def test_the_tagger_of_these_tests_does_find_entities() -> None:
    article = decode(b'{"id":"7","body":"\\ud83d\\ude00 Ann Bob Lisbon and so on"}')
    (answer,) = tag(shared_tagger(), [article]).answers
    assert isinstance(answer, tuple)
    assert answer


@settings(max_examples=100, deadline=None)
@given(value=st.binary(max_size=200), cut=st.integers(0, 200))
def test_what_is_cut_out_of_any_message_is_an_article_or_says_why_not(
    value: bytes, cut: int
) -> None:
    whole = b'{"id":"7","title":"' + value + b'","x":[{"a":' + value[:cut] + b"}]}"
    found = decoded(whole[: len(whole) - cut])
    if isinstance(found, RejectedMessage):
        assert found.code in list(RejectCode)
        assert "\n" not in found.message
    else:
        assert isinstance(found, Article)
        assert found.fields


_header_names = st.text(max_size=5) | st.sampled_from(
    ["a", "__nerstream.errors.code", "__nerstream.errors.", "__nerstream.source", "traceparent"]
)


@settings(max_examples=100, deadline=None)
@given(
    value=st.none() | st.binary(max_size=50),
    key=st.none() | st.binary(max_size=5),
    headers=st.lists(st.tuples(_header_names, st.none() | st.binary(max_size=5)), max_size=6),
    said=st.text(st.characters(codec=None)),
)
def test_a_dead_letter_has_all_that_came_and_each_reason_once(
    value: bytes | None,
    key: bytes | None,
    headers: list[tuple[str, bytes | None]],
    said: str,
) -> None:
    came = raw(value, key, tuple(headers))
    letter = dead_letter(
        Rejected(came, RejectCode.WRONG_TYPE, said, RejectStage.PREPARE), "dead", None, "1.0"
    )
    assert (letter.value, letter.key, letter.timestamp_ms) == (value, key, 1)
    kept = [header for header in headers if not header[0].startswith("__nerstream.errors.")]
    assert list(letter.headers[:-8]) == kept
    reasons = dict(letter.headers[-8:])
    assert len(reasons) == 8
    assert reasons["__nerstream.errors.code"] == b"wrong_type"
    assert reasons["__nerstream.errors.offset"] == b"7"


@pytest.mark.parametrize("levels", [126, 127, 128, 129, 1_000, 1_024, 100_000])
def test_depth_is_counted_as_the_oracle_counts_it(levels: int) -> None:
    value = b'{"id":"7","title":"x","z":' + b"[" * levels + b"]" * levels + b"}"
    right = message_oracle.expected(value, OUTPUT_LIMIT_BYTES).outcomes
    if levels <= 127:
        assert right == {message_oracle.ENRICHED}
        assert decode(value).id == "7"
        return
    found = decoded(value)
    assert isinstance(found, RejectedMessage)
    assert found.code == RejectCode.NESTED_TOO_DEEP
    assert found.code in right
