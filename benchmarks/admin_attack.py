"""What strangers at the admin port cost a worker: `python -m benchmarks.admin_attack`.

A worker tags on one core; its broker and the attackers have another. The attackers never rest:
in quiet windows they are at the port of a decoy on their own core, in the others at the worker's,
and the two take turns. So a ratio of both shows what the port costs the worker, and not what
attackers cost a machine whose cores share more than they tell. Articles are short and batches
small, hundreds a window; what was done is read from the ends of the output topic, not from the
port. It is counted by the second of the clock, and by the second of the processor that the worker
used, its port included: others on the machine change the first and hardly the second. `--victim
python` has, in the worker's place, a thread that does nothing but Python and shares its process
with the port: each turn that the port takes is lost to it at once.

The attackers bind to 127.0.0.2 and up, and never leave the loopback; their rates are bounded. All
the while five orchestrators, each of an address of its own, ask `/healthz` once a second.

A run may be cut into pieces; a record that is there already is gone on with.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from prometheus_client import Counter

from benchmarks.processes.attackers import KINDS
from benchmarks.turns import Turn, Window, percentile, spread
from consumer.bench.articles import news_articles
from consumer.bench.worker.load import Load
from consumer.bench.worker.process import BenchWorker
from consumer.bench.worker.taggers import TaggerKind
from consumer.contracts.choices import Delivery
from consumer.contracts.messages import TopicPartition
from consumer.kafka.tools.places import Places
from consumer.kafka.tools.topics import temporary_topics
from consumer.settings.schema import Settings
from consumer.telemetry.admin import AdminServer
from consumer.telemetry.health import Health
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry
from tests.integration.servers.kafka_server import KafkaServer

_WORKER_CORE, _OTHER_CORE = {0}, {1}

#: So short, and so few a batch, that a window has hundreds of batches.
_ARTICLE_BYTES = 500
_BATCH_ARTICLES = 1
_PARTITIONS = 4

#: The worker with the bundled model, or a thread that does nothing but Python.
_VICTIMS = ("worker", "python")

#: All attacks at once.
_ALL = "all"

#: Seconds until the attackers are at it, and until they have used up what the port saved in quiet.
_BEGUN_S = 1.0
_BURST_OVER_S = 5.0

#: Seconds that a worker works before it is measured.
_WARM_S = 5.0

#: Who probes, each once a second, and seconds that a probe waits.
_ORCHESTRATORS = ("127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4", "127.0.1.5")
_PROBE_PATIENCE_S = 1.0


#: Of one attack: turns, seconds of each probe, and what the attackers did.
_Found = dict[str, list[Any]]


def main() -> None:
    """Measure; print, and write the record."""
    parser = argparse.ArgumentParser(description="a worker under attack at its admin port")
    parser.add_argument("--victim", choices=_VICTIMS, default="worker", help="who is attacked")
    parser.add_argument("--attacks", nargs="*", default=[*KINDS, _ALL], choices=[*KINDS, _ALL])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each window")
    parser.add_argument("--rounds", type=int, default=1, help="attacked windows of each attack")
    parser.add_argument("--articles", type=int, default=40_000, help="that wait in Kafka")
    parser.add_argument("--machine", required=True, help="what to call this machine")
    parser.add_argument("--record", type=Path)
    asked = parser.parse_args()
    os.sched_setaffinity(0, _OTHER_CORE)
    against = _against_worker if asked.victim == "worker" else _against_python
    for name, found in against(asked):
        record = _with(asked, name, found)
        told = {key: record["attacks"][name][key] for key in ("by_cpu", "by_clock", "probes")}
        print(name, json.dumps(told), flush=True)
        if asked.record is not None:
            asked.record.write_text(json.dumps(record, indent=1) + "\n")


def _with(asked: argparse.Namespace, name: str, found: _Found) -> dict[str, Any]:
    """The record with what was found of one attack."""
    attacks = {}
    if asked.record is not None and asked.record.exists():
        attacks = json.loads(asked.record.read_text())["attacks"]
    earlier = attacks.get(name, _none_yet())
    attacks[name] = _summed({key: earlier[key] + found[key] for key in found})
    return {
        "benchmark": "admin_attack",
        "recorded": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": asked.machine,
        "victim": asked.victim,
        "seconds": asked.seconds,
        "attacks": attacks,
    }


def _against_worker(asked: argparse.Namespace) -> Iterator[tuple[str, _Found]]:
    mark = uuid.uuid4().hex[:8]
    with KafkaServer(on_disk=True) as server:
        settings = Settings(
            bootstrap_servers=server.bootstrap_servers,
            input_topics=(f"attack-in-{mark}",),
            output_topic=f"attack-out-{mark}",
            dead_letter_topic=f"attack-dead-{mark}",
            group_id=f"attack-{mark}",
            # The ends of the output topic are outcomes then, without marks of transactions.
            delivery=Delivery.AT_LEAST_ONCE,
            batch_articles=_BATCH_ARTICLES,
            model="bundled",
            threads=1,
        )
        topics = (settings.input_topics[0], settings.output_topic, settings.dead_letter_topic)
        out = [TopicPartition(settings.output_topic, number) for number in range(_PARTITIONS)]
        with (
            temporary_topics(settings, topics, _PARTITIONS),
            closing(Places(settings)) as places,
        ):
            Load(settings, news_articles(200, 1, _ARTICLE_BYTES)).fill(asked.articles)
            # The worker inherits the core that its starter is on.
            os.sched_setaffinity(0, _WORKER_CORE)
            with BenchWorker(settings, TaggerKind.MODEL) as worker:
                os.sched_setaffinity(0, _OTHER_CORE)
                worker.wait_ready()
                time.sleep(_WARM_S)

                def reading() -> tuple[int, float, float]:
                    done = sum(places.ends(out).values())
                    return done, time.monotonic(), worker.cpu_s

                yield from _attacked(asked, worker.admin_port, reading)
                left = asked.articles - sum(places.ends(out).values())
                if left < asked.articles / 20:
                    raise SystemExit(f"only {left} articles were left; try more --articles")


def _against_python(asked: argparse.Namespace) -> Iterator[tuple[str, _Found]]:
    registry = new_registry()
    Metrics(registry)
    Counter("turns", "Turns.", registry=registry)
    turns = [0]

    def count() -> None:
        os.sched_setaffinity(0, _WORKER_CORE)
        while True:
            for _ in range(1_000):
                pass
            turns[0] += 1

    # The port's threads inherit the core from the thread that starts them.
    threading.Thread(target=count, name="count", daemon=True).start()
    os.sched_setaffinity(0, _WORKER_CORE)
    server = AdminServer("127.0.0.1", 0, registry, lambda: Health(True, True))
    server.start()
    time.sleep(0.5)
    os.sched_setaffinity(0, _OTHER_CORE)

    def reading() -> tuple[int, float, float]:
        ours = [one for one in threading.enumerate() if one.name.startswith(("count", "admin"))]
        return turns[0], time.monotonic(), sum(_used_s(thread.native_id) for thread in ours)

    yield from _attacked(asked, server.port, reading)
    server.close()


def _used_s(thread: int | None) -> float:
    """Seconds of the processor that a thread of this process has used."""
    stat = Path("/proc/self/task", str(thread), "schedstat").read_text()
    return int(stat.split()[0]) / 1e9


def _attacked(
    asked: argparse.Namespace, port: int, reading: Callable[[], tuple[int, float, float]]
) -> Iterator[tuple[str, _Found]]:
    """Windows of quiet and of attack in turns, for each attack.

    Args:
        reading: what was done so far, when, and seconds of the processor that it took.
    """

    with _decoy() as decoy:
        for name in asked.attacks:
            figures = _none_yet()
            kinds = list(KINDS) if name == _ALL else [name]

            def window(port: int, kinds: Sequence[str] = kinds) -> tuple[Window, Any, Any]:
                with _probing(port) as seconds, _attack(port, kinds) as done:
                    time.sleep(_BEGUN_S if port == decoy else _BURST_OVER_S)
                    before = reading()
                    time.sleep(asked.seconds)
                    after = reading()
                return Window(*(b - a for a, b in zip(before, after, strict=True))), seconds, done

            quiet, *_ = window(decoy)
            for _ in range(asked.rounds):
                disturbed, seconds, done = window(port)
                after, *_ = window(decoy)
                turn = Turn(quiet, disturbed, after)
                figures["turns"].append(asdict(turn))
                figures["probes_s"] += seconds
                figures["attackers"].append(done)
                late = sum(second is None for second in seconds)
                sys.stderr.write(
                    f"{name}: {turn.left(by_clock=False):.4f} by processor, "
                    f"{turn.left(by_clock=True):.4f} by clock, "
                    f"{late} of {len(seconds)} probes late\n"
                )
                quiet = after
            yield name, figures


def _none_yet() -> _Found:
    return {"turns": [], "probes_s": [], "attackers": []}


def _summed(found: _Found) -> dict[str, Any]:
    """With what the turns and probes come to."""
    turns = [
        Turn(*(Window(**one[name]) for name in ("before", "disturbed", "after")))
        for one in found["turns"]
    ]
    return {
        "by_cpu": spread([turn.left(by_clock=False) for turn in turns]),
        "by_clock": spread([turn.left(by_clock=True) for turn in turns]),
        "probes": _probes(found["probes_s"]),
        **found,
    }


def _probes(seconds: Sequence[float | None]) -> dict[str, float]:
    answered = sorted(second for second in seconds if second is not None)
    told: dict[str, float] = {"asked": len(seconds), "late": len(seconds) - len(answered)}
    if answered:
        told |= {f"p{percent}_s": percentile(answered, percent) for percent in (50, 95, 99)}
        told["most_s"] = answered[-1]
    return told


@contextmanager
def _decoy() -> Iterator[int]:
    """The port of a process that is attacked where the worker is not."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.processes.decoy"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.communicate()


@contextmanager
def _attack(port: int, kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
    done: dict[str, Any] = {}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.processes.attackers", str(port), *kinds],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield done
    finally:
        output, _ = process.communicate()
        done.update(json.loads(output))


@contextmanager
def _probing(port: int) -> Iterator[list[float | None]]:
    """Ask as orchestrators do; gives the seconds of each answer, None of one that was late."""
    seconds: list[float | None] = []
    stop = threading.Event()

    def probe(address: str) -> None:
        while not stop.wait(1.0):
            began = time.monotonic()
            connection = HTTPConnection(
                "127.0.0.1", port, timeout=_PROBE_PATIENCE_S, source_address=(address, 0)
            )
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                seconds.append(round(time.monotonic() - began, 4))
            except (OSError, HTTPException):
                seconds.append(None)
            finally:
                connection.close()

    threads = [threading.Thread(target=probe, args=(one,)) for one in _ORCHESTRATORS]
    for number, thread in enumerate(threads):
        thread.start()
        if number < len(threads) - 1:
            time.sleep(1.0 / len(threads))
    try:
        yield seconds
    finally:
        stop.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
