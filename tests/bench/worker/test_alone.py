"""What the worker is measured by."""

from __future__ import annotations

import itertools
from typing import Any

import orjson
import pytest

from consumer.bench.worker.alone import measure_model, measure_tokenizer, prepared_batches
from consumer.settings.schema import Settings
from tests.support.models.tiny_models import SENTENCES, article, tiny_tagger


@pytest.mark.parametrize("at_once", [1, 3])
def test_the_tokenizer_alone(at_once: int) -> None:
    """Counts tokens and articles of all calls, however many run at once."""
    values = [
        orjson.dumps({"id": str(number), "body": SENTENCES[number % 3]}) for number in range(64)
    ]
    tagger = tiny_tagger()
    found = measure_tokenizer(Settings(), tagger, values, 0.2, at_once)
    encodings = tagger.encode([article(n, SENTENCES[n % 3]) for n in range(64)])
    tokens = sum(one.tokens - 2 for one in encodings)
    assert found["tokens_per_s"] / found["articles_per_s"] == pytest.approx(tokens / 64)
    assert 0.2 <= found["seconds"] < 5.0
    assert found["articles_per_s"] * found["seconds"] >= 64


def test_the_model_with_and_without_its_entities(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model only is the tagger without the entities that it finds, over the same batches, in
    turns with it."""
    values = [
        orjson.dumps({"id": str(number), "body": SENTENCES[number % 3]}) for number in range(64)
    ]
    tagger = tiny_tagger()
    batches = prepared_batches(Settings(batch_articles=16), tagger, values)
    assert [len(batch) for batch in batches if batch] == [16, 16, 16, 16]
    begun: list[str] = []

    def tell_of(name: str) -> None:
        call = getattr(tagger, name)

        def told(*given: Any) -> Any:
            begun.append(name)
            return call(*given)

        monkeypatch.setattr(tagger, name, told)

    tell_of("begin")
    tell_of("compute")
    found = measure_model(tagger, batches, 0.2)
    # The first is the warming up: of one batch, on a CPU.
    turns = [name for name, _ in itertools.groupby(begun[1:])]
    assert turns == ["compute", "begin", "compute", "begin", "compute"]
    tokens = sum(article.encoding.tokens for batch in batches for article in batch)
    assert found["tokens_per_s"] / found["articles_per_s"] == pytest.approx(tokens / 64, rel=0.02)
    assert found["model_only_tokens_per_s"] > 0
    assert 0.2 <= found["seconds"] < 5.0
