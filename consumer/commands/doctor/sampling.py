"""What the worker's codec makes of messages of the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RegistryProblem, RegistryUnavailable, RejectedMessage
from consumer.contracts.messages import Article, RawMessage
from consumer.doctor.facts import SampleFacts
from consumer.loading import worker_codec_from
from consumer.settings.schema import Settings


def sampled(
    settings: Settings, messages: Sequence[RawMessage]
) -> tuple[SampleFacts, list[Article]]:
    """Decode messages as the worker would.

    Returns:
        What came of them, and the articles.
    """
    codec = worker_codec_from(settings)
    articles: list[Article] = []
    rejected: Counter[str] = Counter()
    examples: dict[str, str] = {}
    passed = 0
    try:
        codec.open()
        for raw in messages:
            try:
                found = _decoded(codec.decode(raw), raw)
            except RejectedMessage as rejection:
                rejected[rejection.code] += 1
                examples.setdefault(rejection.code, rejection.message)
                continue
            if found is None:
                passed += 1
            else:
                articles.append(found)
    except (RegistryProblem, RegistryUnavailable) as problem:
        return SampleFacts(problem=str(problem)), []
    finally:
        codec.close()
    languages = Counter(one.language for one in articles)
    return (
        SampleFacts(
            messages=len(messages),
            rejected=rejected,
            examples=examples,
            passed=passed,
            without_key=sum(raw.key is None for raw in messages),
            largest_bytes=max((raw.size_bytes for raw in messages), default=0),
            languages=languages,
        ),
        articles,
    )


def _decoded(found: object, raw: RawMessage) -> Article | None:
    """The article; None for what passes without being tagged.

    Raises:
        RejectedMessage: the prepare stage would reject it for its headers.
    """
    if raw.has_unreadable_headers:
        raise RejectedMessage(
            RejectCode.INVALID_HEADER, "a header's name is not UTF-8 or holds a NUL character"
        )
    return found if isinstance(found, Article) else None
