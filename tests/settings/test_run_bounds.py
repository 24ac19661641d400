"""The bounds of a run as a person writes them, and the group that they give."""

from __future__ import annotations

import argparse

import pytest

from consumer.contracts.errors import SettingsError
from consumer.settings.flags import add_settings_arguments
from consumer.settings.run_bounds import time_ms
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings


def loaded(*flags: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_settings_arguments(parser)
    return load_settings(parser.parse_args(flags), {})


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-11-29", 1_795_910_400_000),
        ("2026-11-29T06:30", 1_795_933_800_000),
        ("2026-11-29T06:30:00Z", 1_795_933_800_000),
        ("2026-11-29T07:30+01:00", 1_795_933_800_000),
        ("1795933800000", 1_795_933_800_000),
        ("20261129", 1_795_910_400_000),
        ("yesterday", None),
        # Seconds since the epoch would be a day of January 1970.
        ("1700000000", None),
        ("17000101006", None),
        ("2026", None),
        # A start again would mean another run.
        ("2h", None),
        ("2026-13-01", None),
        ("", None),
    ],
)
def test_a_time_is_a_moment_in_utc(text: str, at_ms: int | None) -> None:
    assert time_ms(text) == at_ms


def test_any_of_the_three_makes_a_run_and_gives_the_others() -> None:
    assert not loaded().is_bounded
    assert loaded().for_run() == loaded()
    for flags in (("--from", "earliest"), ("--until", "end"), ("--run-group", "mine")):
        run = loaded(*flags).for_run()
        assert (run.run_from, run.run_until) == ("earliest", "end")


def test_the_same_request_is_the_same_run_however_it_is_written() -> None:
    def group(*flags: str) -> str:
        return loaded("--group-id", "news", *flags).for_run().group_id

    bounds = ("--from", "2026-11-29", "--until", "2026-11-30")
    same = ("--from", "2026-11-29T01:00+01:00", "--until", "2026-11-30T00:00Z")
    assert group(*bounds).startswith("news-run-20261129T000000Z-to-20261130T000000Z-")
    assert group(*bounds) == group(*same) == group(*bounds, "--batch-tokens", "99")
    others = [
        group("--from", "2026-11-29"),
        group(*bounds, "--output-topic", "other"),
        group(*bounds, "--input-topics", "other"),
        group(*bounds, "--model", "other"),
        group(*bounds, "--revision", "other"),
        group(*bounds, "--models", "en=other"),
        group(*bounds, "--run-group", "mine"),
    ]
    assert len({*others, group(*bounds)}) == len(others) + 1
    assert others[-1] == "mine"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--from", "yesterday"), '--from: "yesterday" is no time; write earliest or latest, or '),
        (("--until", "latest"), '--until: "latest" is no time; write end, or 2026-11-29T06:30'),
        (
            ("--from", "2026-11-30", "--until", "2026-11-29"),
            "--until: is 2026-11-29, which is not after 2026-11-30, the run_from; ",
        ),
        (
            ("--from", "earliest", "--run-group", "nerstream"),
            "--run-group: is nerstream, as group_id is; a bounded run needs a group of its own",
        ),
        (("--already-tagged", "drop"), "--already-tagged: "),
    ],
)
def test_what_is_no_run_is_told_with_what_would_be_right(flags: tuple[str, ...], said: str) -> None:
    with pytest.raises(SettingsError) as failed:
        loaded(*flags)
    assert str(failed.value).startswith(said)


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1969-12-31T23:59:59.999", -1),
        ("0001-01-01", -62_135_596_800_000),
        ("0001-01-01T00:00+14:00", None),
        ("1970-01-01T00:00:00.001", 1),
        ("9999-12-31T23:59:59.999", 253_402_300_799_999),
        ("253402300799999", 253_402_300_799_999),
        ("253402300800000", None),
        ("999999999999999", None),
        ("9999-12-31T23:59-14:00", None),
    ],
)
def test_a_time_has_a_date(text: str, at_ms: int | None) -> None:
    assert time_ms(text) == at_ms


@pytest.mark.parametrize("text", ["0001-01-01", "1969-12-31T23:59:59.999", "253402300799999"])
def test_every_time_has_a_name_for_the_group(text: str) -> None:
    assert loaded("--from", text).for_run().group_id.startswith("nerstream-run-")


def test_a_run_that_ends_before_every_message_is_refused() -> None:
    with pytest.raises(SettingsError) as failed:
        loaded("--until", "1965-01-01", "--from", "1960-01-01")
    said = "--until: is 1965-01-01, and no message is older than 1970-01-01; it must be later"
    assert str(failed.value) == said
