"""Points: what a person may write after `--from` and `--until`."""

from __future__ import annotations

import argparse
import time

import pytest

from consumer.commands.audit.points import (
    Named,
    Point,
    begin_point,
    outcome_point,
    point,
    until_point,
)
from consumer.contracts.messages import TopicPartition


@pytest.mark.parametrize("name", list(Named))
def test_names(name: Named) -> None:
    assert point(name.value) == Point(named=name)


def test_offsets_as_kafka_get_offsets_prints_them() -> None:
    assert point("news.eu-1:0:12, news_b:10:0") == Point(
        offsets={TopicPartition("news.eu-1", 0): 12, TopicPartition("news_b", 10): 0}
    )


def test_times() -> None:
    assert point("2026-11-29T06:30:00Z") == Point(time_ms=1_795_933_800_000)
    assert point("2026-11-29T06:30") == Point(time_ms=1_795_933_800_000)
    assert point("1795933800000") == Point(time_ms=1_795_933_800_000)
    ago = point("2h").time_ms
    assert ago is not None
    assert abs(time.time() * 1000 - 7_200_000 - ago) < 60_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no point"),
        ("end", "is no point; write earliest, latest, committed, offsets as"),
        ("news:0", "is no point"),
        ("news:0:-1", "is no point"),
        ("news:0:1,news:1", '"news:1" is no offset; write TOPIC:PARTITION:OFFSET'),
        ("news:0:1,news:0:2", "news:0 is there twice"),
        ("yesterday", "or a time: 2026-11-29T06:30"),
        ("news:0:" + "9" * 30, "is no point"),
    ],
)
def test_what_means_nothing_is_told_with_what_would(text: str, said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as raised:
        point(text)
    assert said in str(raised.value)


@pytest.mark.parametrize("text", ["latest", "0s", "0d", "2126-01-01"])
def test_no_input_comes_after_such_a_beginning(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no input comes after it; write earliest"):
        begin_point(text)
    assert until_point(text) == point(text) or text.startswith("0")


@pytest.mark.parametrize("text", ["earliest", "1970-01-01", "1960-01-01", "99999d"])
def test_no_input_comes_before_such_an_end(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="no input comes before it; write commit"):
        until_point(text)
    begin_point(text)


@pytest.mark.parametrize("text", ["committed", "1s", "2h", "2020-01-01", "news:0:12"])
def test_other_points_may_be_either(text: str) -> None:
    assert type(begin_point(text)) is type(until_point(text)) is Point


def test_no_time_says_where_an_outcome_stands() -> None:
    assert outcome_point("earliest") == Point(named=Named.EARLIEST)
    assert outcome_point("out:0:5").offsets == {TopicPartition("out", 0): 5}
    for text in ("2h", "committed", "latest", "x"):
        with pytest.raises(argparse.ArgumentTypeError, match="is no p"):
            outcome_point(text)
