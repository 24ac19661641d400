"""The least that a loop can do: confluent-kafka in batches, orjson, no checks, no transactions."""

from __future__ import annotations

import argparse
import time

import orjson
from confluent_kafka import Consumer, Producer


def main() -> None:
    """Read so many messages, write them, say how fast."""
    parser = argparse.ArgumentParser()
    parser.add_argument("bootstrap")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("count", type=int)
    asked = parser.parse_args()
    consumer = Consumer(
        {
            "bootstrap.servers": asked.bootstrap,
            "group.id": f"{asked.source}-bare",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    producer = Producer(
        {
            "bootstrap.servers": asked.bootstrap,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": 1_048_576,
        }
    )
    consumer.subscribe([asked.source])
    seen = 0
    first_at = 0.0
    while seen < asked.count:
        for message in consumer.consume(1_000, 0.1):
            document = orjson.loads(message.value())
            document["entities"] = []
            producer.produce(asked.target, orjson.dumps(document), message.key())
            seen += 1
            if seen * 10 == asked.count:
                first_at = time.monotonic()
        producer.poll(0)
    producer.flush()
    took = time.monotonic() - first_at
    consumer.close()
    print((asked.count - asked.count // 10) / took)


if __name__ == "__main__":
    main()
