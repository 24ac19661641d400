"""RoutedTagger: several models behind one `consumer.contracts.ports.Tagger`, one for each language.

A batch stays whole, whatever models its articles have: each runs its share of it, and the answers
come back in the batch's order. So offsets, transactions and back-pressure know nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from consumer.contracts.languages import ANY_LANGUAGE, KIN, primary_subtag
from consumer.contracts.messages import (
    Answer,
    Article,
    Encoding,
    ModelInfo,
    ModelShare,
    PreparedArticle,
    TaggingResult,
)
from consumer.contracts.ports import Tagger


class RoutedEncoding(NamedTuple):
    """An article's encoding, and the number of the tagger that made it and reads it."""

    number: int
    encoding: Encoding

    @property
    def tokens(self) -> int:
        return self.encoding.tokens


class _Begun(NamedTuple):
    """A tagger's share of a batch.

    Attributes:
        places: of its articles in the batch.
        answers: gives its answers, in the order of its articles.
    """

    places: Sequence[int]
    answers: Callable[[], TaggingResult]


class RoutedTagger:
    """Gives each article to the tagger of its language. Threads as `Tagger` has them.

    Args:
        by_language: taggers by primary language subtag in lower case (`en`), or `*` for all
            languages that have none of their own. One may stand under several languages. All run
            on one device.
    """

    def __init__(self, by_language: Mapping[str, Tagger]) -> None:
        self._taggers = list({id(one): one for one in by_language.values()}.values())
        self._numbers = {
            language: self._taggers.index(tagger) for language, tagger in by_language.items()
        }
        for language, number in tuple(self._numbers.items()):
            for kin in KIN.get(language, ()):
                self._numbers.setdefault(kin, number)
        self._any = self._numbers.get(ANY_LANGUAGE)
        #: See `Tagger.overlaps`; those that do not, begin when their answer is asked for.
        self.overlaps = any(one.overlaps for one in self._taggers)

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """See `Tagger.models`."""
        return tuple(model for one in self._taggers for model in one.models)

    @property
    def encodings_at_once(self) -> int:
        """See `Tagger.encodings_at_once`. They share what tokenises, so their numbers do not add
        up."""
        return max(one.encodings_at_once for one in self._taggers)

    def await_room(self) -> None:
        """See `Tagger.await_room`."""
        for tagger in self._taggers:
            if tagger.overlaps:
                tagger.await_room()

    def encode(self, articles: Sequence[Article]) -> list[RoutedEncoding]:
        """See `Tagger.encode`.

        Raises:
            LookupError: there is no model for the language of an article.
        """
        shares = self._dealt([self._number_of(article) for article in articles])
        if len(shares) == 1:
            ((number, _),) = shares.items()
            return [RoutedEncoding(number, one) for one in self._taggers[number].encode(articles)]
        found: dict[int, RoutedEncoding] = {}
        for number, places in shares.items():
            encodings = self._taggers[number].encode([articles[place] for place in places])
            for place, encoding in zip(places, encodings, strict=True):
                found[place] = RoutedEncoding(number, encoding)
        return [found[place] for place in range(len(articles))]

    def begin(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> Callable[[], TaggingResult]:
        """See `Tagger.begin`."""
        encodings = [_own(article) for article in articles]
        begun = []
        for number, places in self._dealt([one.number for one in encodings]).items():
            share = [PreparedArticle(articles[at].article, encodings[at].encoding) for at in places]
            tagger = self._taggers[number]
            if tagger.overlaps:
                answers = tagger.begin(share, progress)
            else:
                # It computes in the call: another's passes are begun first, and the answers of the
                # batch before are published first.
                answers = partial(_begin_and_finish, tagger, share, progress)
            begun.append(_Begun(places, answers))
        return partial(_together, len(articles), begun)

    def _number_of(self, article: Article) -> int:
        number = self._numbers.get(primary_subtag(article.language), self._any)
        if number is None:
            raise LookupError(
                f"no model for the language {article.language!r}; there is one for "
                f"{', '.join(self._numbers)}"
            )
        return number

    @staticmethod
    def _dealt(numbers: Sequence[int]) -> dict[int, list[int]]:
        """Places by the number that stands there, in the order of the numbers."""
        places: dict[int, list[int]] = {}
        for place, number in enumerate(numbers):
            places.setdefault(number, []).append(place)
        return dict(sorted(places.items()))


def _own(article: PreparedArticle) -> RoutedEncoding:
    if not isinstance(article.encoding, RoutedEncoding):
        raise TypeError(f"encoded by {type(article.encoding).__name__}, not by this tagger")
    return article.encoding


def _begin_and_finish(
    tagger: Tagger, share: Sequence[PreparedArticle], progress: Callable[[], None]
) -> TaggingResult:
    return tagger.begin(share, progress)()


def _together(articles: int, begun: Sequence[_Begun]) -> TaggingResult:
    """The shares of a batch in its order."""
    found: dict[int, tuple[Answer, ModelInfo]] = {}
    shares: list[ModelShare] = []
    for places, answers in begun:
        result = answers()
        shares += result.shares
        found.update(zip(places, zip(result.answers, result.models, strict=True), strict=True))
    in_order = [found[place] for place in range(articles)]
    return TaggingResult(
        answers=tuple(answer for answer, _ in in_order),
        models=tuple(model for _, model in in_order),
        shares=tuple(shares),
    )
