"""What a worker makes of a message's shape, and of a second model: `python -m benchmarks.shapes`.

A worker drains the same articles in turns on one broker: by plain names, by paths into lists, by
the preset `ninjs`, and with a model for each of two languages, which the articles have by turns.
What counts is the rate of a turn beside that of its turn by plain names, of which the median is
taken: a busy machine slows both. `--model` takes the bundled model, and a copy of it, instead of
taggers that do nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.processes.draining import drained
from consumer.bench.articles import news_articles
from tests.integration.servers.kafka_server import KafkaServer

MODEL = Path(__file__).parents[1] / "consumer" / "models" / "minilm-l6-ner"

#: What the others are measured beside.
NAMES = "names"
SHAPES = (NAMES, "lists", "ninjs", "two models")

_LANGUAGES = ("en", "de")


def main() -> None:
    """Run all, print a table and, on request, write the record."""
    parser = argparse.ArgumentParser(description="the worker, by the shape of messages")
    parser.add_argument("--count", type=int, default=60_000, help="articles of each run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--article-bytes", type=int, default=2_048)
    parser.add_argument("--model", action="store_true", help="with the bundled model")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES[1:], default=SHAPES[1:])
    parser.add_argument("--machine", default="", help="what to call this machine")
    parser.add_argument("--record", type=Path, help="file for the figures, as JSON")
    asked = parser.parse_args()
    shapes = (NAMES, *asked.shapes)
    rates: dict[str, list[float]] = {name: [] for name in shapes}
    articles = [json.loads(one) for one in news_articles(2_000, 1, asked.article_bytes)]
    values = {
        name: [_shaped(name, number, one) for number, one in enumerate(articles)] for name in shapes
    }
    command = (
        ("-m", "consumer", "run") if asked.model else ("-m", "benchmarks.processes.null_worker")
    )
    with KafkaServer(on_disk=True) as server, tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "model"
        shutil.copytree(MODEL, other)
        for number in range(asked.rounds):
            for name in shapes if number % 2 else shapes[::-1]:
                print(f"round {number + 1}: {name} ...", file=sys.stderr)
                rates[name].append(
                    drained(
                        server.bootstrap_servers,
                        values[name],
                        asked.count,
                        _settings(name, str(other)),
                        command,
                    ).rate
                )
    record: dict[str, Any] = {
        "benchmark": "shapes",
        "machine": asked.machine,
        "tagger": "bundled" if asked.model else "null",
        "article_bytes": asked.article_bytes,
        "articles": asked.count,
        "articles_per_s": {name: [round(one) for one in found] for name, found in rates.items()},
        "of_names": {name: _ratio(found, rates[NAMES]) for name, found in rates.items()},
    }
    print(json.dumps(record, indent=1))
    if asked.record is not None:
        asked.record.write_text(json.dumps(record, indent=1) + "\n")


def _ratio(found: Sequence[float], beside: Sequence[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(found, beside, strict=True)), 3)


def _settings(shape: str, other: str) -> Mapping[str, Any]:
    by_language = {"language_field": "lang", "language_detection": "off", "model": "bundled"}
    match shape:
        case "lists":
            paths = "headlines[*].value,bodies[?contenttype=='text/plain'].value"
            return {**by_language, "text_fields": paths}
        case "ninjs":
            return {**by_language, "preset": "ninjs", "id_field": "id"}
        case "two models":
            models = dict(zip(_LANGUAGES, ("bundled", other), strict=True))
            return {**by_language, "models": models}
    return by_language


def _shaped(shape: str, number: int, article: Mapping[str, Any]) -> bytes:
    """An article in another shape, which has the same members in every one."""
    title, body = article["title"], article["body"]
    is_listed = shape in ("lists", "ninjs")
    value = (lambda text: {"value": text}) if is_listed else (lambda _text: {"kind": ""})
    document = {
        "id": article["id"],
        "lang": _LANGUAGES[number % 2],
        "type": "text",
        "headlines": [{"role": "main", **value(title)}],
        "bodies": [{"role": "text", "contenttype": "text/plain", **value(body)}],
        **({} if is_listed else {"title": title, "body": body}),
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


if __name__ == "__main__":
    main()
