"""Values that JSON has no words for, as JSON."""

from __future__ import annotations

import base64
import datetime
import uuid
from decimal import Decimal
from typing import Any


def jsonable(value: Any) -> Any:
    """The same value with text in the place of what JSON does not have: bytes in base64, decimals
    in digits, dates and times as RFC 3339 has them, UUIDs."""
    match value:
        case dict():
            return {name: jsonable(one) for name, one in value.items()}
        case list() | tuple():
            return [jsonable(one) for one in value]
        case bytes():
            return base64.b64encode(value).decode()
        case Decimal():
            return f"{value:f}"
        case datetime.date() | datetime.time():  # a datetime is a date
            return value.isoformat()
        case datetime.timedelta():
            return value.total_seconds()
        case uuid.UUID():
            return str(value)
        case _:
            return value
