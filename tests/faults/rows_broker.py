"""Faults of the broker: restarted, killed, out of disk, and topics that refuse."""

from __future__ import annotations

import resource
import time

from tests.faults import inputs
from tests.faults.quota import set_producer_quota
from tests.faults.row import Row
from tests.faults.scene import Scene
from tests.integration import helpers

#: By which the quota finds the workers and spares the feeder.
_CLIENT_ID = "faults"


def restarted(scene: Scene) -> None:
    """An orderly restart."""
    scene.start(3)
    scene.fault()
    scene.broker.server.restart()
    scene.wait_recovered()


def broker_killed(scene: Scene) -> None:
    """SIGKILL in mid-transaction, twice."""
    scene.start(3)
    for _ in range(2):
        scene.fault(kills=1)
        scene.broker.server.kill()
        time.sleep(1)
        scene.broker.server.restart()
        scene.wait_recovered()


def disk_full(scene: Scene) -> None:
    """The broker cannot write any more: its log folder goes offline, and it ends; then it is back.

    A limit on the size of its files has the effect of a full disk, without filling one.
    """
    scene.start(3)
    server = scene.broker.server
    scene.fault(kills=1)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    scene.wait_for(lambda: not server.running, "the broker has failed for want of disk")
    server.restart()
    scene.wait_recovered()


def no_replicas(scene: Scene) -> None:
    """The output topic refuses writes for want of replicas, for some seconds."""
    scene.start(3)
    scene.fault()
    direct = scene.broker.direct
    helpers.alter_topic(direct, scene.output, {"min.insync.replicas": "2"})
    time.sleep(6)
    helpers.alter_topic(direct, scene.output, {"min.insync.replicas": "1"})
    scene.wait_recovered()


def throttled(scene: Scene) -> None:
    """A quota slows the workers' producers down to a tenth of what they need."""
    scene.start(3)
    scene.fault()
    direct = scene.broker.direct
    set_producer_quota(direct, _CLIENT_ID, 10_000)
    time.sleep(4)
    set_producer_quota(direct, _CLIENT_ID, None)
    scene.wait_recovered()


def too_large(scene: Scene) -> None:
    """The output topic takes no long messages any more: they become dead letters."""
    scene.may_be_too_large = True
    scene.start(3)
    scene.fault()
    helpers.alter_topic(
        scene.broker.direct, scene.output, {"max.message.bytes": str(inputs.LONG_BYTES)}
    )
    scene.wait_recovered()
    scene.wait_for(
        lambda: any(
            one.topic == scene.letters and inputs.is_long(one.number) for one in scene.watcher.seen
        ),
        "a dead letter for a long article",
    )


def dead_letters_missing(scene: Scene) -> None:
    """The dead-letter topic is gone when the first message is rejected: nothing passes over it."""
    worker = scene.start_worker()
    helpers.delete_topics(scene.broker.direct, [scene.letters])
    scene.fault()
    scene.feeder.start()
    assert scene.wait_dead(worker) == 1, worker.log.read_text()
    assert scene.letters in worker.log.read_text()
    early = scene.start_worker(ready=False)
    assert scene.wait_dead(early) == 1
    assert "dead_letter_topic" in early.log.read_text()
    helpers.create_topic(scene.broker.direct, scene.letters, inputs.PARTITIONS)
    scene.start(2)
    scene.wait_recovered()


ROWS = (
    Row("broker_restarted", "broker", "restart in good order", restarted),
    Row("broker_killed", "broker", "SIGKILL in mid-transaction, twice", broker_killed),
    Row("disk_full", "broker", "no space: the broker's log folder fails", disk_full),
    Row("no_replicas", "broker", "writes refused for want of replicas", no_replicas),
    Row(
        "throttled",
        "broker",
        "a quota on the workers' producers",
        throttled,
        settings={"kafka": {"client.id": _CLIENT_ID}},
    ),
    Row(
        "too_large",
        "broker",
        "outputs too large for their topic",
        too_large,
        # The brokers hold whole batches against the limit.
        settings={"kafka": {"batch.size": str(inputs.LONG_BYTES - 500)}},
    ),
    Row("dead_letters_missing", "broker", "the dead-letter topic is missing", dead_letters_missing),
)
