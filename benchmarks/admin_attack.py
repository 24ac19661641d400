"""What strangers at the admin port cost a worker: `python -m benchmarks.admin_attack`.

A worker tags on one core; its broker and the attackers have another. Windows of quiet and of attack
take turns, so that both see the same machine. Work is counted by the second of the clock, and by
the second of the processor that the victim used, its port included: others on the machine change
the first and hardly the second. Beside it, with no worker, a thread that does nothing
but Python shares its process with the port: each turn that the port takes is lost to it at once.
The attackers bind to 127.0.0.2 and up, and never leave the loopback; their rates are bounded. All
the while a probe asks `/healthz` from 127.0.0.1, once in a fifth of a second.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from prometheus_client import Counter

from benchmarks.attackers import KINDS
from consumer.bench.articles import news_articles
from consumer.bench.worker.load import Load
from consumer.bench.worker.process import BenchWorker
from consumer.bench.worker.taggers import TaggerKind
from consumer.kafka.tools.topics import temporary_topics
from consumer.settings.schema import Settings
from consumer.telemetry.admin import AdminServer
from consumer.telemetry.health import Health
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry
from tests.integration.kafka_server import KafkaServer

_WORKER_CORE, _OTHER_CORE = {0}, {1}
_ARTICLE_BYTES = 2_000

#: The worker with the bundled model, or a thread that does nothing but Python.
_VICTIMS = ("worker", "python")

#: All attacks at once.
_ALL = "all"

#: Seconds until the attackers have used up what the port saved in quiet; more where the machine has
#: little time for either.
_BURST_OVER_S = 10.0


@dataclass(frozen=True, slots=True)
class _Done:
    """What a victim has done in a window, in seconds of the clock and of its processor, and what
    its port took of the latter, where that is known."""

    work: float
    clock_s: float
    cpu_s: float
    port_s: float | None = None


def main() -> None:
    """Measure; print, and write the record."""
    parser = argparse.ArgumentParser(description="a worker under attack at its admin port")
    parser.add_argument("--victim", choices=_VICTIMS, default="worker", help="who is attacked")
    parser.add_argument("--attacks", nargs="*", default=[*KINDS, _ALL], choices=[*KINDS, _ALL])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each window")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--articles", type=int, default=60_000, help="that wait in Kafka")
    parser.add_argument("--machine", required=True, help="what to call this machine")
    parser.add_argument("--record", type=Path)
    asked = parser.parse_args()
    os.sched_setaffinity(0, _OTHER_CORE)
    against = _against_worker if asked.victim == "worker" else _against_python
    found = against(asked)
    record = {
        "benchmark": "admin_attack",
        "machine": asked.machine,
        "victim": asked.victim,
        "seconds": asked.seconds,
        "rounds": asked.rounds,
        "attacks": found,
    }
    print(json.dumps(record, indent=1))
    if asked.record is not None:
        asked.record.write_text(json.dumps(record, indent=1) + "\n")


def _against_worker(asked: argparse.Namespace) -> dict[str, Any]:
    mark = uuid.uuid4().hex[:8]
    with KafkaServer() as server:
        settings = Settings(
            bootstrap_servers=server.bootstrap_servers,
            input_topics=(f"attack-in-{mark}",),
            output_topic=f"attack-out-{mark}",
            dead_letter_topic=f"attack-dead-{mark}",
            group_id=f"attack-{mark}",
            model="bundled",
            threads=1,
        )
        topics = (settings.input_topics[0], settings.output_topic, settings.dead_letter_topic)
        with temporary_topics(settings, topics, 4):
            Load(settings, news_articles(200, 1, _ARTICLE_BYTES)).fill(asked.articles)
            # The worker inherits the core that its starter is on.
            os.sched_setaffinity(0, _WORKER_CORE)
            with BenchWorker(settings, TaggerKind.MODEL) as worker:
                os.sched_setaffinity(0, _OTHER_CORE)
                worker.wait_ready()
                time.sleep(8.0)

                def rate() -> _Done:
                    before = worker.read()
                    time.sleep(asked.seconds)
                    after = worker.read()
                    return _Done(
                        after.resolved - before.resolved,
                        after.at - before.at,
                        after.cpu_s - before.cpu_s,
                    )

                return _windows(asked, worker._port, rate)


def _against_python(asked: argparse.Namespace) -> dict[str, Any]:
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

    def used_s(*names: str) -> float:
        """Of the threads whose names begin so."""
        ours = [one for one in threading.enumerate() if one.name.startswith(names)]
        return sum(_used_s(one.native_id) for one in ours)

    # The port's threads inherit the core from the thread that starts them.
    threading.Thread(target=count, name="count", daemon=True).start()
    os.sched_setaffinity(0, _WORKER_CORE)
    server = AdminServer("127.0.0.1", 0, registry, lambda: Health(True, True))
    server.start()
    time.sleep(0.5)
    os.sched_setaffinity(0, _OTHER_CORE)

    def rate() -> _Done:
        before, at = turns[0], time.monotonic()
        used, port = used_s("count", "admin"), used_s("admin")
        time.sleep(asked.seconds)
        return _Done(
            turns[0] - before,
            time.monotonic() - at,
            used_s("count", "admin") - used,
            used_s("admin") - port,
        )

    found = _windows(asked, server.port, rate)
    server.close()
    return found


def _used_s(thread: int | None) -> float:
    """Seconds of the processor that a thread of this process has used."""
    stat = Path("/proc/self/task", str(thread), "schedstat").read_text()
    return int(stat.split()[0]) / 1e9


def _ratio(attacked: list[_Done], quiet: list[_Done], seconds: str) -> float:
    """Work by the second in one kind of windows to that in the other."""
    return _rate(attacked, seconds) / _rate(quiet, seconds)


def _rate(windows: list[_Done], seconds: str) -> float:
    taken: float = sum(getattr(one, seconds) for one in windows)
    return sum(one.work for one in windows) / taken


def _windows(asked: argparse.Namespace, port: int, rate: Callable[[], _Done]) -> dict[str, Any]:
    """Windows of quiet and of each attack, and of all at once, in turns."""
    found: dict[str, Any] = {}
    for name in asked.attacks:
        kinds = list(KINDS) if name == _ALL else [name]
        quiet: list[_Done] = []
        attacked: list[_Done] = []
        probes: list[float | None] = []
        for _ in range(asked.rounds):
            quiet.append(rate())
            with _attack(port, kinds) as done, _probing(port) as seconds:
                time.sleep(_BURST_OVER_S)
                attacked.append(rate())
            probes += seconds
        answered = [second for second in probes if second is not None]
        found[name] = {
            "attacked_to_quiet_by_cpu": _ratio(attacked, quiet, "cpu_s"),
            "attacked_to_quiet": _ratio(attacked, quiet, "clock_s"),
            "quiet": [asdict(one) for one in quiet],
            "attacked": [asdict(one) for one in attacked],
            "probes": len(probes),
            "probes_failed": sum(second is None for second in probes),
            "probe_median_s": statistics.median(answered) if answered else None,
            "probe_max_s": max(answered, default=None),
            "attackers": done,
        }
        print(name, json.dumps(found[name]), file=sys.stderr)
    return found


@contextmanager
def _attack(port: int, kinds: list[str]):  # type: ignore[no-untyped-def]
    done: dict[str, Any] = {}
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.attackers", str(port), *kinds],
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
def _probing(port: int):  # type: ignore[no-untyped-def]
    """Ask as an orchestrator does, with a patience of a second."""
    seconds: list[float | None] = []
    stop = threading.Event()

    def probe() -> None:
        while not stop.wait(0.2):
            began = time.monotonic()
            connection = HTTPConnection("127.0.0.1", port, timeout=1.0)
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                seconds.append(time.monotonic() - began)
            except (OSError, HTTPException):
                seconds.append(None)
            finally:
                connection.close()

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield seconds
    finally:
        stop.set()
        thread.join()


if __name__ == "__main__":
    main()
