"""Faults of the broker: restarted, killed, out of disk, and topics that refuse."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Mapping
from typing import Any

from tests.faults.brokers.quota import set_producer_quota
from tests.faults.feeding import inputs
from tests.faults.feeding.feed import Shape
from tests.faults.matrix.scene import Scene
from tests.faults.rows.row import AT_LEAST_ONCE, Row
from tests.integration.rigs import helpers
from tests.support.processes.freeze import freeze

#: By which the quota finds the workers and spares the feeder.
_CLIENT_ID = "faults"

#: Messages without an outcome by which a slow worker is told: beyond what three workers that keep
#: up have under way.
_HELD_UP = 1_500


def restarted(scene: Scene) -> None:
    """An orderly restart."""
    scene.start(3)
    helpers.wait_in_sync(scene.broker.direct)
    scene.fault()
    scene.broker.server.restart()
    scene.wait_recovered()


def alone_restarted(scene: Scene) -> None:
    """The only broker restarts in good order, so that none answers for some seconds."""
    scene.start(3)
    # As in the row `brokers_forgotten`, which this is for a worker that asks while it shuts down.
    scene.supervised = True
    scene.fault()
    scene.broker.server.restart()
    scene.wait_recovered()


def alone_killed(scene: Scene) -> None:
    """SIGKILL of the only broker, twice."""
    scene.start(3)
    for _ in range(2):
        scene.fault(kills=1)
        scene.broker.server.kill()
        scene.broker.server.restart()
        scene.wait_recovered()


def broker_killed(scene: Scene, times: int = 2) -> None:
    """SIGKILL in mid-transaction."""
    scene.start(3)
    for _ in range(times):
        helpers.wait_in_sync(scene.broker.direct)
        scene.fault(kills=1)
        scene.broker.server.kill()
        scene.wait_recovered()
        scene.broker.server.restart()


def frozen(scene: Scene) -> None:
    """SIGSTOP for longer than the session and the transaction timeout, then SIGCONT."""
    scene.start(3)
    # As in the row `brokers_forgotten`, which this is for some.
    scene.supervised = True
    pid = scene.broker.server.pid
    scene.fault()
    freeze(pid)
    try:
        time.sleep(10)
    finally:
        os.kill(pid, signal.SIGCONT)
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
    """The output topic wants two replicas, and one of the two brokers is gone for a while.

    A limit above the number of replicas would do nothing: since version 4 brokers take the smaller
    of both.
    """
    scene.start(3)
    broker = scene.broker
    helpers.wait_in_sync(broker.direct)
    helpers.alter_topic(broker.direct, scene.output, {"min.insync.replicas": "2"})
    scene.fault(kills=1)
    broker.server.kill()
    refused = f"requirement of 2 for partition {scene.output}-"
    scene.wait_for(lambda: broker.has_logged(refused), "a refused write")
    # So that the workers have more than one transaction to take back.
    time.sleep(scene.draw.uniform(3.0, 6.0))
    broker.server.restart()
    scene.wait_recovered()


def throttled(scene: Scene) -> None:
    """A quota slows the workers' producers down to a tenth of what they need."""
    scene.start(3)
    scene.fault()
    direct = scene.broker.direct
    set_producer_quota(direct, _CLIENT_ID, 10_000)
    scene.wait_for(
        lambda: scene.feeder.count - len(scene.watcher.numbers) > _HELD_UP,
        "messages that the quota holds up",
    )
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
            one.topic == scene.letters and scene.feed.wire.is_long(one.number)
            for one in scene.watcher.seen
        ),
        "a dead letter for a long article",
    )


def dead_letters_missing(scene: Scene) -> None:
    """The dead-letter topic is gone when the first message is rejected: it is waited for, and
    nothing passes over it."""
    worker = scene.start_worker()
    helpers.remove_topics(scene.broker.direct, [scene.letters])
    scene.fault()
    scene.feeder.start()
    gone = f"the topic {scene.letters} (dead_letter_topic) is gone"
    scene.wait_for(lambda: gone in worker.get("/readyz")[1], "the worker names the topic")
    aborted = "aborted, reading its inputs again"
    scene.wait_for(lambda: aborted in worker.log.read_text(), "a transaction that is taken back")
    early = scene.start_worker(ready=False)
    assert scene.wait_dead(early) == 1
    assert "dead_letter_topic" in early.log.read_text()
    helpers.create_topic(scene.broker.direct, scene.letters, scene.feed.output_partitions)
    scene.start(2)
    scene.wait_recovered()
    assert worker.process.poll() is None, worker.log.read_text()


def remade(scene: Scene, times: int = 2) -> None:
    """The input topic is deleted and made again while it is fed and read."""
    scene.start(3)
    for _ in range(times):
        scene.fault()
        helpers.remove_topics(scene.broker.direct, scene.feed.topics)
        # What was acknowledged by now went with the topic, unless it was read before.
        scene.wait_for(scene.feeder.is_held_up, "the feeder has no topic")
        scene.may_skip = frozenset(scene.feeder.positions)
        scene.gone_with.append(scene.may_skip)
        if not scene.transactional:
            # What was read of the old topic is still published. It would be taken for outcomes of
            # the new topic, which has the same offsets.
            scene.wait_for(scene.is_idle, "the outcomes of what went with the topic")
        scene.begin_outcomes_here()
        for topic, partitions in scene.feed.topics.items():
            helpers.create_topic(scene.broker.direct, topic, partitions)
        scene.wait_recovered()
        # Until then the group may show an offset of the old topic, which says nothing of the new.
        scene.watcher.samples.clear()


_NO_TRANSACTIONS = tuple(one for one in Shape if one is not Shape.TRANSACTIONAL)

#: Of a broker that is alone. With transactions it loses their markers by itself when it is started
#: again: see `running_cluster`. And while it shuts down it answers for some 10 ms that there are no
#: brokers: a feeder that asks just then would never be heard again.
#: Nor may anybody upstream have transactions there.
_ALONE: Mapping[str, Any] = {
    "deliveries": (AT_LEAST_ONCE,),
    "sheltered": True,
    "shapes": _NO_TRANSACTIONS,
}

ROWS = (
    Row("broker_restarted", "broker", "one of two restarts in good order", restarted, cluster=True),
    Row(
        "broker_killed",
        "broker",
        "one of two killed in mid-transaction, then started again; twice",
        broker_killed,
        cluster=True,
    ),
    Row(
        "frozen",
        "broker",
        "stopped for 10 s, past every timeout, then woken",
        frozen,
        sheltered=True,
    ),
    Row(
        "alone_restarted",
        "broker",
        "the only broker restarts in good order",
        alone_restarted,
        **_ALONE,
    ),
    Row(
        "alone_killed",
        "broker",
        "the only broker is killed and started again",
        alone_killed,
        **_ALONE,
    ),
    Row(
        "disk_full",
        "broker",
        "the only broker has no space: its log folder fails",
        disk_full,
        **_ALONE,
    ),
    Row(
        "no_replicas",
        "broker",
        "writes to the output refused for want of replicas",
        no_replicas,
        cluster=True,
    ),
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
    Row(
        "remade",
        "broker",
        "the input topic is deleted and made again; twice",
        remade,
        # A transaction into a topic that is gone has no end.
        shapes=_NO_TRANSACTIONS,
    ),
    Row(
        "remade_848",
        "broker",
        "the same, by KIP-848",
        remade,
        settings={"group_protocol": "consumer"},
        shapes=_NO_TRANSACTIONS,
    ),
    Row("dead_letters_missing", "broker", "the dead-letter topic is missing", dead_letters_missing),
)
