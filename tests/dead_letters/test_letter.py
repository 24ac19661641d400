from __future__ import annotations

import pytest

from consumer.contracts.choices import RejectCode
from consumer.contracts.headers import ERRORS, REPLAY_ATTEMPTS, SOURCE
from consumer.contracts.messages import Headers, Position, TopicPartition
from consumer.dead_letters.letter import read_letter
from tests.support.memory.letters import DAY_MS, at, letter, original


def test_what_the_worker_writes_is_read() -> None:
    headers = (("a", b"1"), ("a", None), ("traceparent", b"\xff"))
    raw = original(7, topic="news", partition=3, key=b"k", headers=headers)
    written = letter(raw, code=RejectCode.NO_TEXT, reason="wörds", partition=2)
    found = read_letter(at(written, 40))
    assert found is not None
    assert found.origin == Position(TopicPartition("news", 3), 7)
    assert (found.code, found.reason, found.stage) == ("no_text", "wörds", "prepare")
    assert (found.timestamp_ms, found.version, found.attempts) == (DAY_MS + 7, "1.2.3", 0)
    assert found.raw.position == Position(TopicPartition("dead", 2), 40)
    assert found.headers == headers


def test_our_headers_are_taken_off_and_no_others() -> None:
    headers: Headers = (
        ("a", b"1"),
        (REPLAY_ATTEMPTS, b"2"),
        ("__nerstream.other", b"x"),
        (SOURCE, b"news/1/2"),
    )
    found = read_letter(at(letter(original(1, headers=headers)), 0))
    assert found is not None
    assert found.headers == (("a", b"1"), ("__nerstream.other", b"x"))
    assert found.attempts == 2


@pytest.mark.parametrize("timestamp_ms", [None, 0, -5, 2**63 - 1, -(2**63), 10**19 - 1])
def test_the_timestamp_is_the_one_that_the_header_names(timestamp_ms: int | None) -> None:
    raw = original(0)._replace(timestamp_ms=timestamp_ms)
    found = read_letter(at(letter(raw)._replace(timestamp_ms=99), 0))
    assert found is not None
    assert found.timestamp_ms == timestamp_ms


@pytest.mark.parametrize("value", [b"x", b"", None, b"-1", b"9" * 5_000, "²".encode()])
def test_a_count_that_is_no_number_is_none(value: bytes | None) -> None:
    found = read_letter(at(letter(original(1, headers=((REPLAY_ATTEMPTS, value),))), 0))
    assert found is not None
    assert found.attempts == 0


@pytest.mark.parametrize("missing", ["code", "topic", "partition", "offset"])
def test_a_message_without_its_origin_is_no_dead_letter(missing: str) -> None:
    written = letter(original(1))
    left = tuple(one for one in written.headers if one[0] != ERRORS + missing)
    assert read_letter(at(written._replace(headers=left), 0)) is None


@pytest.mark.parametrize("value", [b"x", None, b"9" * 5_000, b"-1", b"1.5", b"\xff"])
def test_an_origin_that_is_no_number_is_no_dead_letter(value: bytes | None) -> None:
    written = letter(original(1))
    headers = (*written.headers, (f"{ERRORS}offset", value))
    assert read_letter(at(written._replace(headers=headers), 0)) is None


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_timestamp_of_any_length_is_one_that_no_message_can_have(sign: str) -> None:
    written = letter(original(1))
    headers = (*written.headers, (f"{ERRORS}timestamp", f"{sign}{'9' * 5_000}".encode()))
    found = read_letter(at(written._replace(headers=headers), 0))
    assert found is not None
    assert found.timestamp_ms is not None
    assert abs(found.timestamp_ms) >= 2**64


@pytest.mark.parametrize("value", [b"--5", b"-", b"1.5", b"", None, "²".encode()])
def test_a_timestamp_that_is_no_number_is_none(value: bytes | None) -> None:
    written = letter(original(1))
    headers = (*written.headers, (f"{ERRORS}timestamp", value))
    found = read_letter(at(written._replace(headers=headers), 0))
    assert found is not None
    assert found.timestamp_ms is None
