"""Words for numbers, as a sentence has them."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """So many of a thing: `1 message`, `12,300 messages`.

    Args:
        one: its name.
        many: the plural; empty adds an s.
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
