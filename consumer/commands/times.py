"""Times as a person writes them, in the words of Kafka's own tools."""

from __future__ import annotations

import argparse
import re
import time
from datetime import UTC, datetime

from consumer.settings.run_bounds import time_ms

#: Any nine digits are before the epoch in days, and more would not fit into what Kafka takes.
_AGO = re.compile(r"([0-9]{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}

FORMS = (
    "2026-11-29T06:30 (UTC unless it says +01:00), 2026-11-29, 2h (so long ago; s, m, h or d), or "
    "milliseconds since the epoch"
)


def moment(text: str) -> int:
    """Milliseconds since the epoch, for argparse; negative before it, and within 64 bits.

    Raises:
        argparse.ArgumentTypeError: it is no time.
    """
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return int(time.time() * 1000) - int(ago[1]) * _SECONDS[ago[2]] * 1000
    found = time_ms(text)
    if found is None:
        raise argparse.ArgumentTypeError(f'"{text}" is no time; write {FORMS}')
    return found


def written(timestamp_ms: int | None) -> str:
    """A timestamp for a person, in UTC; empty where there is none."""
    if timestamp_ms is None:
        return ""
    try:
        found = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{timestamp_ms} ms"  # beyond the calendar
    return found.strftime("%Y-%m-%dT%H:%M:%S.") + f"{timestamp_ms % 1000:03d}Z"
