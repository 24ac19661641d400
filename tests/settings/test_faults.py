"""What is wrong with settings, in words: which one, from where, and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumer.settings.faults import requirement
from consumer.settings.schema import Settings
from consumer.settings.sources import (
    flag_name,
    variable_name,
)
from tests.support.rigs.settings_sources import lines, load


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
    said = said or (
        "id is named by text_fields and by id_field; a text is no id; "
        "each must name a field of its own"
    )
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


def test_every_setting_has_a_requirement() -> None:
    assert not any("None" in requirement(name) for name in Settings.model_fields)
