"""How long readers wait while partitions change hands: `python -m tests.faults.handover`.

Two workers on Apache Kafka with the timeouts of production, articles coming in evenly, a
`read_committed` reader that looks on. Each scene says how long an article waited at most, from when
it was handed to the producer until the reader had its outcome, and an audit must find every outcome
there once. The workers have the light tagger and start in a second; a real one takes as long as
its model and its container do on top of that.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.brokers.broker import Broker, running_broker
from tests.faults.feeding import inputs
from tests.faults.matrix.scene import Scene
from tests.integration.rigs.worker_process import WorkerProcess

#: Articles a second.
RATE = 300

#: Longer than the session timeout and the transaction timeout, one after the other.
PATIENCE_S = 240.0

#: What a person gets who sets nothing.
_PRODUCTION: dict[str, Any] = {"transaction_timeout_ms": 30_000, "revoke_timeout_s": 10}
_SESSION_S = 45


@dataclass(frozen=True, slots=True)
class Way:
    """How the workers are in the group.

    Attributes:
        protocol: `classic`, or `consumer`, which is KIP-848.
        static: whether each has a `group.instance.id`.
        session_s: how long the group waits for one that is silent; with KIP-848 the broker says.
    """

    protocol: str
    static: bool
    session_s: int = _SESSION_S

    def client(self) -> dict[str, str]:
        """The client's properties."""
        common = {"max.poll.interval.ms": "300000"}
        if self.protocol == "consumer":
            return common
        session = {"session.timeout.ms": str(self.session_s * 1000)}
        return {**common, **session, "heartbeat.interval.ms": "3000"}


WAYS = {
    "classic": Way("classic", static=False),
    "classic, 10 s": Way("classic", static=False, session_s=10),
    "classic, static": Way("classic", static=True),
    "KIP-848": Way("consumer", static=False),
    "KIP-848, static": Way("consumer", static=True),
}


@dataclass(frozen=True, slots=True)
class Member:
    """A worker as it is named.

    Attributes:
        instance: the end of its transactional id.
        static: whether that is its `group.instance.id` too.
    """

    instance: str
    static: bool

    def settings(self) -> dict[str, Any]:
        """Of this worker alone."""
        kafka = {"group.instance.id": self.instance} if self.static else {}
        return {"instance": self.instance, "kafka": kafka}


def start(scene: Scene, member: Member, fault: str | None = None) -> WorkerProcess:
    """A worker that is to be waited for by whoever needs it ready."""
    return scene.start_worker(fault, ready=False, **member.settings())


def killed(scene: Scene, static: bool, successor: str) -> None:
    """A worker dies in a transaction: outputs and offsets are sent, the commit is not. Another is
    started at once."""
    start(scene, Member("one", static)).wait_ready()
    scene.feeder.start()
    scene.watcher.start()
    doomed = start(scene, Member("two", static), "end.before:40:kill")
    scene.wait_for(lambda: doomed.process.poll() is not None, "the kill", PATIENCE_S)
    scene.fault(kills=1)
    start(scene, Member(successor, static))


def restarted(scene: Scene, static: bool) -> None:
    """One worker after the other drains and is started again, by another version as it were."""
    members = [Member(name, static) for name in ("one", "two")]
    workers = _at_work(scene, members)
    for member, worker in zip(members, workers, strict=True):
        scene.fault()
        assert worker.terminate() == 0, worker.log.read_text()
        start(scene, member).wait_ready()


def added(scene: Scene, static: bool) -> None:
    """A third worker comes."""
    _at_work(scene, [Member(name, static) for name in ("one", "two")])
    scene.fault()
    start(scene, Member("three", static)).wait_ready()


def taken_away(scene: Scene, static: bool) -> None:
    """The third of three workers drains and stays away."""
    workers = _at_work(scene, [Member(name, static) for name in ("one", "two", "three")])
    scene.fault()
    assert workers[-1].terminate() == 0, workers[-1].log.read_text()


def _at_work(scene: Scene, members: list[Member]) -> list[WorkerProcess]:
    workers = [start(scene, one) for one in members]
    for worker in workers:
        worker.wait_ready()
    scene.watcher.start()
    scene.feeder.start()
    scene.wait_for(lambda: len(scene.watcher.numbers) > RATE, "the first outcomes", PATIENCE_S)
    return workers


#: What happens, by name.
SCENES: Mapping[str, Callable[[Scene, bool], None]] = {
    "killed, successor of another name": lambda scene, static: killed(scene, static, "three"),
    "killed, successor of the same name": lambda scene, static: killed(scene, static, "two"),
    "all restarted, one by one": restarted,
    "one more": added,
    "one fewer": taken_away,
}


def measured(broker: Broker, folder: Path, name: str, way: str, least: int = 0) -> dict[str, Any]:
    """What one scene gave: `wait_s` is the longest of each partition, longest first.

    Args:
        least: how many articles are fed in any case.
    """
    with Scene(
        broker,
        folder,
        delivery="exactly_once",
        rate=RATE,
        at_least=least,
        group_protocol=WAYS[way].protocol,
        kafka=WAYS[way].client(),
        **_PRODUCTION,
    ) as scene:
        SCENES[name](scene, WAYS[way].static)
        wanted = set(range(scene.feeder.count))
        scene.wait_for(
            lambda: wanted <= scene.watcher.numbers, "every outcome", PATIENCE_S, missing=wanted
        )
        # And some more, through the group as it is now.
        time.sleep(3)
        result = scene.finish()
        waits = [0.0] * inputs.PARTITIONS
        for seen in scene.watcher.seen:
            partition = scene.feeder.positions[seen.number].topic_partition.partition
            wait_s = seen.arrived_at - scene.feeder.fed_at[seen.number]
            waits[partition] = max(waits[partition], wait_s)
    return {
        "scene": name,
        "way": way,
        "articles": result.messages,
        "lost": result.verdict.lost,
        "doubled": result.verdict.doubled,
        "violations": list(result.verdict.violations),
        "wait_s": [round(one, 1) for one in sorted(waits, reverse=True)],
    }


def main() -> int:
    """0 when nothing was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.handover", description=__doc__)
    parser.add_argument("--machine", required=True, help="what to call this machine")
    parser.add_argument("--scenes", nargs="*", choices=list(SCENES), default=list(SCENES))
    parser.add_argument("--ways", nargs="*", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--record", type=Path, help="what it has of other scenes stays")
    asked = parser.parse_args()
    found = []
    folder = Path(tempfile.mkdtemp(prefix="nerstream-handover-"))
    config = {"group.consumer.session.timeout.ms": _SESSION_S * 1000}
    with running_broker(config) as broker:
        for name in asked.scenes:
            for way in asked.ways:
                found.append(measured(broker, folder, name, way))
                print(json.dumps(found[-1]), flush=True)
    if asked.record is not None:
        put_on_record(asked.record, asked.machine, found)
    return int(any(one["violations"] for one in found))


def put_on_record(path: Path, machine: str, found: list[dict[str, Any]]) -> None:
    """Write what was found; what the file has of other scenes and ways stays."""
    before = json.loads(path.read_text())["scenes"] if path.exists() else []
    by_key = {(one["scene"], one["way"]): one for one in (*before, *found)}
    scenes = [by_key[name, way] for name in SCENES for way in WAYS if (name, way) in by_key]
    record = {"benchmark": "handover", "machine": machine, "rate": RATE, "scenes": scenes}
    path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
