"""The functions of JMESPath, and the two of ours: members whose names fit a pattern, and the texts
of a news object of ninjs."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from jmespath import functions

from consumer.settings.ninjs import texts_of


class Functions(functions.Functions):
    """What a path may call: the functions of JMESPath, `members` and `ninjs`."""

    @functions.signature({"types": ["object"]}, {"types": ["string"]})
    def _func_members(self, members: dict[str, Any], pattern: str) -> list[Any]:
        """The values of the members whose names fit, in their order, nulls left out."""
        return [
            value for name, value in members.items() if value is not None and fits(name, pattern)
        ]

    @functions.signature({"types": []}, {"types": ["string"]}, {"types": ["string"]})
    def _func_ninjs(self, item: Any, kind: str, text_format: str) -> list[Any] | None:
        """The texts of a news object, of one kind and in one format; null of what is no object."""
        if not isinstance(item, dict):
            return None
        return [value for _, value in texts_of(item, kind, text_format)]


def fits(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern, in which `*` stands for any characters, or for none."""
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    if "*" not in pattern:
        return re.compile(re.escape(pattern))
    first, *middle, last = (re.escape(part) for part in re.split(r"\*+", pattern))
    # Atomic, each at its first place: a pattern of many stars takes a name in linear time.
    between = "".join(f"(?>.*?{part})" for part in middle)
    return re.compile(f"{first}{between}.*{last}", re.DOTALL)
