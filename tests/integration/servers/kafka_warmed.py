"""What later starts of Apache Kafka need not do again.

`python -m tests.integration.servers.kafka_warmed`: Java reads and checks five thousand classes at
each start, and a broker's storage is formatted by a
process of its own. Here a broker is formatted, started and used once; its classes and the empty
storage stay beside the jars, and `KafkaServer` takes them. Without them all is as it would be and
takes twice the time.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from pathlib import Path

from confluent_kafka import TopicPartition

from tests.integration.rigs import helpers
from tests.integration.servers.kafka_server import (
    ARCHIVE,
    FORMATTED,
    KAFKA_DIR,
    KafkaServer,
    KafkaUnavailable,
)


def warm() -> None:
    """Leave both, unless they are there and newer than the jars.

    Raises:
        KafkaUnavailable: Java or the jars are missing.
    """
    jars = KAFKA_DIR / "libs"
    stamp = FORMATTED / "meta.properties"
    if jars.exists() and stamp.exists() and stamp.stat().st_mtime >= jars.stat().st_mtime:
        return
    ARCHIVE.unlink(missing_ok=True)
    shutil.rmtree(FORMATTED, ignore_errors=True)
    new = KAFKA_DIR / "new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    with _Leaves(new) as server:
        _use(server.bootstrap_servers)
        # It writes the archive before it ends.
        server.terminate(300)
    # A Java that keeps no classes leaves none.
    with contextlib.suppress(FileNotFoundError):
        (new / ARCHIVE.name).rename(ARCHIVE)
    (new / FORMATTED.name).rename(FORMATTED)
    new.rmdir()


class _Leaves(KafkaServer):
    """A broker that leaves both in this folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(jvm=(f"-XX:ArchiveClassesAtExit={folder / ARCHIVE.name}",))
        self._leaves_in = folder

    def format(self, java: str, data: Path) -> None:
        super().format(java, data)
        shutil.copytree(data, self._leaves_in / FORMATTED.name)


def _use(kafka: str) -> None:
    """What most tests do, so that the classes for it are read."""
    topic = helpers.create_topic(kafka, "articles")
    producer = helpers.producer(kafka, transactional_id="warmed")
    producer.init_transactions(60)
    consumer = helpers.group_reader(kafka, "warmed")
    try:
        consumer.subscribe([topic])
        producer.begin_transaction()
        helpers.put(producer, topic, [helpers.Record(b"article")])
        producer.flush(60)
        consumer.poll(30)
        producer.send_offsets_to_transaction(
            [TopicPartition(topic, 0, 1)], consumer.consumer_group_metadata(), 60
        )
        producer.commit_transaction(60)
    finally:
        consumer.close()
    helpers.delete_topics(kafka, [topic])


if __name__ == "__main__":
    try:
        warm()
    except KafkaUnavailable as missing:
        print(missing, file=sys.stderr)
