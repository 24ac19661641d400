"""The language of an article: as its message says it, or as it is detected."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from consumer.codec.fields.places import ConditionFailed, compiled
from consumer.contracts.choices import SkipReason
from consumer.contracts.languages import primary_subtag, with_kin
from consumer.contracts.messages import Article, Untagged
from consumer.settings.paths import is_path, parsed

#: What a list of languages has for articles of which none is known (BCP 47: undetermined).
UNDETERMINED = "und"

#: A BCP 47 tag is of this form, or near enough to it; anything else in a message is none.
_TAG = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,8}")


class LanguageStep:
    """Says in which language an article is, and whether it is tagged. Any thread.

    Args:
        field: name or path of the language in a message; empty where there is none.
        detect: gives the language of texts, or nothing; None where none is detected.
        tagged: languages that are tagged, `und` for articles of which none is known; None is all.
    """

    def __init__(
        self,
        field: str,
        detect: Callable[[Iterable[str]], str] | None,
        tagged: Collection[str] | None,
    ) -> None:
        self._find = compiled(parsed(field)) if field and is_path(field) else None
        self._name = field
        self._detect = detect
        self._tagged = None if tagged is None else with_kin(tagged)

    def __call__(self, article: Article | Untagged, document: Any) -> Article | Untagged:
        """The article with its language; untagged where that is not tagged.

        Args:
            article: as it was read; what is untagged already stays so.
            document: its message, parsed.
        """
        if isinstance(article, Untagged):
            return article
        language = self._told(document) if self._name else ""
        if not language and self._detect is not None:
            language = self._detect(field.text for field in article.fields)
        if language:
            article = article._replace(language=language)
        if (
            self._tagged is not None
            and (primary_subtag(language) or UNDETERMINED) not in self._tagged
        ):
            return Untagged(article, SkipReason.LANGUAGE)
        return article

    def _told(self, document: Any) -> str:
        if self._find is None:
            values = [document.get(self._name)]
        else:
            try:
                values = [value for _, value in self._find(document)]
            except ConditionFailed:
                # A language that cannot be found must not reject the article.
                values = []
        for value in values:
            if isinstance(value, str) and _TAG.fullmatch(value.strip()):
                return value.strip()
        return ""
