"""What HTML costs: `python -m benchmarks.markup`.

A worker with a tagger that does nothing drains articles of one size, in turns: plain ones, and ones
whose body is HTML. What counts is the ratio of the two rates of a turn, of which the median is
taken: a busy machine slows both. And what the codec alone takes of an article, in the same turns.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.worker_runs import WARM_UP, bench
from consumer.bench.articles import news_articles
from consumer.codec.article_codec import Codec
from consumer.contracts.messages import Article, Position, RawMessage, TopicPartition
from tests.integration.servers.kafka_server import KafkaServer

FORMATS = ("plain", "html")

#: Sentences of a paragraph, and what such articles have in each: a link, a name in bold, or none.
_SENTENCES = 3
_WORDS = re.compile(r"\b\w+ \w+\b")
_MARKUP = (
    '<a href="https://www.example.org/news/2026/11/23/{number}">{words}</a>',
    "<b>{words}</b>",
    "{words}",
)


def main() -> None:
    """Run all, print a table and, on request, write the record."""
    parser = argparse.ArgumentParser(description="what HTML costs")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each run, about")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--article-bytes", type=int, default=2_048)
    parser.add_argument("--machine", default="", help="what to call this machine")
    parser.add_argument("--record", type=Path, help="file for the figures, as JSON")
    asked = parser.parse_args()
    plain = news_articles(2_000, 1, asked.article_bytes)
    values = {"plain": plain, "html": html_articles(asked.article_bytes)}
    rates: dict[str, list[float]] = {name: [] for name in FORMATS}
    codec_us: dict[str, list[float]] = {name: [] for name in FORMATS}
    with KafkaServer(on_disk=True) as server, tempfile.TemporaryDirectory() as folder:
        for name in FORMATS:
            (Path(folder) / name).write_bytes(b"\n".join(values[name]))
        bench(server.bootstrap_servers, WARM_UP)
        for number in range(asked.rounds):
            for name in FORMATS if number % 2 else FORMATS[::-1]:
                print(f"round {number + 1}: {name} ...", file=sys.stderr)
                arguments = (
                    *("--tagger", "null", "--throughput-only", "--seconds", str(asked.seconds)),
                    *("--articles", str(Path(folder) / name), "--text-format", _setting(name)),
                )
                throughput = bench(server.bootstrap_servers, arguments)["throughput"]
                rates[name].append(throughput["articles_per_s"])
                codec_us[name].append(_codec_alone(name, values[name]))
    record: dict[str, Any] = {
        "benchmark": "markup",
        "machine": asked.machine,
        "article_bytes": asked.article_bytes,
        "tags": round(statistics.mean(value.count(b"<") for value in values["html"]), 1),
        "references": round(statistics.mean(value.count(b"&") for value in values["html"]), 1),
        "articles_per_s": {
            name: {"median": statistics.median(found), "runs": [round(one) for one in found]}
            for name, found in rates.items()
        },
        "html_of_plain": round(
            statistics.median(
                one / other for one, other in zip(rates["html"], rates["plain"], strict=True)
            ),
            3,
        ),
        "decode_us": {name: round(statistics.median(found), 1) for name, found in codec_us.items()},
    }
    print(json.dumps(record, indent=1))
    if asked.record is not None:
        asked.record.write_text(json.dumps(record, indent=1) + "\n")


def html_articles(size_bytes: int) -> list[bytes]:
    """Articles of this size whose body is HTML: paragraphs with links, bold names and references to
    characters."""
    rng = random.Random(2)
    found = []
    for number, value in enumerate(news_articles(2_000, 1, size_bytes)):
        document = json.loads(value)
        sentences = re.split(r"(?<=[.!?])\s+", document["body"])
        paragraphs: list[str] = []
        for at in range(0, len(sentences), _SENTENCES):
            text = " ".join(sentences[at : at + _SENTENCES])
            form = _MARKUP[rng.randrange(len(_MARKUP))].replace("{number}", str(number))
            text = text.replace("&", "&amp;").replace("'", "&rsquo;").replace("–", "&ndash;")
            text = _WORDS.sub(form.replace("{words}", r"\g<0>"), text, count=1)
            document["body"] = "\n".join([*paragraphs, f"<p>{text}</p>"])
            if len(json.dumps(document, ensure_ascii=False).encode()) > size_bytes:
                break
            paragraphs.append(f"<p>{text}</p>")
        document["body"] = "\n".join(paragraphs)
        # The rest of the size, in one more paragraph.
        left = size_bytes - len(json.dumps(document, ensure_ascii=False).encode()) - 10
        document["body"] += f"\n<p>{(sentences[0] * 9)[: max(0, left)]}</p>"
        found.append(json.dumps(document, ensure_ascii=False).encode())
    return found


def _setting(name: str) -> str:
    return "body=html" if name == "html" else "plain"


def _codec_alone(name: str, values: Sequence[bytes]) -> float:
    """Microseconds to decode an article."""
    codec = Codec(("title", "body"), text_format=(_setting(name),))
    raws = [
        RawMessage(Position(TopicPartition("t", 0), number), None, value, (), 0, 0)
        for number, value in enumerate(values)
    ]
    started = time.perf_counter()
    articles = [one for one in map(codec.decode, raws) if isinstance(one, Article)]
    return (time.perf_counter() - started) / len(articles) * 1e6


if __name__ == "__main__":
    main()
