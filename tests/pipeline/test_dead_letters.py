"""Dead letters: what they carry, and when too many of them stop the worker."""

from __future__ import annotations

import re

import pytest

from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.errors import DeadLetterLimitExceeded
from consumer.contracts.messages import Headers, Rejected
from consumer.pipeline.dead_letters import DeadLetterLimit, dead_letter
from tests.support.fakes import P1, raw


def rejected(
    offset: int = 7,
    code: RejectCode = RejectCode.INVALID_UTF8,
    message: str = "byte 3 is not UTF-8",
    headers: Headers = (),
    timestamp_ms: int | None = 1_234,
) -> Rejected:
    source = raw(offset, b"\xff\x00", partition=P1, headers=headers, timestamp_ms=timestamp_ms)
    return Rejected(source, code, message, RejectStage.PREPARE)


def test_a_dead_letter_is_the_message_and_the_reason() -> None:
    letter = dead_letter(rejected(), "dead", 4, "1.2.3")
    assert (letter.topic, letter.partition, letter.key, letter.value) == (
        "dead",
        4,
        b"key",
        b"\xff\x00",
    )
    assert letter.timestamp_ms == 1_234
    assert letter.position == rejected().raw.position
    assert dict(letter.headers) == {
        "__nerstream.errors.code": b"invalid_utf8",
        "__nerstream.errors.message": b"byte 3 is not UTF-8",
        "__nerstream.errors.stage": b"prepare",
        "__nerstream.errors.topic": b"articles",
        "__nerstream.errors.partition": b"1",
        "__nerstream.errors.offset": b"7",
        "__nerstream.errors.timestamp": b"1234",
        "__nerstream.errors.version": b"1.2.3",
    }


def test_headers_keep_their_order_repeats_and_nulls() -> None:
    headers: Headers = (("b", b"1"), ("a", None), ("b", b"\xff"))
    letter = dead_letter(rejected(headers=headers), "dead", None, "1")
    assert letter.headers[:3] == headers
    assert letter.partition is None


def test_the_reasons_of_an_earlier_rejection_are_replaced() -> None:
    headers: Headers = (
        ("__nerstream.errors.code", b"no_text"),
        ("a", b"1"),
        ("__nerstream.errors.old", b"x"),
    )
    letter = dead_letter(rejected(headers=headers), "dead", None, "1")
    names = [name for name, _ in letter.headers]
    assert names.count("__nerstream.errors.code") == 1
    assert "__nerstream.errors.old" not in names
    assert dict(letter.headers)["__nerstream.errors.code"] == b"invalid_utf8"
    assert letter.headers[0] == ("a", b"1")


def test_a_quoted_lone_surrogate_does_not_stop_the_dead_letter() -> None:
    letter = dead_letter(rejected(message="the title is \ud800"), "dead", None, "1")
    assert dict(letter.headers)["__nerstream.errors.message"] == rb"the title is \ud800"


def test_a_message_without_a_timestamp() -> None:
    letter = dead_letter(rejected(timestamp_ms=None), "dead", None, "1")
    assert letter.timestamp_ms is None
    assert dict(letter.headers)["__nerstream.errors.timestamp"] == b""


def test_the_limit_judges_a_full_window_only() -> None:
    limit = DeadLetterLimit(0.5, 4)
    for _ in range(3):
        limit.note(rejected())
    with pytest.raises(DeadLetterLimitExceeded):
        limit.note(rejected())


def test_the_share_itself_is_allowed_and_the_window_moves() -> None:
    limit = DeadLetterLimit(0.5, 4)
    for one in [rejected(), rejected(), None, None, rejected(), rejected(), None, None, None]:
        limit.note(one)
    limit.note(rejected())
    limit.note(rejected())
    with pytest.raises(DeadLetterLimitExceeded, match="3 of the last 4"):
        limit.note(rejected())


def test_a_good_message_can_fill_the_window() -> None:
    limit = DeadLetterLimit(0.5, 4)
    for _ in range(3):
        limit.note(rejected())
    with pytest.raises(DeadLetterLimitExceeded, match="3 of the last 4"):
        limit.note(None)


def test_the_error_names_the_codes_the_last_message_and_the_remedy() -> None:
    limit = DeadLetterLimit(0.25, 4)
    limit.note(rejected(1, RejectCode.NO_TEXT))
    limit.note(None)
    limit.note(rejected(2))
    with pytest.raises(
        DeadLetterLimitExceeded,
        match=re.escape(
            "3 of the last 4 messages were rejected (invalid_utf8 2, no_text 1), more than "
            "dead_letter_max_ratio=0.25 allows; the last one, articles[1]@3: the last reason. "
        ),
    ) as caught:
        limit.note(rejected(3, message="the last reason"))
    assert "raise dead_letter_max_ratio" in str(caught.value)


def test_codes_that_left_the_window_are_not_named() -> None:
    limit = DeadLetterLimit(0.5, 2)
    limit.note(rejected(code=RejectCode.NO_TEXT))
    limit.note(None)
    limit.note(rejected())
    with pytest.raises(DeadLetterLimitExceeded, match=r"\(invalid_utf8 2\)"):
        limit.note(rejected())


def test_a_ratio_of_one_never_stops() -> None:
    limit = DeadLetterLimit(1.0, 3)
    for _ in range(50):
        limit.note(rejected())


def test_a_ratio_of_zero_stops_at_the_first_once_the_window_is_full() -> None:
    limit = DeadLetterLimit(0.0, 3)
    for _ in range(10):
        limit.note(None)
    with pytest.raises(DeadLetterLimitExceeded, match="1 of the last 3"):
        limit.note(rejected())
