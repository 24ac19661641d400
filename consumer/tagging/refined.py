"""What becomes of a model's entities before they are published: places, thresholds, types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from consumer.contracts.choices import DropReason
from consumer.contracts.errors import RejectedMessage, SettingsError
from consumer.contracts.messages import (
    Answer,
    Article,
    Encoding,
    Entity,
    ModelInfo,
    PreparedArticle,
    TaggingResult,
    TextSource,
)
from consumer.contracts.ports import Tagger


class RefinedTagger:
    """A tagger whose entities stand in the fields as they came in, and of which some are left out.
    Fulfils `consumer.contracts.ports.Tagger`; threads as the tagger that it is made of.

    Args:
        tagger: finds the entities.
        min_score: entities below are left out.
        types: the model's types that are kept; empty keeps all.
        type_names: what types of the model are called in the output; others keep their name.

    Raises:
        SettingsError: `types` or `type_names` names a type that the model cannot answer with.
    """

    def __init__(
        self,
        tagger: Tagger,
        *,
        min_score: float = 0.0,
        types: Sequence[str] = (),
        type_names: Mapping[str, str] | None = None,
    ) -> None:
        type_names = type_names or {}
        known = sorted({name for model in tagger.models for name in model.types})
        for name in types:
            _check("types", name, known)
        for name in type_names:
            _check("type_names", name, known)
        kept = [name for name in known if name in types or not types]
        # What a type is called, by the model's name for it; a type without one is left out.
        self._names = {name: type_names.get(name, name) for name in kept}
        self._changes_types = len(kept) < len(known) or bool(type_names)
        self._min_score = min_score
        self._tagger = tagger
        self._models = tuple(map(self._published, tagger.models))

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """The models that answer, with the types that are published."""
        return self._models

    @property
    def overlaps(self) -> bool:
        """As the tagger's."""
        return self._tagger.overlaps

    @property
    def encodings_at_once(self) -> int:
        """As the tagger's."""
        return self._tagger.encodings_at_once

    def await_room(self) -> None:
        """As the tagger's."""
        self._tagger.await_room()

    def encode(self, articles: Sequence[Article]) -> Sequence[Encoding]:
        """As the tagger's."""
        return self._tagger.encode(articles)

    def begin(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> Callable[[], TaggingResult]:
        """As the tagger's; what is left out is counted in the result."""
        answers = self._tagger.begin(articles, progress)
        return lambda: self._refined(articles, answers())

    def _published(self, model: ModelInfo) -> ModelInfo:
        types = {self._names[name] for name in model.types if name in self._names}
        return replace(model, types=tuple(sorted(types)))

    def _refined(self, articles: Sequence[PreparedArticle], result: TaggingResult) -> TaggingResult:
        dropped = dict(result.dropped)
        answers: list[Answer] = []
        for article, answer in zip(articles, result.answers, strict=True):
            if answer and not isinstance(answer, RejectedMessage):
                answer = self._kept(answer, dropped)
                sources = {
                    field.name: (field.text, field.source)
                    for field in article.article.fields
                    if field.source is not None
                }
                if sources and answer:
                    answer = _in_sources(answer, sources)
            answers.append(answer)
        return replace(result, answers=tuple(answers), dropped=dropped)

    def _kept(
        self, entities: tuple[Entity, ...], dropped: dict[DropReason, int]
    ) -> tuple[Entity, ...]:
        kept = entities
        if self._min_score > 0:
            kept = tuple([entity for entity in kept if entity.score >= self._min_score])
            _count(dropped, DropReason.SCORE, len(entities) - len(kept))
        if self._changes_types:
            names = self._names
            scored = len(kept)
            kept = tuple(
                [
                    entity._replace(type=names[entity.type])
                    for entity in kept
                    if entity.type in names
                ]
            )
            _count(dropped, DropReason.TYPE, scored - len(kept))
        return kept


def _count(dropped: dict[DropReason, int], reason: DropReason, count: int) -> None:
    if count:
        dropped[reason] = dropped.get(reason, 0) + count


def _in_sources(
    entities: Sequence[Entity], sources: Mapping[str, tuple[str, TextSource]]
) -> tuple[Entity, ...]:
    """The entities with offsets of the fields as they came in. One that runs across a block of
    mark-up becomes one on either side."""
    placed: list[Entity] = []
    for entity in entities:
        if entity.field not in sources:
            placed.append(entity)
            continue
        text, source = sources[entity.field]
        for start, end in source.parts(entity.start, entity.end):
            piece = text[start:end]
            surface = piece.strip()
            if surface:
                start += piece.index(surface)
                first, last = source.to_source(start, start + len(surface))
                placed.append(entity._replace(text=surface, start=first, end=last))
    return tuple(placed)


def _check(setting: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        close = get_close_matches(name.upper(), known, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        raise SettingsError(
            setting,
            f"no model here answers with the type {name}",
            f"{meant}there is {', '.join(known)}",
        )
