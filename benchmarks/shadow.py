"""What a second model beside the first costs it: `python -m benchmarks.shadow`.

The bundled model tags batches of news, in turns without a second model, with the same model as a
shadow that is offered every batch, and with one that is never without work. That is the worst: a
worker gives it none under load. What counts is each turn's rate, and the processor time that the
first model's process takes for a token, beside those of the turn without.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from consumer.bench.articles import news_articles
from consumer.bench.worker.alone import prepared_batches
from consumer.contracts.choices import FoundBy, ShadowFate
from consumer.contracts.messages import ModelInfo, PreparedArticle, TaggedArticle
from consumer.loading import tagger_from
from consumer.settings.schema import Settings
from consumer.shadow.child import ShadowChild, ShadowFailed
from consumer.shadow.sample import Sample
from consumer.shadow.shadow import Shadow

SETTINGS = Settings(model="bundled", shadow_model="bundled")

Batches = Sequence[Sequence[PreparedArticle]]


class Counts:
    """What a shadow tells."""

    def __init__(self) -> None:
        self.articles: dict[str, int] = {}

    def shadow_articles(self, fate: ShadowFate, articles: int) -> None:
        self.articles[fate.value] = self.articles.get(fate.value, 0) + articles

    def shadow_entities(self, found_by: FoundBy, by_type: Mapping[str, int]) -> None:
        """Nothing is made of them."""

    def shadow_running(self, running: bool) -> None:
        """Nor of that."""


def main() -> None:
    """Run all, print a table and, on request, write the record."""
    parser = argparse.ArgumentParser(description="what a second model costs the first")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--machine", default="", help="what to call this machine")
    parser.add_argument("--record", type=Path, help="file for the figures, as JSON")
    asked = parser.parse_args()
    tagger = tagger_from(SETTINGS)
    batches = prepared_batches(SETTINGS, tagger, news_articles(200, 1, 0))
    model = tagger.models[0]
    counts = Counts()
    child = ShadowChild(SETTINGS.model_dump_json(), SETTINGS.shadow_model)
    if not isinstance(child.begun(), ModelInfo):
        raise SystemExit("the second model cannot be loaded")
    shadow = Shadow(
        child,
        Sample(0.05),
        counts,
        batch_tokens=SETTINGS.batch_tokens,
        batch_articles=SETTINGS.batch_articles,
        examples=0,
    )
    shadow.start()
    rates: dict[str, list[float]] = {"without": [], "offered": [], "always busy": []}
    costs: dict[str, list[float]] = {name: [] for name in rates}

    def turn(offers: bool) -> tuple[float, float]:
        tokens, started, cpu_s = 0, time.perf_counter(), time.process_time()
        number = 0
        while time.perf_counter() - started < asked.seconds:
            batch = batches[number % len(batches)]
            number += 1
            answers = tagger.tag(batch, lambda: None).answers
            tokens += sum(one.encoding.tokens for one in batch)
            if offers:
                shadow.offer(
                    [
                        TaggedArticle(one.article, answer, one.encoding.tokens, model)
                        for one, answer in zip(batch, answers, strict=True)
                        if isinstance(answer, tuple)
                    ],
                    more_waits=True,  # as behind a backlog
                )
        spent_us = (time.process_time() - cpu_s) * 1e6
        return tokens / (time.perf_counter() - started), spent_us / tokens

    turn(False)
    for number in range(asked.turns):
        for name in tuple(rates)[:: 1 if number % 2 else -1]:
            if name == "always busy":
                with _busy(batches):
                    rate, cost = turn(False)
            else:
                rate, cost = turn(name == "offered")
            rates[name].append(rate)
            costs[name].append(cost)
            print(f"{number + 1}: {name}: {rate:,.0f} tokens/s, {cost:.1f} us", file=sys.stderr)
    shadow.close()
    record: dict[str, Any] = {
        "benchmark": "shadow",
        "machine": asked.machine,
        "cores": os.cpu_count(),
        "tokens_per_s": {name: [round(one) for one in found] for name, found in rates.items()},
        "cpu_us_per_token": {
            name: [round(one, 2) for one in found] for name, found in costs.items()
        },
        "of_without": {
            what: {
                name: statistics.median(
                    one / plain for one, plain in zip(found, figures["without"], strict=True)
                )
                for name, found in figures.items()
            }
            for what, figures in (("tokens_per_s", rates), ("cpu_us_per_token", costs))
        },
        "offered_articles": counts.articles,
    }
    for what, ratios in record["of_without"].items():
        for name, ratio in ratios.items():
            print(f"{what:16} {name:12} {ratio:.3f} of without")
    if asked.record is not None:
        asked.record.write_text(json.dumps(record, indent=1) + "\n")


@contextmanager
def _busy(batches: Batches) -> Iterator[None]:
    """A second model that tags all the time."""
    child = ShadowChild(SETTINGS.model_dump_json(), SETTINGS.shadow_model)
    child.begun()
    ends = threading.Event()
    texts = [[one.article.fields for one in batch[:8]] for batch in batches]

    def work() -> None:
        number = 0
        try:
            while not ends.is_set():
                child.ask(texts[number % len(texts)])
                number += 1
        except ShadowFailed:
            return  # it was ended below

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        child.kill()
        thread.join()
        child.close()


if __name__ == "__main__":
    main()
