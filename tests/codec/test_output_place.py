"""Where the additions go, and that nothing else of the message changes."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumer.codec import json_text
from consumer.codec.article_codec import Codec
from consumer.contracts.choices import NoText, SkipReason
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.messages import (
    Article,
    ModelInfo,
    Position,
    RawMessage,
    TaggedArticle,
    TopicPartition,
    Untagged,
)

INFO = ModelInfo("m", "r", "cpu", "float32", ("PER",))
ADDED = ["entities", "tagging"]


def raw(value: str) -> RawMessage:
    return RawMessage(Position(TopicPartition("t", 0), 7), None, value.encode(), (), 1, 0)


def encoded(value: str, output_field: str, *text_fields: str) -> str:
    codec = Codec(text_fields or ("title",), id_field="", output_field=output_field)
    article = codec.decode(raw(value))
    assert isinstance(article, Article)
    return codec.encode(TaggedArticle(article, (), 1, INFO), 0).decode()


ADDITIONS = encoded('{"title":"x"}', "").removeprefix('{"title":"x",').removesuffix("}")


@pytest.mark.parametrize("fields", [("title",), ("title", "a.b")])
@pytest.mark.parametrize(
    ("output_field", "value", "expected"),
    [
        ("", '{"title":"x"}', '{"title":"x",+}'),
        ("n", '{"title":"x"} ', '{"title":"x","n":{+}} '),
        ("n", '{"n":1 ,"title":"x","n" : [{}]}', '{"title":"x","n":{+}}'),
        (
            "n",
            '{"title":"x","entities":1,"tagging":2}',
            '{"title":"x","entities":1,"tagging":2,"n":{+}}',
        ),
        ("x.n", '{"title":"x"}', '{"title":"x","x":{"n":{+}}}'),
        ("x.n", '{"x":{}, "title":"x"}', '{"x":{"n":{+}}, "title":"x"}'),
        ("x.n", '{"x" :{ } , "title":"x"}', '{"x" :{ "n":{+}} , "title":"x"}'),
        ("x.n", '{"x": {"a":1.10 }, "title":"x"}', '{"x": {"a":1.10 ,"n":{+}}, "title":"x"}'),
        ("x.n", '{"x":{"n":[1],"b":2}, "title":"x"}', '{"x":{"b":2,"n":{+}}, "title":"x"}'),
        ("x.n", '{"x":{"n":0}, "title":"x"}', '{"x":{"n":{+}}, "title":"x"}'),
        (
            "x.n",
            '{"x":1, "x":{"a":"{"}, "title":"x"}',
            '{"x":1, "x":{"a":"{","n":{+}}, "title":"x"}',
        ),
        ("x.n", '{"x":null,"title":"x"}', '{"title":"x","x":{"n":{+}}}'),
        (
            "x.y.n",
            '{"x":{"a":{"y":1}},"title":"x"}',
            '{"x":{"a":{"y":1},"y":{"n":{+}}},"title":"x"}',
        ),
        ("x.y.n", '{"x":{"y":{"b":"}"}},"title":"x"}', '{"x":{"y":{"b":"}","n":{+}}},"title":"x"}'),
        ("x.y.n", '{"x":{"y":null,"z":1},"title":"x"}', '{"x":{"z":1,"y":{"n":{+}}},"title":"x"}'),
        ('"x.y".n', '{"x.y":{},"title":"x"}', '{"x.y":{"n":{+}},"title":"x"}'),
        ("x.n", '{"\\u0078":{"a":1},"title":"x"}', '{"\\u0078":{"a":1,"n":{+}},"title":"x"}'),
    ],
)
def test_the_additions_stand_in_their_place_and_every_other_byte_stays(
    fields: tuple[str, ...], output_field: str, value: str, expected: str
) -> None:
    assert encoded(value, output_field, *fields) == expected.replace("+", ADDITIONS)


@pytest.mark.parametrize(
    ("output_field", "value", "told"),
    [
        ("x.n", '{"x":"text"}', "\"x\" is a string ('text'); it must be an object, null or absent"),
        ("x.n", '{"x":[1]}', '"x" is a list of 1'),
        ("x.y.n", '{"x":{"y":5}}', 'output_field is "x.y.n", and "x.y" is a number (5)'),
    ],
)
def test_a_place_within_something_else_rejects_the_message(
    output_field: str, value: str, told: str
) -> None:
    value = '{"title":"x",' + value[1:]
    for fields in (("title",), ("title", "a.b")):
        with pytest.raises(RejectedMessage, match="output_field") as caught:
            encoded(value, output_field, *fields)
        assert caught.value.code == "wrong_type"
        assert told in caught.value.message


@pytest.mark.parametrize("output_field", ["", "n", "x.n"])
@pytest.mark.parametrize("value", ["{}", " { \n} ", '{"entities":[],"tagging":{}}', '{"x":{}}'])
def test_what_passes_untagged_says_why(output_field: str, value: str) -> None:
    codec = Codec(("title",), id_field="", no_text=NoText.PASS, output_field=output_field)
    passed = codec.decode(raw(value))
    assert isinstance(passed, Untagged)
    out = json.loads(codec.encode(passed, 0))
    for name in output_field.split(".") if output_field else ():
        out = out[name]
    assert out["entities"] == []
    assert list(out["tagging"]) == ["skipped", "version", "tagged_at"]
    assert out["tagging"]["skipped"] == SkipReason.NO_TEXT


_values = st.recursive(
    st.none() | st.integers(-5, 5) | st.text('ab{}[]",:\\', max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["x", "y", "n", "é", ""]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    document=st.dictionaries(st.sampled_from(["x", "y", "n", "é", ""]), _values, max_size=4),
    names=st.lists(st.sampled_from(["x", "y", "n", "é"]), min_size=1, max_size=3),
    indent=st.sampled_from([None, 1]),
)
@example(document={"x": {}}, names=["x", "n"], indent=1)
def test_a_member_can_be_put_into_any_object(
    document: dict[str, Any], names: list[str], indent: int | None
) -> None:
    here: Any = document
    for name in names[:-1]:
        here = here.get(name)
        if here is None:
            break
        if not isinstance(here, dict):
            return  # refused before it comes to this
    value = json.dumps(document, indent=indent).encode()
    out = orjson.loads(json_text.with_member_at(value, names, b"[1]", replacing=True))
    expected = document
    for name in names[:-1]:
        if expected.get(name) is None:
            expected[name] = {}
        expected = expected[name]
    expected[names[-1]] = [1]
    assert out == document
