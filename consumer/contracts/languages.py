"""Languages as articles name them and settings mean them."""

from __future__ import annotations

#: What a table has in the place of a language for all that have no entry of their own.
ANY_LANGUAGE = "*"


def primary_subtag(language: str) -> str:
    """The part of a BCP 47 tag that is compared, in lower case: `en` of `en-GB` and of `EN_us`."""
    return language.partition("-")[0].partition("_")[0].lower()
