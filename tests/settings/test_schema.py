from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from consumer.settings.reserved import RESERVED_KAFKA_PROPERTIES
from consumer.settings.schema import GROUPS, Settings
from consumer.settings.secrets import MASK, is_secret
from tests.support.rigs.settings_sources import wrong


def test_defaults_are_valid_values_themselves() -> None:
    defaults = Settings()
    assert Settings(**defaults.model_dump()) == defaults


def test_every_setting_is_documented() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_groups_begin_at_settings_and_cover_all() -> None:
    names = list(Settings.model_fields)
    starts = [names.index(name) for name in GROUPS]
    assert starts == sorted(starts)
    assert starts[0] == 0


@pytest.mark.parametrize(
    ("value", "count"), [("1", 1), (4, 4), ("256", 256), ("auto", None), ("007", 7)]
)
def test_the_number_of_workers(value: Any, count: int | None) -> None:
    assert Settings(workers=value).worker_count == count


@pytest.mark.parametrize("value", ["", "0", "-1", "257", "many", 2.5, "1e2", "٣", None])
def test_no_number_of_workers(value: Any) -> None:
    said = wrong(workers=value)
    assert "is no number of workers" in said
    assert "a whole number from 1 to 256, or auto" in said


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().batch_tokens = 5


def test_an_unknown_setting_is_refused() -> None:
    assert "not permitted" in wrong(batch_token=5)


def test_lists_are_separated_by_commas() -> None:
    settings = Settings(input_topics="a, b ,,c", text_fields=["head line", "lead"])  # type: ignore[arg-type]
    assert settings.input_topics == ("a", "b", "c")
    assert settings.text_fields == ("head line", "lead")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"input_topics": ""}, "names nothing; it must name at least one, separated by commas"),
        ({"input_topics": " , "}, "names nothing; it must name at least one, separated by commas"),
        ({"text_fields": ()}, "names nothing; it must name at least one, separated by commas"),
        ({"text_fields": ("",)}, "names nothing; it must name at least one, separated by commas"),
        ({"text_fields": "a,b,a"}, "names a twice; it must name each once"),
        (
            {"type_names": "PER=a, PER = b"},
            "has PER=a and PER=b, both for PER; it must have one for each",
        ),
        (
            {"text_format": "title=html,title=plain"},
            "has title=html and title=plain, both for title; it must have one for each",
        ),
        ({"bootstrap_servers": ""}, "is empty; it must not be"),
        ({"group_id": " "}, "is empty; it must not be"),
        ({"group_id": "a\0b"}, "'a\\x00b' is no name of a group; it must be of printable ASCII"),
        ({"instance": "a\n"}, "'a\\n' has a control character; it must have none"),
        ({"instance": "a\udc80"}, "'a\\udc80' is not UTF-8; it must be"),
        ({"instance": "é" * 4_001}, "has 8,002 bytes; it must have at most 8,000"),
        ({"group_id": "é"}, "'é' is no name of a group; it must be of printable ASCII"),
        ({"model": ""}, "is empty; it must not be"),
        ({"output_topic": ""}, "is empty; it must not be"),
        ({"device": "gpu"}, '"gpu" is no device; it must be auto, cpu, cuda or cuda:N'),
        ({"device": "cuda:"}, '"cuda:" is no device; it must be auto, cpu, cuda or cuda:N'),
        ({"kafka": {"group.id": "x"}}, "group.id cannot be passed through; use group_id"),
    ],
)
def test_wrong_values_are_named_with_what_would_be_right(
    values: dict[str, Any], message: str
) -> None:
    assert wrong(**values) == message


@pytest.mark.parametrize("name", ["a b", "a/b", "ä", ".", "..", "x" * 250, "a,b"])
@pytest.mark.parametrize("setting", ["output_topic", "dead_letter_topic", "input_topics"])
def test_a_topic_has_a_name_that_kafka_takes(setting: str, name: str) -> None:
    value = (name,) if setting == "input_topics" else name
    expected = (
        f'"{name}" is no name of a topic;'
        " it must be 1 to 249 letters, digits, dots, underscores or hyphens"
    )
    assert wrong(**{setting: value}) == expected


def test_topics_of_every_form_that_kafka_takes() -> None:
    name = "A.b_c-9" + "x" * 242
    settings = Settings(output_topic=name, input_topics=("^news[.](de|fr)$", "..."))
    assert (settings.output_topic, settings.input_topics) == (name, ("^news[.](de|fr)$", "..."))


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:11"])
def test_devices(device: str) -> None:
    assert Settings(device=device).device == device


@pytest.mark.parametrize("setting", ["text_fields", "id_field", "language_field", "output_field"])
def test_a_json_pointer_is_no_path(setting: str) -> None:
    assert wrong(**{setting: "/a/b"}) == (
        "/a/b begins with a slash, as a JSON Pointer; "
        'write a.b for the path, or "/a/b" in double quotes for the name'
    )
    quoted: dict[str, Any] = {setting: '"/a/b"'}
    assert Settings(**quoted)


def test_paths_are_separated_by_the_commas_outside_of_their_brackets_and_quotes() -> None:
    text = """headline, payload.body ,bodies[?contains(a, 'x,]')].value,"a,b".c, [d, e]"""
    assert Settings(text_fields=text).text_fields == (  # type: ignore[arg-type]
        "headline",
        "payload.body",
        "bodies[?contains(a, 'x,]')].value",
        '"a,b".c',
        "[d, e]",
    )


@pytest.mark.parametrize("setting", ["text_fields", "id_field", "output_field"])
def test_a_path_that_does_not_parse_is_told_with_its_place_and_the_remedy(setting: str) -> None:
    told = wrong(**{setting: ("a..b",) if setting == "text_fields" else "a..b"})
    assert told.startswith('"a..b" is no path: unexpected text at character 3 (.b); write JMESPath')


@pytest.mark.parametrize("name", sorted(RESERVED_KAFKA_PROPERTIES))
def test_what_the_guarantees_rest_on_cannot_be_passed_through(name: str) -> None:
    assert wrong(kafka={name: "x"}) == (
        f"{name} cannot be passed through; {RESERVED_KAFKA_PROPERTIES[name]}"
    )


@pytest.mark.parametrize(
    "name",
    [
        "sasl.password",
        "ssl.key.password",
        "ssl.keystore.password",
        "ssl.key.pem",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
        "SASL.PASSWORD",
    ],
)
def test_secrets_are_masked_where_settings_are_shown(name: str) -> None:
    assert is_secret(name)
    shown = Settings(kafka={name: "hunter2", "sasl.username": "nerstream"}).shown()
    assert shown["kafka"] == {name: MASK, "sasl.username": "nerstream"}
    assert "hunter2" not in str(shown)


@pytest.mark.parametrize("name", ["sasl.username", "ssl.ca.location", "ssl.certificate.pem"])
def test_what_is_no_secret_is_shown(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("setting", "refused", "taken"),
    [
        ("batch_tokens", 0, 1),
        ("commit_interval_ms", -1, 0),
        ("transaction_timeout_ms", 999, 1_000),
        ("transaction_timeout_ms", 900_001, 900_000),
        ("dead_letter_max_ratio", 1.01, 1),
        ("dead_letter_max_ratio", -0.01, 0),
        ("dead_letter_max_ratio", "nan", 0.5),
        ("shutdown_timeout_s", 0, 0.001),
        ("shutdown_timeout_s", "inf", 1e6),
        ("admin_port", 65_536, 65_535),
        ("admin_port", -1, 0),
        ("threads", -1, 0),
    ],
)
def test_bounds(setting: str, refused: Any, taken: Any) -> None:
    wrong(**{setting: refused})
    assert getattr(Settings(**{setting: taken}), setting) == taken


def test_secrets_of_the_registry_are_masked() -> None:
    registry = {
        "url": "https://me:hidden@a/x,http://b",
        "basic.auth.user.info": "me:hidden",
        "bearer.auth.token": "hidden",
        "bearer.auth.client.secret": "hidden",
        "ssl.key.password": "hidden",
        "ssl.certificate.location": "/c",
    }
    shown = Settings(registry=registry).shown()["registry"]
    assert "hidden" not in str(shown)
    assert shown["url"] == f"https://{MASK}@a/x,http://b"
    assert shown["ssl.certificate.location"] == "/c"
