"""Where a bounded run begins and ends, as a person asks for it, and the group that it runs in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime

#: The words beside times.
EARLIEST, LATEST, END = "earliest", "latest", "end"

#: Milliseconds since the epoch. Fewer digits are seconds, and would be a day of January 1970.
_EPOCH_MS = re.compile(r"[0-9]{12,15}")

#: Digits of another number, but for a date such as 20261129: `fromisoformat` finds a day in some.
_OTHER_NUMBER = re.compile(r"[0-9]{1,7}|[0-9]{9,}")

#: The moments that have a date: the years 1 to 9999.
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999

TIME_FORMS = (
    "2026-11-29T06:30 (UTC unless it says +01:00), 2026-11-29, or milliseconds since the epoch"
)


def time_ms(text: str) -> int | None:
    """A time in milliseconds since the epoch, negative before it; None where the text is none that
    has a date.

    No time is relative to now: a run that is started again must mean the same one.
    """
    if _EPOCH_MS.fullmatch(text):
        at_ms = int(text)
    elif _OTHER_NUMBER.fullmatch(text):
        return None
    else:
        try:
            found = datetime.fromisoformat(text)
            if found.tzinfo is None:
                found = found.replace(tzinfo=UTC)
            at_ms = round(found.timestamp() * 1000)
        except (ValueError, OverflowError):
            return None
    return at_ms if _FIRST_MS <= at_ms <= _LAST_MS else None


def run_group(group_id: str, begins: str, ends: str, request: Sequence[str]) -> str:
    """The group of a bounded run. The same request gives the same one, however often it is started.

    It begins with the group of the workers, so that access rights by prefix hold for both.

    Args:
        group_id: of the workers that read on for ever.
        begins: `earliest`, `latest` or a time.
        ends: `end` or a time.
        request: all else that makes it another run: topics, model.
    """
    digest = hashlib.sha256("\x00".join(request).encode()).hexdigest()[:8]
    return f"{group_id}-run-{plain(begins)}-to-{plain(ends)}-{digest}"


def plain(bound: str) -> str:
    """A bound in the one way of writing it that serves in a name: `end`, `20261129T063000Z`."""
    at_ms = time_ms(bound)
    if at_ms is None:
        return bound
    seconds, milliseconds = divmod(at_ms, 1000)
    text = f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}"
    return f"{text}.{milliseconds:03d}Z" if milliseconds else f"{text}Z"
