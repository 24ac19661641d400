"""Flags: made from the settings, with their words for a person."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from typing import get_origin

import pytest

from consumer.settings.flags import ENTRIES, is_table, table_variable
from consumer.settings.schema import Settings
from consumer.settings.sources import (
    add_settings_arguments,
    flag_name,
    load_settings,
    variable_name,
)
from tests.support.rigs.settings_sources import parser


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


def test_every_table_has_entries_that_are_described() -> None:
    """A setting that is a mapping has flags, variables and a table, which `ENTRIES` says."""
    kinds = {name: get_origin(field.annotation) for name, field in Settings.model_fields.items()}
    assert {name for name, kind in kinds.items() if kind is Mapping} == set(ENTRIES)


def test_a_flag_of_a_command_is_no_setting_of_the_same_name() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", action="append", dest="models")
    add_settings_arguments(parser, ["threads"])
    arguments = parser.parse_args(["--model", "one", "--threads", "3"])
    settings = load_settings(arguments, {})
    assert settings.models == {}
    assert settings.threads == 3
