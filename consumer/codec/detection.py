"""The language of a text, by py3langid: what `nerstream[languages]` installs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from consumer.contracts.errors import SettingsError

#: Characters of an article that are looked at: from here on the error rate falls no more.
LOOKED_AT = 512

#: Letters in the code of a language that is told from others (ISO 639-1). The library knows forty
#: more; among those are creoles and neighbours that short pieces of large languages pass for.
_CODE_LETTERS = 2


class LanguageDetector:
    """Says in which language a text is. Any thread.

    The library is pure Python over arrays of numbers, 100 MB with them, and takes a second to
    load; so it is loaded where a setting asks for it, and nowhere else.

    Args:
        setting: the setting that asks, for the error.

    Raises:
        SettingsError: the library is not installed.
    """

    def __init__(self, setting: str) -> None:
        try:
            from py3langid.langid import MODEL_FILE, LanguageIdentifier
        except ImportError as missing:
            raise SettingsError(
                setting,
                "the language of an article is detected by py3langid, which is not installed",
                "pip install 'nerstream[languages]', or set language_detection to off, and"
                " language_field to where messages say their language",
            ) from missing
        self._identifier: Any = LanguageIdentifier.from_model_file(MODEL_FILE)
        #: Those that it tells apart, as primary subtags.
        self.languages = frozenset(
            code for code in self._identifier.labels if len(code) == _CODE_LETTERS
        )
        self._identifier.set_languages(sorted(self.languages))

    def language_of(self, texts: Iterable[str]) -> str:
        """The primary subtag of the language that texts begin in; empty where they have no letters.

        The first `LOOKED_AT` characters count: of the first text, and of the next ones as long as
        the first are shorter.
        """
        pieces: list[str] = []
        left = LOOKED_AT
        for text in texts:
            pieces.append(text[:left])
            left -= len(pieces[-1]) + 1
            if left <= 0:
                break
        sample = " ".join(pieces)
        if not any(map(str.isalpha, sample)):
            return ""
        language: str = self._identifier.classify(sample)[0]
        return language
