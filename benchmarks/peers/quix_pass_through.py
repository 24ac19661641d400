"""Quix Streams: JSON in, the same JSON out. Prints articles a second.

Runs in an environment that has quixstreams, which wants an older confluent-kafka than nerstream.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from quixstreams import Application


def main() -> None:
    """Read so many messages, write them, say how fast."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("count", type=int)
    parser.add_argument("guarantee", choices=("at-least-once", "exactly-once"))
    parser.add_argument("--commit-interval-s", type=float, default=5.0, help="its own: 5")
    asked = parser.parse_args()
    app = Application(
        broker_address=asked.bootstrap,
        consumer_group=f"{asked.source}-quix",
        auto_offset_reset="earliest",
        processing_guarantee=asked.guarantee,
        commit_interval=asked.commit_interval_s,
        loglevel="WARNING",
        auto_create_topics=False,
    )
    seen = 0
    first_at = last_at = 0.0

    def note(_: Any) -> None:
        nonlocal seen, first_at, last_at
        seen += 1
        if seen * 10 == asked.count:  # a tenth is the beginning, as for the others
            first_at = time.monotonic()
        elif seen == asked.count:
            last_at = time.monotonic()

    articles = app.topic(asked.source, value_deserializer="json")
    tagged = app.topic(asked.target, value_serializer="json")
    app.dataframe(articles).update(note).to_topic(tagged)
    app.run(count=asked.count, timeout=60.0)
    print((asked.count - asked.count // 10) / (last_at - first_at))


if __name__ == "__main__":
    main()
