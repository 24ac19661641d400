"""The header that names a trace: read, written, replaced."""

from __future__ import annotations

import pytest

from consumer.contracts.messages import Headers
from consumer.contracts.traces import (
    TraceParent,
    traceparent_in,
    with_traceparent,
    without_traceparent,
)

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VALUE = f"00-{TRACE}-{SPAN}-01".encode()
PARENT = TraceParent(TRACE, SPAN, True)


@pytest.mark.parametrize(
    ("value", "is_sampled"),
    [
        (VALUE, True),
        (VALUE[:-2] + b"00", False),
        (VALUE[:-2] + b"03", True),  # other flags are of later versions
        (VALUE[:-2] + b"02", False),
        (b"01" + VALUE[2:] + b"-more", True),  # and so is what comes behind
    ],
)
def test_what_a_valid_one_says(value: bytes, is_sampled: bool) -> None:
    assert traceparent_in((("traceparent", value),)) == (TRACE, SPAN, is_sampled)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"00-1",
        VALUE.upper(),
        VALUE + b"-more",
        b"ff" + VALUE[2:],
        VALUE.replace(TRACE.encode(), b"0" * 32),
        VALUE.replace(SPAN.encode(), b"0" * 16),
        b"\xff" * 55,
        VALUE + b"\n",
    ],
)
def test_one_that_is_not_valid_is_none(value: bytes | None) -> None:
    assert traceparent_in((("traceparent", value),)) is None


def test_the_last_one_counts_and_others_are_passed_over() -> None:
    headers = (("traceparent", b"00-1"), ("traceparent", VALUE), ("tracestate", b"a=b"))
    assert traceparent_in(headers) == PARENT
    assert traceparent_in(headers[::-1][:1]) is None


def test_it_takes_the_place_of_the_first_and_leaves_the_others() -> None:
    headers: Headers = (("a", None), ("traceparent", b"1"), ("b", b"2"), ("traceparent", b"3"))
    assert with_traceparent(headers, PARENT) == (("a", None), ("traceparent", VALUE), ("b", b"2"))
    assert with_traceparent((("a", None),), PARENT) == (("a", None), ("traceparent", VALUE))
    assert without_traceparent(headers) == (("a", None), ("b", b"2"))


def test_headers_without_one_stay_the_same_object() -> None:
    headers: Headers = (("a", None),)
    assert without_traceparent(headers) is headers


def test_one_that_is_not_sampled_says_so() -> None:
    assert PARENT._replace(is_sampled=False).header() == VALUE[:-2] + b"00"
