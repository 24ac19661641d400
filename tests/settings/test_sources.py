from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, get_origin

import pytest

from consumer.contracts.choices import Delivery, Dtype, InputFormat, LogLevel
from consumer.contracts.errors import SettingsError
from consumer.settings.faults import requirement
from consumer.settings.flags import ENTRIES, is_table, table_variable
from consumer.settings.schema import Settings
from consumer.settings.sources import (
    add_settings_arguments,
    flag_name,
    load_settings,
    variable_name,
)


def parser(**options: Any) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="nerstream run", allow_abbrev=False)
    add_settings_arguments(made, **options)
    return made


def load(
    *flags: str,
    env: Mapping[str, str] | None = None,
    toml: str | None = None,
    tmp_path: Path | None = None,
    **options: Any,
) -> Settings:
    path = None
    if toml is not None:
        assert tmp_path is not None
        path = tmp_path / "worker.toml"
        path.write_text(toml, encoding="utf-8")
    return load_settings(parser().parse_args(flags), env or {}, path, **options)


def lines(*flags: str, **sources: Any) -> list[str]:
    """What the error says, one line for each fault; the folder of the file is cut off."""
    with pytest.raises(SettingsError) as caught:
        load(*flags, **sources)
    error = caught.value
    text = str(error)
    assert [str(error).splitlines()[0], *map(str, error.also)] == text.splitlines()
    assert text.startswith(f"{error.setting}: {error.problem}; {error.remedy}")
    if sources.get("tmp_path"):
        text = text.replace(f"{sources['tmp_path']}/", "")
    return text.splitlines()


# --- precedence


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


# --- the file


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


# --- kafka.*


def test_properties_of_librdkafka_in_each_way(tmp_path: Path) -> None:
    settings = load(
        "--kafka=sasl.username=a=b,c",
        "--kafka",
        " ssl.ca.location = x",
        env={
            "NERSTREAM_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "NERSTREAM_KAFKA_SASL_USERNAME": "lost",
        },
        toml="""
            [kafka]
            security.protocol = "lost"
            "linger.ms" = 5
            log.connection.close = false
            socket.keepalive.enable = true
            reconnect.backoff.jitter = 0.5
            [kafka.sasl]
            mechanism = "PLAIN"
            """,
        tmp_path=tmp_path,
    )
    assert settings.kafka == {
        "sasl.username": "a=b,c",
        "ssl.ca.location": " x",
        "security.protocol": "SASL_SSL",
        "linger.ms": "5",
        "log.connection.close": "false",
        "socket.keepalive.enable": "true",
        "reconnect.backoff.jitter": "0.5",
        "sasl.mechanism": "PLAIN",
    }


def test_the_last_of_two_flags_for_one_property_counts() -> None:
    assert load("--kafka", "a=1", "--kafka", "a=2").kafka == {"a": "2"}


def test_an_empty_name_of_a_file_is_no_file_left_out(tmp_path: Path) -> None:
    assert lines("--config", "", tmp_path=tmp_path) == [
        "--config: is empty; name a TOML file, or leave it out"
    ]


def test_a_reserved_property_is_named_with_its_source(tmp_path: Path) -> None:
    assert lines("--kafka", "group.id=x") == [
        "--kafka group.id: group.id cannot be passed through; use group_id"
    ]
    assert lines(env={"NERSTREAM_KAFKA_ISOLATION_LEVEL": "x"}) == [
        "NERSTREAM_KAFKA_ISOLATION_LEVEL: isolation.level cannot be passed through;"
        " it is always read_committed"
    ]
    assert lines(toml='kafka.partitioner = "x"', tmp_path=tmp_path) == [
        "kafka.partitioner in worker.toml: partitioner cannot be passed through;"
        " it is always murmur2_random, as in the Java client"
    ]


@pytest.mark.parametrize("flag", ["security.protocol", "=SSL", " =SSL", ""])
def test_a_kafka_flag_is_an_assignment(flag: str) -> None:
    assert lines("--kafka", flag) == [
        f'--kafka: "{flag}" is no NAME=VALUE; write --kafka security.protocol=SSL'
    ]


def test_secrets_are_masked_in_errors(tmp_path: Path) -> None:
    found = lines(
        "--kafka",
        "sasl.password:hunter2",
        toml='kafka."ssl.key.password" = ["hunter2"]',
        tmp_path=tmp_path,
    )
    assert found == [
        "kafka.ssl.key.password in worker.toml: ******** is no value of a property;"
        " it must be text, a number, true or false; a list is text with commas",
        "--kafka: ******** is no NAME=VALUE; write --kafka security.protocol=SSL",
    ]


def test_a_secret_in_a_file_in_each_way(tmp_path: Path) -> None:
    settings = load(
        "--kafka=ssl.key.password_file=/k",
        env={
            "NERSTREAM_KAFKA_SASL_PASSWORD_FILE": "/p",
            "NERSTREAM_REGISTRY_BASIC_AUTH_USER_INFO_FILE": "/u",
            # A property of librdkafka's that ends so by itself.
            "NERSTREAM_KAFKA_SASL_OAUTHBEARER_ASSERTION_FILE": "/a",
        },
        toml='kafka.sasl.oauthbearer.client.secret_file = "/s"',
        tmp_path=tmp_path,
    )
    assert settings.kafka == {
        "ssl.key.password_file": "/k",
        "sasl.password_file": "/p",
        "sasl.oauthbearer.assertion.file": "/a",
        "sasl.oauthbearer.client.secret_file": "/s",
    }
    assert settings.registry == {"basic.auth.user.info_file": "/u"}
    assert settings.shown()["kafka"] == settings.kafka


def test_a_secret_is_given_once(tmp_path: Path) -> None:
    assert lines(
        "--kafka=sasl.password_file=/p",
        env={"NERSTREAM_KAFKA_SASL_PASSWORD": "hunter2"},
        toml='kafka.sasl.username_file = "/u"',
        tmp_path=tmp_path,
    ) == [
        "kafka.sasl.username_file in worker.toml: sasl.username is no secret, so no file is read"
        " for it; give sasl.username itself",
        "--kafka sasl.password_file: sasl.password is given too; give one of the two",
    ]


@pytest.mark.parametrize(
    ("flag", "value", "way"),
    [
        (
            "--kafka",
            "sasl.password=hunter2",
            "--kafka sasl.password_file=FILE, or set NERSTREAM_KAFKA_SASL_PASSWORD",
        ),
        (
            "--registry",
            "bearer.auth.token=hunter2",
            "--registry bearer.auth.token_file=FILE, or set NERSTREAM_REGISTRY_BEARER_AUTH_TOKEN",
        ),
        (
            "--registry",
            "url=https://me:hunter2@host",
            "--registry basic.auth.user.info_file=FILE, or set"
            " NERSTREAM_REGISTRY_BASIC_AUTH_USER_INFO",
        ),
    ],
)
def test_a_secret_on_the_command_line_is_refused(flag: str, value: str, way: str) -> None:
    name = value.partition("=")[0]
    assert lines(flag, value) == [
        f"{flag} {name}: a secret on the command line is seen by everybody on this machine;"
        f" write {way}"
    ]


def test_an_address_with_a_password_is_refused_as_a_flag_and_masked() -> None:
    address = "http://me:hunter2@collector:4318"
    assert lines("--traces-endpoint", address) == [
        "--traces-endpoint: a secret on the command line is seen by everybody on this machine;"
        " set NERSTREAM_TRACES_ENDPOINT"
    ]
    settings = load(env={"NERSTREAM_TRACES_ENDPOINT": address})
    assert settings.traces_endpoint == address
    assert settings.shown()["traces_endpoint"] == "http://********@collector:4318"


def test_kafka_in_the_file_is_a_table(tmp_path: Path) -> None:
    assert lines(toml='kafka = "sasl.password=hunter2"', tmp_path=tmp_path) == [
        'kafka in worker.toml: ******** is no table; write [kafka] and below it "security.protocol"'
        ' = "SSL"'
    ]
    assert lines(toml="kafka.x = 2026-11-23", tmp_path=tmp_path) == [
        "kafka.x in worker.toml: 2026-11-23 is no value of a property;"
        " it must be text, a number, true or false; a list is text with commas"
    ]


# --- unknown names


def test_unknown_variables_are_named_with_a_close_one() -> None:
    assert lines(env={"NERSTREAM_BATCH_TOKEN": "1"}) == [
        "NERSTREAM_BATCH_TOKEN: there is no variable of this name;"
        " did you mean NERSTREAM_BATCH_TOKENS?"
    ]
    assert lines(env={"NERSTREAM_CONFG": "1"}) == [
        "NERSTREAM_CONFG: there is no variable of this name; did you mean NERSTREAM_CONFIG?"
    ]
    assert lines(env={"NERSTREAM_QQQ": "1"}) == [
        "NERSTREAM_QQQ: there is no variable of this name; nerstream run --help names them all"
    ]
    assert "no variable of this name" in lines(env={"NERSTREAM_KAFKA": "1"})[0]
    assert "no variable of this name" in lines(env={"NERSTREAM_KAFKA_": "1"})[0]


def test_unknown_names_in_the_file(tmp_path: Path) -> None:
    assert lines(
        toml='batch-tokens = 1\n"sasl.username" = "x"\nqqq = 2\n[ssl]\nca = "x"', tmp_path=tmp_path
    ) == [
        "batch-tokens in worker.toml: there is no setting of this name; did you mean batch_tokens?",
        "sasl.username in worker.toml: is no setting;"
        " properties of librdkafka stand in the table [kafka]",
        "qqq in worker.toml: there is no setting of this name; nerstream run --help names them all",
        "ssl in worker.toml: is no setting; properties of librdkafka stand in the table [kafka]",
    ]


def test_variables_of_others_are_passed_over() -> None:
    assert (
        load(env={"PATH": "/bin", "nerstream_batch_tokens": "x", "NERSTREAMX": "1"}) == Settings()
    )


def test_addresses_that_kubernetes_puts_there_for_services_are_passed_over() -> None:
    env = {
        "NERSTREAM_SERVICE_HOST": "10.0.0.1",
        "NERSTREAM_SERVICE_PORT": "9464",
        "NERSTREAM_SERVICE_PORT_METRICS": "9464",
        "NERSTREAM_PORT": "tcp://10.0.0.1:9464",
        "NERSTREAM_PORT_9464_TCP": "tcp://10.0.0.1:9464",
        "NERSTREAM_PORT_9464_TCP_PROTO": "tcp",
        "NERSTREAM_PORT_9464_TCP_PORT": "9464",
        "NERSTREAM_PORT_9464_TCP_ADDR": "10.0.0.1",
        "NERSTREAM_ADMIN_PORT": "tcp://10.0.0.2:9464",
        "NERSTREAM_KAFKA_SERVICE_HOST": "10.0.0.3",
        "NERSTREAM_KAFKA_PORT_9092_TCP_ADDR": "10.0.0.3",
    }
    assert load(env=env) == Settings()
    assert load(env={"NERSTREAM_ADMIN_PORT": "9000"}).admin_port == 9000


# --- wrong values


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("batch_tokens", "many", '"many" will not do; it must be a whole number of at least 1'),
        ("batch_tokens", "", '"" will not do; it must be a whole number of at least 1'),
        ("batch_tokens", "1.5", '"1.5" will not do; it must be a whole number of at least 1'),
        ("batch_tokens", "0", '"0" is out of range; it must be a whole number of at least 1'),
        (
            "admin_port",
            "70000",
            '"70000" is out of range; it must be a whole number from 0 to 65535',
        ),
        (
            "dead_letter_max_ratio",
            "50%",
            '"50%" will not do; it must be a number from 0 to 1',
        ),
        ("dead_letter_max_ratio", "2", '"2" is out of range; it must be a number from 0 to 1'),
        ("shutdown_timeout_s", "0", '"0" is out of range; it must be a number above 0'),
        (
            "shutdown_timeout_s",
            "1e300",
            "1e+300 is too large; it must be at most 2000000",
        ),
        ("threads", "1025", "1025 is too large; it must be at most 1024"),
        ("batch_wait_ms", "1" + "0" * 30, f"{10**30} is too large; it must be at most 2000000000"),
        ("window_tokens", "9" * 13, f"{'9' * 13} is too large; it must be at most 1000000000000"),
        ("shutdown_timeout_s", "inf", '"inf" is out of range; it must be a number above 0'),
        (
            "delivery",
            "Exactly-Once",
            '"Exactly-Once" is no choice; did you mean exactly_once?'
            " it must be one of exactly_once, at_least_once",
        ),
        ("log_format", "q", '"q" is no choice; it must be one of auto, json, console'),
        ("input_topics", "", "names nothing; it must name at least one, separated by commas"),
        ("text_fields", "title,id", None),
        ("device", "gpu", '"gpu" is no device; it must be auto, cpu, cuda or cuda:N'),
        ("model", "", "is empty; it must not be"),
    ],
)
def test_a_wrong_value_is_named_with_its_source(
    setting: str, value: str, said: str | None, tmp_path: Path
) -> None:
    said = said or "id has a meaning of its own in the message; it must name fields that hold text"
    assert lines(flag_name(setting), value) == [f"{flag_name(setting)}: {said}"]
    assert lines(env={variable_name(setting): value}) == [f"{variable_name(setting)}: {said}"]
    assert lines(toml=f'{setting} = "{value}"', tmp_path=tmp_path) == [
        f"{setting} in worker.toml: {said}"
    ]


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("batch_tokens = true", "true will not do; it must be a whole number of at least 1"),
        ("batch_tokens = [1]", "[1] will not do; it must be a whole number of at least 1"),
        ("threads = false", "false will not do; it must be a whole number of at least 0"),
        ("model = 5", "5 will not do; it must be text"),
        ("instance = false", "false will not do; it must be text"),
        ("delivery = 1", "1 is no choice; it must be one of exactly_once, at_least_once"),
        (
            'input_topics = ["a", 5]',
            "5 will not do; it must be names separated by commas, or a list of names",
        ),
        (
            "text_fields = 5",
            "5 will not do; it must be names separated by commas, or a list of names",
        ),
        (
            "shutdown_timeout_s = 2026-11-23",
            "2026-11-23 will not do; it must be a number above 0",
        ),
    ],
)
def test_a_value_of_another_type_in_the_file(toml: str, said: str, tmp_path: Path) -> None:
    setting = toml.partition(" ")[0]
    assert lines(toml=toml, tmp_path=tmp_path) == [f"{setting} in worker.toml: {said}"]


def test_settings_that_do_not_go_together_are_named_by_the_one_that_was_given() -> None:
    assert lines("--output-topic=articles") == [
        "--output-topic: articles takes in articles, which is the output_topic;"
        " the worker must not read what it writes"
    ]
    assert lines("--output-topic=x", env={"NERSTREAM_DEAD_LETTER_TOPIC": "x"}) == [
        "NERSTREAM_DEAD_LETTER_TOPIC: is x, and so is output_topic;"
        " the enriched articles and the rejected messages need a topic each"
    ]


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    found = lines(
        "--batch-tokens=0",
        "--kafka=oops",
        "--device=gpu",
        env={"NERSTREAM_DELIVERY": "x", "NERSTREAM_TYPO": "1"},
        toml="model = true\nnope = 1\nkafka.group.id = 'g'",
        tmp_path=tmp_path,
    )
    assert sorted(line.partition(":")[0] for line in found) == sorted(
        [
            "--batch-tokens",
            "--kafka",
            "--device",
            "NERSTREAM_DELIVERY",
            "NERSTREAM_TYPO",
            "model in worker.toml",
            "nope in worker.toml",
            "kafka.group.id in worker.toml",
        ]
    )


def test_long_values_and_line_ends_do_not_spread() -> None:
    [line] = lines("--batch-tokens", "9\n" * 500)
    assert len(line) < 200


# --- a model for each language


def test_models_in_each_way(tmp_path: Path) -> None:
    expected = {"en": "a/b", "de": "./folder@x", "*": "bundled"}
    toml = '[models]\nen = "a/b"\nDE = " ./folder@x"\n"*" = "bundled"\n'
    flags = [text for name, model in expected.items() for text in ("--models", f"{name}={model}")]
    for settings in (
        load(*flags),
        load(env={"NERSTREAM_MODELS": "en=a/b, de = ./folder@x ,*=bundled,"}),
        load(toml=toml, tmp_path=tmp_path),
    ):
        assert settings.models == expected
        assert settings.model == Settings().model


def test_entries_of_a_better_source_replace_those_of_the_same_language(tmp_path: Path) -> None:
    settings = load(
        "--models",
        "de=flag",
        env={"NERSTREAM_MODELS": "de=variable,fr=variable"},
        toml='[models]\nde = "file"\nfr = "file"\nen = "file"\n',
        tmp_path=tmp_path,
    )
    assert settings.models == {"en": "file", "fr": "variable", "de": "flag"}


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (
            {"flags": ("--models", "german")},
            '--models: "german" is no LANGUAGE=MODEL; write --models de=OWNER/NAME@REVISION',
        ),
        (
            {"flags": ("--models", "pt-BR=m")},
            '--models pt-BR: "pt-BR" is no language; '
            "it must be a code of letters alone, such as en, de or fil, or *",
        ),
        (
            {"flags": ("--models", "de= ")},
            "--models de: names no model; it must be MODEL or MODEL@REVISION",
        ),
        (
            {"flags": ("--models", "de=m", "--models", "DE=n")},
            "--models DE: the language de is there twice; give it once",
        ),
        (
            {"env": {"NERSTREAM_MODELS": "de=m,n"}},
            'NERSTREAM_MODELS: "n" is no LANGUAGE=MODEL; '
            "write NERSTREAM_MODELS=de=OWNER/NAME@REVISION",
        ),
        (
            {"env": {"NERSTREAM_MODELS": "x=m"}},
            'x in NERSTREAM_MODELS: "x" is no language; '
            "it must be a code of letters alone, such as en, de or fil, or *",
        ),
        (
            {"toml": 'models = "m"'},
            'models in worker.toml: "m" is no table; '
            'write [models] and below it "de" = "OWNER/NAME@REVISION"',
        ),
        (
            {"toml": "[models]\nde = 5"},
            "models.de in worker.toml: 5 will not do; it must be text",
        ),
        (
            {"toml": '[models]\nde = {model = "m"}'},
            "models.de in worker.toml: {'model': 'm'} will not do; it must be text",
        ),
        (
            {"toml": 'model = "m"\n[models]\nde = "n"'},
            "model in worker.toml: has no effect beside models; for languages without a model of "
            'their own write "*" = "MODEL" under models',
        ),
        (
            {"flags": ("--models", "de=m"), "env": {"NERSTREAM_REVISION": "r"}},
            "NERSTREAM_REVISION: has no effect beside models; write MODEL@REVISION for each of the "
            "models",
        ),
    ],
)
def test_what_is_wrong_with_models_is_named(
    sources: dict[str, Any], said: str, tmp_path: Path
) -> None:
    flags = sources.pop("flags", ())
    assert lines(*flags, tmp_path=tmp_path, **sources) == [said]


def test_a_language_that_is_tagged_has_a_model() -> None:
    assert lines("--models", "de=m", "--languages", "de,fr") == [
        '--languages: names fr, for which models has none; add it to models, or "*" for all others'
    ]
    assert load("--models", "no=m", "--languages", "nb").languages == ("nb",)
    assert load("--models", "de=m", "--models", "*=n", "--languages", "de,fr").models


def test_a_model_by_default_is_no_contradiction_to_models() -> None:
    settings = load("--models", "de=m", defaults={"model": "bundled"})
    assert (settings.model, settings.models) == ("bundled", {"de": "m"})


# --- flags


def test_help_names_every_flag_with_its_variable_and_default() -> None:
    text = re.sub(r"\s+", " ", parser().format_help()).replace("- ", "-")
    for name, field in Settings.model_fields.items():
        assert flag_name(name) in text
        if is_table(name):
            assert f"May be repeated [{table_variable(name)}]" in text, name
        else:
            assert f"[{variable_name(name)}; default:" in text, name
        assert " ".join((field.description or "").replace("`", "").split())[:30] in text.replace(
            "-", "-"
        )
    assert "default: articles]" in text
    assert "default: title,body]" in text
    assert "{exactly_once,at_least_once}" in text
    for title in ("Kafka:", "Delivery:", "Batching:", "Telemetry:"):
        assert title in text


def test_a_command_can_take_some_settings_with_defaults_of_its_own() -> None:
    text = parser(names=("model", "device"), defaults={"model": "bundled"}).format_help()
    assert "default: bundled]" in " ".join(text.split())
    assert "--device" in text
    assert "--batch-tokens" not in text
    assert "Kafka:" not in text
    arguments = parser(names=("model",)).parse_args(["--model", "m"])
    assert load_settings(arguments, {"NERSTREAM_BATCH_TOKENS": "3"}).batch_tokens == 3


def test_a_command_cannot_take_a_setting_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no settings: modle"):
        parser(names=("modle",))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("batch_tokens", "a whole number of at least 1"),
        ("commit_interval_ms", "a whole number of at least 0"),
        ("transaction_timeout_ms", "a whole number from 1000 to 900000"),
        ("stall_timeout_s", "a number above 0"),
        ("dead_letter_max_ratio", "a number from 0 to 1"),
        ("log_level", "one of debug, info, warning, error"),
        ("text_fields", "names separated by commas, or a list of names"),
        ("model", "text"),
    ],
)
def test_requirements_are_plain_words(setting: str, words: str) -> None:
    assert requirement(setting) == words


def test_every_table_has_entries_that_are_described() -> None:
    """A setting that is a mapping has flags, variables and a table, which `ENTRIES` says."""
    kinds = {name: get_origin(field.annotation) for name, field in Settings.model_fields.items()}
    assert {name for name, kind in kinds.items() if kind is Mapping} == set(ENTRIES)


def test_every_setting_has_a_requirement() -> None:
    assert not any("None" in requirement(name) for name in Settings.model_fields)


# --- the schema registry


def test_the_registry_s_properties_can_be_given_in_each_way(tmp_path: Path) -> None:
    toml = '[registry]\nurl = "http://a"\n"ssl.ca.location" = "/ca"\ntimeout = 3'
    environ = {
        "NERSTREAM_REGISTRY_URL": "http://b",
        "NERSTREAM_REGISTRY_BASIC_AUTH_USER_INFO": "u:p",
    }
    settings = load("--registry", "url=https://c/x", env=environ, toml=toml, tmp_path=tmp_path)
    assert settings.registry == {
        "url": "https://c/x",
        "basic.auth.user.info": "u:p",
        "ssl.ca.location": "/ca",
        "timeout": "3",
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("urls=http://a",), "there is no property urls; did you mean url? it must be one of url,"),
        (("url=sr:8081",), "--registry url: is no address; it must begin with http:// or https://"),
        (("url=http://",), "--registry url: is no address"),
        (("timeout=soon",), '"soon" will not do; it must be a number of seconds above 0'),
        (("auto.register.schemas=no",), '"no" is no choice; it must be true or false'),
        (("ssl.key.location=/k",), "has no certificate; give ssl.certificate.location too"),
    ],
)
def test_a_wrong_property_of_the_registry_is_named(given: tuple[str, ...], said: str) -> None:
    (line,) = lines(*(part for one in given for part in ("--registry", one)))
    assert said in line
    assert "hidden" not in line


def test_a_user_of_the_registry_without_a_password_is_told() -> None:
    (line,) = lines(env={"NERSTREAM_REGISTRY_BASIC_AUTH_USER_INFO": "hidden"})
    assert "has no password; it must be NAME:PASSWORD" in line
    assert "hidden" not in line


def test_a_format_of_a_registry_needs_one() -> None:
    assert lines("--input-format", "avro") == [
        "--input-format: avro needs a schema registry, and there is none;"
        " give its address as registry.url"
    ]


def test_a_schema_is_not_made_up() -> None:
    assert lines("--output-format", "avro") == [
        "--output-format: avro cannot be made of input_format=json; it must be same, or json"
    ]


def test_a_flag_of_a_command_is_no_setting_of_the_same_name() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", action="append", dest="models")
    add_settings_arguments(parser, ["threads"])
    arguments = parser.parse_args(["--model", "one", "--threads", "3"])
    settings = load_settings(arguments, {})
    assert settings.models == {}
    assert settings.threads == 3
