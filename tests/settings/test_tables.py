"""Settings with entries: `kafka`, `registry` and `models`, from every source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from consumer.settings.schema import Settings
from tests.support.rigs.settings_sources import lines, load


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
