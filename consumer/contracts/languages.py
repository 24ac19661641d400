"""Languages as articles name them and settings mean them."""

from __future__ import annotations

from collections.abc import Collection

#: What a table has in the place of a language for all that have no entry of their own.
ANY_LANGUAGE = "*"

#: Languages that are written as one, or told apart by few: Norwegian and its two written forms.
KIN = {"no": ("nb", "nn"), "nb": ("no",), "nn": ("no",)}


def primary_subtag(language: str) -> str:
    """The part of a BCP 47 tag that is compared, in lower case: `en` of `en-GB` and of `EN_us`."""
    return language.partition("-")[0].partition("_")[0].lower()


def with_kin(languages: Collection[str]) -> frozenset[str]:
    """Primary subtags of these languages, and of those that are written as one with them."""
    subtags = {primary_subtag(language) for language in languages}
    return frozenset(subtags.union(*(KIN.get(one, ()) for one in subtags)))
