"""Articles of ten megabytes and more: fine, too large for the output topic, and broken."""

from __future__ import annotations

MEGABYTE = 1_000_000

#: Bytes that the output topic of a fuzz run takes; its input and dead-letter topics take more.
OUTPUT_LIMIT_BYTES = 12 * MEGABYTE


def large_article(variant: int, number: int) -> bytes:
    """One of the variants, in turn."""
    head = b'{"id": "%d", "title": "Oslo", ' % number
    match variant % 7:
        case 0:
            return head + b'"body": "' + (b"a word or " * 100 + b"in Lisbon ") * 9_900 + b'"}'
        case 1:
            return head + b'"body": "' + b"too large for the topic " * (13 * MEGABYTE // 24) + b'"}'
        case 2:
            return head + b'"body": "' + "東京都庁".encode() * (10 * MEGABYTE // 12) + b'"}'
        case 3:
            return head + b'"body": "' + b"cut off " * (10 * MEGABYTE // 8)
        case 4:
            return head + b'"body": "' + b"not UTF-8 " * MEGABYTE + b'\xe2\x82"}'
        case 5:
            return head + b'"other": [' + b'{"a":[]},' * MEGABYTE + b"{}]}"
        case _:
            return head + b'"body": "' + rb"\u0061\n\\" * MEGABYTE + b'"}'
