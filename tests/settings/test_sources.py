from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from consumer.contracts.choices import Delivery, Dtype, InputFormat, LogLevel
from consumer.settings.flags import is_table
from consumer.settings.schema import Settings
from consumer.settings.sources import (
    flag_name,
    load_settings,
    variable_name,
)
from tests.support.rigs.settings_sources import lines, load, parser


def test_without_sources_the_defaults_hold() -> None:
    assert load() == Settings()


def test_a_file_wins_over_the_defaults(tmp_path: Path) -> None:
    assert load(toml="batch_tokens = 3", tmp_path=tmp_path).batch_tokens == 3


def test_a_byte_order_mark_belongs_to_the_file(tmp_path: Path) -> None:
    assert load(toml="\ufeffbatch_tokens = 3", tmp_path=tmp_path).batch_tokens == 3


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    settings = load(
        env={"NERSTREAM_BATCH_TOKENS": "2"},
        toml="batch_tokens = 3\nbatch_articles = 4",
        tmp_path=tmp_path,
    )
    assert (settings.batch_tokens, settings.batch_articles) == (2, 4)


def test_a_flag_wins_over_the_variable_and_the_file(tmp_path: Path) -> None:
    settings = load(
        "--batch-tokens=1",
        env={"NERSTREAM_BATCH_TOKENS": "2", "NERSTREAM_BATCH_ARTICLES": "5"},
        toml="batch_tokens = 3\nbatch_articles = 4",
        tmp_path=tmp_path,
    )
    assert (settings.batch_tokens, settings.batch_articles) == (1, 5)


def test_a_wrong_value_that_a_better_source_replaces_does_no_harm(tmp_path: Path) -> None:
    settings = load(
        "--batch-tokens=1",
        env={"NERSTREAM_BATCH_TOKENS": "many"},
        toml='batch_tokens = "lots"',
        tmp_path=tmp_path,
    )
    assert settings.batch_tokens == 1


def test_defaults_of_a_command_lose_against_every_source() -> None:
    defaults = {"model": "bundled", "kafka": {"linger.ms": "1", "debug": "msg"}}
    settings = load("--kafka", "linger.ms=5", defaults=defaults)
    assert settings.model == "bundled"
    assert settings.kafka == {"linger.ms": "5", "debug": "msg"}
    assert load("--model=m", defaults=defaults).model == "m"


def test_a_default_gives_way_to_a_flag_by_another_name_of_the_property() -> None:
    settings = load("--kafka", "queue.buffering.max.ms=5", defaults={"kafka": {"linger.ms": "1"}})
    assert settings.kafka == {"queue.buffering.max.ms": "5"}


def test_two_names_of_one_property_are_given_once() -> None:
    assert lines("--kafka", "compression.codec=zstd", "--kafka", "compression.type=lz4") == [
        "--kafka compression.codec: compression.codec is another name of compression.type,"
        " which is given too; give one of the two"
    ]


#: Values of settings that do not take any names.
_NAMES = {
    "text_format": ("html", "title=plain"),
    "languages": ("en", "de"),
    "model_sha256": ("0" * 64, "f" * 64),
    "type_names": ("PER=person", "LOC=place"),
}


#: What a setting cannot do without.
NEEDED: dict[str, dict[str, Any]] = {"input_format": {"registry": {"url": "http://localhost"}}}


_TEXTS = {
    "device": "cpu",
    "workers": "3",
    "run_from": "earliest",
    "run_until": "end",
    "traces_endpoint": "http://collector:4318",
}


#: What can be given in one word; a preset changes other settings.
_OF_ONE_VALUE = [n for n in Settings.model_fields if not is_table(n) and n != "preset"]


@pytest.mark.parametrize("name", _OF_ONE_VALUE)
def test_every_setting_can_be_given_in_each_way(name: str, tmp_path: Path) -> None:
    default = Settings.model_fields[name].default
    other: Any
    if isinstance(default, Enum):
        other = next(member.value for member in type(default) if member != default)
        written = f'"{other}"'
    elif isinstance(default, tuple):
        other = _NAMES.get(name, ("x", "y"))
        written = "[" + ", ".join(f'"{one}"' for one in other) + "]"
    elif isinstance(default, str):
        other = _TEXTS.get(name, "other")
        written = f'"{other}"'
    elif isinstance(default, float):
        other = (default or 1.0) / 2
        written = str(other)
    else:
        other, written = default + 1, str(default + 1)
    text = ",".join(other) if isinstance(other, tuple) else str(other)
    needed = NEEDED.get(name, {})
    # A preset has values for others.
    expected = Settings(**needed, **({name: other} if name == "preset" else {}))
    for settings in (
        load(flag_name(name), text, defaults=needed),
        load(env={variable_name(name): text}, defaults=needed),
        load(toml=f"{name} = {written}", tmp_path=tmp_path, defaults=needed),
    ):
        assert settings.model_dump(mode="python")[name] == other
        assert settings.model_dump(exclude={name}) == expected.model_dump(exclude={name})


CHOICES = [
    (name, member)
    for name, field in Settings.model_fields.items()
    if isinstance(field.default, Enum)
    for member in type(field.default)
]


@pytest.mark.parametrize(("name", "member"), CHOICES)
def test_every_choice_can_be_given_in_each_way(name: str, member: Enum, tmp_path: Path) -> None:
    text = str(member.value)
    needed = dict(NEEDED.get(name, {}))
    if name == "output_format" and text in tuple(InputFormat):
        needed = {**NEEDED["input_format"], "input_format": text}
    for settings in (
        load(flag_name(name), text, defaults=needed),
        load(env={variable_name(name): text}, defaults=needed),
        load(toml=f'{name} = "{text}"', tmp_path=tmp_path, defaults=needed),
    ):
        assert getattr(settings, name) is member


def test_a_precision_that_is_none_is_named() -> None:
    assert {member for name, member in CHOICES if name == "dtype"} == set(Dtype)
    (line,) = lines("--dtype", "int61")
    assert line == (
        '--dtype: "int61" is no choice; did you mean int16? it must be one of auto, float32, '
        "bfloat16, float16, int16, int8"
    )


def test_values_have_the_types_of_the_settings() -> None:
    settings = load("--delivery=at_least_once", "--shutdown-timeout-s=2.5", "--log-level", "debug")
    assert settings.delivery is Delivery.AT_LEAST_ONCE
    assert settings.shutdown_timeout_s == 2.5
    assert settings.log_level is LogLevel.DEBUG


def test_the_file_is_named_by_flag_or_variable_and_the_flag_wins(tmp_path: Path) -> None:
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text("batch_tokens = 1")
    two.write_text("batch_tokens = 2")
    env = {"NERSTREAM_CONFIG": str(two)}
    assert load(env=env).batch_tokens == 2
    assert load("--config", str(one), env=env).batch_tokens == 1
    arguments = parser().parse_args(["--config", str(one)])
    assert load_settings(arguments, env, two).batch_tokens == 2
    assert load(env={"NERSTREAM_CONFIG": ""}) == Settings()


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_a_file_that_cannot_be_read_is_named_with_who_named_it(how: str, tmp_path: Path) -> None:
    missing = tmp_path / "worker.toml"
    flags = ("--config", str(missing)) if how == "flag" else ()
    env = {"NERSTREAM_CONFIG": str(missing)} if how == "variable" else {}
    source = "--config" if how == "flag" else "NERSTREAM_CONFIG"
    assert lines(*flags, env=env, tmp_path=tmp_path) == [
        f"{source}: worker.toml cannot be read (No such file or directory); name a TOML file"
    ]
    missing.mkdir()
    assert lines(*flags, env=env, tmp_path=tmp_path) == [
        f"{source}: worker.toml cannot be read (Is a directory); name a TOML file"
    ]


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    [line] = lines(toml="batch_tokens = 1\nmodel = bundled", tmp_path=tmp_path)
    assert line.startswith("--config: worker.toml is not TOML: ")
    assert "line 2" in line
    assert line.endswith('write name = value, text in "quotes"')


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("x = " + "[" * 100_000, "worker.toml is nested too deep; write name = value"),
        ("threads = " + "9" * 5000, "worker.toml has a value that cannot be read (Exceeds the"),
    ],
)
def test_a_file_that_no_reader_takes(toml: str, says: str, tmp_path: Path) -> None:
    [line] = lines(toml=toml, tmp_path=tmp_path)
    assert line.startswith(f"--config: {says}")


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "worker.toml"
    path.write_bytes(b'model = "\xff"')
    assert lines("--config", str(path), tmp_path=tmp_path) == [
        "--config: worker.toml is not UTF-8 (byte 9); a TOML file is UTF-8"
    ]


#: Settings that are empty where nobody gives them.
_EMPTY = [n for n in _OF_ONE_VALUE if Settings.model_fields[n].default in ("", ())]


@pytest.mark.parametrize("name", _EMPTY)
@pytest.mark.parametrize("empty", ["", " ", ","])
def test_nothing_is_no_value_of_a_flag_or_a_variable(name: str, empty: str, tmp_path: Path) -> None:
    flag, variable = flag_name(name), variable_name(name)
    assert lines(flag, empty) == [f"{flag}: is empty; give a value, or leave it out"]
    assert lines(env={variable: empty}) == [f"{variable}: is empty; give it a value, or unset it"]
    # In a file it stands as a person wrote it, and says what holds without it.
    written = '""' if Settings.model_fields[name].default == "" else "[]"
    assert load(toml=f"{name} = {written}", tmp_path=tmp_path) == Settings()


def test_the_bounds_of_a_run_are_among_them() -> None:
    assert {"run_from", "run_until", "run_group", "revision", "model_sha256"} <= set(_EMPTY)


def test_what_is_something_else_by_default_can_be_emptied() -> None:
    assert load("--id-field", "").id_field == ""
    assert load(env={"NERSTREAM_ID_FIELD": ""}).id_field == ""
