"""Faults of the group: members that come and go, sleep, share a name, or stand where nothing is."""

from __future__ import annotations

import signal
import time

from tests.faults.feeding import inputs
from tests.faults.matrix.scene import Scene
from tests.faults.rows.row import EXACTLY_ONCE, Row
from tests.integration.rigs import helpers


def churned(scene: Scene, turns: int = 6) -> None:
    """Workers come and go every two seconds, some of them drained, some killed."""
    workers = scene.start(2)
    for turn in range(turns):
        workers.append(scene.start_worker())
        time.sleep(scene.draw.uniform(0.3, 1.7))
        leaving = workers.pop(0)
        if turn % 3 == 2:
            scene.kill(leaving)
        else:
            scene.fault()
            assert leaving.terminate() == 0, leaving.log.read_text()
    scene.wait_recovered()


def evicted(scene: Scene) -> None:
    """The poll thread of a worker sleeps past `max.poll.interval.ms`; the group goes on."""
    scene.start(2)
    sleeper = scene.start_worker("poll.after:12:sleep=10", ready=False)
    scene.wait_for(lambda: "fault: sleep" in sleeper.log.read_text(), "the sleep")
    scene.fault()
    scene.wait_recovered()
    scene.wait_for(
        lambda: "partitions lost" in sleeper.log.read_text(), "the sleeper hears of its eviction"
    )
    scene.fault()
    scene.wait_recovered()


def same_transactional_id(scene: Scene) -> None:
    """Two workers by one `instance`: the second fences the first, which ends with 1."""
    scene.start(1)
    first = scene.start_worker(instance="twin")
    scene.fault()
    scene.start_worker(instance="twin", ready=False)
    assert scene.wait_dead(first) == 1, first.log.read_text()
    assert "same instance" in first.log.read_text(), first.log.read_text()
    scene.wait_recovered()


def same_static_member(scene: Scene) -> None:
    """Two workers by one `group.instance.id`: one of them ends with 1."""
    scene.start(1)
    static = {"group.instance.id": "twin"}
    first = scene.start_worker(kafka=static)
    scene.fault()
    scene.start_worker(kafka=static, ready=False)
    assert scene.wait_dead(first) == 1, first.log.read_text()
    assert "group.instance.id" in first.log.read_text(), first.log.read_text()
    scene.wait_recovered()


def retention_passed(scene: Scene) -> None:
    """Retention removes what the group has not read: a clear error, or the configured reset."""
    (worker,) = scene.start(1)
    assert worker.terminate() == 0, worker.log.read_text()
    time.sleep(1.5)  # more comes in that nobody reads
    committed, ends = scene.committed(), scene.ends()
    removed = {partition: (committed[partition] + ends[partition]) // 2 for partition in committed}
    assert all(removed[partition] > committed[partition] for partition in removed)
    for topic in scene.feed.topics:
        before = {one.partition: end for one, end in removed.items() if one.topic == topic}
        helpers.delete_records(scene.broker.direct, topic, before)
    strict = scene.start_worker(auto_offset_reset="error", ready=False)
    assert scene.wait_dead(strict) == 1
    assert "auto_offset_reset" in strict.log.read_text(), strict.log.read_text()
    scene.wait_for(
        lambda: scene.feeder.count - len(scene.feeder.positions) < 100, "the feeder is at hand"
    )
    scene.may_skip = frozenset(
        number
        for number, (partition, offset) in tuple(scene.feeder.positions.items())
        if committed[partition] <= offset < removed[partition]
    )
    assert len(scene.may_skip) >= inputs.PARTITIONS
    scene.fault()
    scene.start_worker(auto_offset_reset="earliest")
    scene.wait_recovered()


def _churn_with_signals(scene: Scene) -> None:
    """Many come at once, and go at once."""
    scene.start(2)
    for _ in range(2):
        crowd = [scene.start_worker(ready=False) for _ in range(4)]
        for worker in crowd:
            worker.wait_ready()
        scene.fault()
        for worker in crowd:
            worker.process.send_signal(signal.SIGTERM)
        for worker in crowd:
            assert worker.wait() == 0, worker.log.read_text()
        scene.wait_recovered()


ROWS = (
    Row("churned", "group", "workers come and go every two seconds", churned),
    Row("crowded", "group", "four workers join at once and leave at once", _churn_with_signals),
    Row(
        "churned_848",
        "group",
        "the same with `group.protocol=consumer` (KIP-848)",
        churned,
        settings={"group_protocol": "consumer"},
    ),
    Row(
        "evicted", "group", "a worker does not poll for longer than `max.poll.interval.ms`", evicted
    ),
    Row(
        "same_transactional_id",
        "group",
        "a second worker by the same `transactional.id`",
        same_transactional_id,
        deliveries=(EXACTLY_ONCE,),
    ),
    Row(
        "same_static_member",
        "group",
        "a second worker by the same `group.instance.id`",
        same_static_member,
    ),
    Row("retention", "group", "the committed offset is past retention", retention_passed),
)
