"""Rules between settings, and whom they blame."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from consumer.contracts.choices import Delivery
from consumer.settings.schema import Settings
from consumer.settings.values import (
    WrongValue,
)
from tests.support.rigs.settings_sources import lines, wrong


def test_a_text_is_no_id() -> None:
    assert wrong(text_fields=("title", "id")) == (
        "id is named by text_fields and by id_field; a text is no id; "
        "each must name a field of its own"
    )
    assert "uri is named by text_fields" in wrong(text_fields=("uri",), id_field="uri")


def test_a_text_field_may_have_what_the_settings_give_no_other_meaning() -> None:
    moved = Settings(text_fields=("id", "entities"), id_field="uri", output_field="x.ner")
    assert moved.text_fields == ("id", "entities")


@pytest.mark.parametrize(
    ("text", "place", "options"),
    [
        ("entities", "entities", {}),
        ("tagging", "tagging", {}),
        ("tagging.model", "tagging", {}),
        ("entities[*].text", "entities", {}),
        ("names[0].text", "names", {"group_mentions": "on"}),
        ("ner", "ner", {"output_field": "ner"}),
        ("x.text", "x", {"output_field": "x"}),
        ("x.y", "x.y", {"output_field": "x.y"}),
        ("x.y[*]", "x.y", {"output_field": "x.y"}),
        ("x", "x.y", {"output_field": "x.y"}),
    ],
)
@pytest.mark.parametrize("setting", ["text_fields", "id_field", "language_field"])
def test_nothing_that_a_setting_names_stands_where_the_output_does(
    setting: str, text: str, place: str, options: dict[str, Any]
) -> None:
    value: Any = ("title", text) if setting == "text_fields" else text
    if setting == "id_field" and "[*]" in text:
        return  # many places are no id
    assert wrong(**{setting: value}, **options) == (
        f"{text}, which {setting} names, would be gone: the output has {place} there; "
        "each must name a place of its own"
    )


def test_of_the_two_that_name_one_place_the_one_that_was_given_is_blamed() -> None:
    for field, setting in (("title", "text_fields"), ("id", "id_field")):
        assert lines("--output-field", field) == [
            f"--output-field: {field}, which {setting} names, would be gone: the output has "
            f"{field} there; each must name a place of its own"
        ]
    assert lines("--id-field", "title") == [
        "--id-field: title is named by text_fields and by id_field; a text is no id; "
        "each must name a field of its own"
    ]


@pytest.mark.parametrize("text", ["x.z", "x[*].y", "*.y", "a || x.y", "members(@, 'x*')", "xx"])
def test_text_may_stand_beside_the_output(text: str) -> None:
    assert Settings(text_fields=(text,), output_field="x.y").text_fields == (text,)


@pytest.mark.parametrize(
    ("values", "settings", "problem"),
    [
        (
            {"output_topic": "x", "dead_letter_topic": "x"},
            ("dead_letter_topic", "output_topic"),
            "is x, and so is output_topic",
        ),
        (
            {"input_topics": ("a", "articles-tagged")},
            ("input_topics", "output_topic"),
            "articles-tagged takes in articles-tagged, which is the output_topic",
        ),
        (
            {"input_topics": ("articles-dead-letters",)},
            ("input_topics", "dead_letter_topic"),
            "articles-dead-letters takes in articles-dead-letters, which is the dead_letter_topic",
        ),
        (
            {"input_topics": ("^articles.*",)},
            ("input_topics", "output_topic"),
            "^articles.* takes in articles-tagged, which is the output_topic",
        ),
        (
            {"input_topics": ("^.*letters$",)},
            ("input_topics", "dead_letter_topic"),
            "^.*letters$ takes in articles-dead-letters, which is the dead_letter_topic",
        ),
    ],
)
def test_topics_that_the_worker_writes_to_are_not_read(
    values: dict[str, Any], settings: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(**values)
    error = caught.value.errors()[0]["ctx"]["error"]
    assert isinstance(error, WrongValue)
    assert (error.settings, error.problem) == (settings, problem)


def test_patterns_that_do_not_take_in_the_outputs_are_fine() -> None:
    assert Settings(input_topics=("^articles$", "^news-.*")).input_topics[0] == "^articles$"


def test_a_format_of_a_registry_needs_one() -> None:
    assert lines("--input-format", "avro") == [
        "--input-format: avro needs a schema registry, and there is none;"
        " give its address as registry.url"
    ]


def test_a_schema_is_not_made_up() -> None:
    assert lines("--output-format", "avro") == [
        "--output-format: avro cannot be made of input_format=json; it must be same, or json"
    ]


def test_commits_leave_the_broker_time() -> None:
    said = [
        "--commit-interval-ms: 15001 leaves no time to commit within transaction_timeout_ms=30000;"
        " it must be at most half of that, 15000; lower it, or raise transaction_timeout_ms"
    ]
    assert lines("--commit-interval-ms", "15001") == said
    assert Settings(commit_interval_ms=15_000).commit_interval_ms == 15_000
    assert lines("--commit-interval-ms", "600", "--transaction-timeout-ms", "1000") == [
        said[0].replace("15001", "600").replace("30000", "1000").replace("15000", "500")
    ]
    # Without transactions nothing is aborted.
    assert (
        Settings(commit_interval_ms=15_001, delivery=Delivery.AT_LEAST_ONCE).commit_interval_ms
        > 15_000
    )
