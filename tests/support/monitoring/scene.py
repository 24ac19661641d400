"""Workers on Apache Kafka that a real Prometheus scrapes, each with a trouble of its own.

Each trouble has a job of its own in Prometheus, so that no alert of one is that of another. What
decides here is what Prometheus says, never how long something took.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import WorkerProcess
from tests.integration.servers.prometheus_server import Alert, PrometheusServer
from tests.support.monitoring.pages import Place, commands
from tests.support.monitoring.shortened import shortened_rules

#: Longest wait for what must happen.
PATIENCE_S = 600.0

#: Seconds between two looks at Prometheus, which scrapes and evaluates every second.
_LOOK_S = 0.5

#: Commands of pages that only ask, and for how many seconds they are given again.
_ASK = ("promtool query", "curl -s localhost")
_LOOK_AGAIN_S = 90.0

_WORKER = ("-m", "tests.support.monitoring.watched_worker")
#: Several under a supervisor, whose faults are signals.
SUPERVISED = ("-m", "tests.faults.workers.light_workers")

TopicFactory = Callable[..., str]


def articles(count: int, text: str = "Ada Marsh spoke in Halden.") -> list[bytes]:
    """So many, which the worker takes."""
    return [json.dumps({"id": str(number), "body": text}).encode() for number in range(count)]


def unreadable(count: int) -> list[bytes]:
    """So many messages that are no articles."""
    return [b"not JSON"] * count


@dataclass
class Watched:
    """A worker of the scene.

    Attributes:
        job: what Prometheus calls it.
        port: of its `/metrics`, the same after each start.
        settings: of the worker, and in its `worker.toml`.
        folder: its own, with the files that turn faults on.
        place: where commands of pages run as for this worker.
        variables: of its environment.
        waits: whether it has nothing to read at first.
        command: what the interpreter runs.
    """

    job: str
    port: int
    settings: dict[str, Any]
    folder: Path
    place: Place
    variables: dict[str, str] = field(default_factory=dict)
    waits: bool = False
    command: Sequence[str] = _WORKER
    process: WorkerProcess | None = None

    @property
    def topic(self) -> str:
        """Its input."""
        return str(self.settings["input_topics"])

    def start(self, stack: ExitStack) -> None:
        """Start it, for the first time or again."""
        self.process = stack.enter_context(
            WorkerProcess(
                {**self.settings, "admin_port": self.port},
                self.folder,
                command=self.command,
                variables={"WATCHED_FOLDER": str(self.folder), **self.variables},
            )
        )

    def wait_started(self) -> None:
        """Until it is ready, or waits for what is not there."""
        if self.waits:
            deadline = time.monotonic() + PATIENCE_S
            while not any(event["event"] == "not working yet" for event in self.running.events()):
                assert time.monotonic() < deadline, self.running.log.read_text()
                time.sleep(_LOOK_S)
        else:
            self.running.wait_ready()

    @property
    def running(self) -> WorkerProcess:
        """Its process."""
        assert self.process is not None
        return self.process

    def turn(self, fault: str, on: bool) -> None:
        """A fault of `watched_worker`."""
        file = self.folder / fault
        if on:
            file.touch()
        else:
            file.unlink(missing_ok=True)


class Scene:
    """Starts workers and Prometheus on entry, and ends them.

    Args:
        kafka: bootstrap servers.
        topics: makes topics, and deletes them afterwards.
        name: no other scene's.
    """

    def __init__(self, kafka: str, topics: TopicFactory, folder: Path, name: str) -> None:
        self.kafka = kafka
        self._topics = topics
        self._folder = folder
        self._name = name
        self.stack = ExitStack()
        self.workers: dict[str, Watched] = {}
        self.began_at = 0.0
        self._prometheus: PrometheusServer | None = None
        self._producer = helpers.producer(kafka)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def add(
        self,
        job: str,
        port: int,
        settings: Mapping[str, Any] | None = None,
        variables: Mapping[str, str] | None = None,
        input_topic: str | None = None,
        command: Sequence[str] = _WORKER,
    ) -> Watched:
        """A worker with topics of its own.

        Args:
            input_topic: what a page calls `articles`; None makes one, and has the worker read it.
            command: what the interpreter runs; the watched worker has faults that can be turned on.
        """
        folder = self._folder / job
        folder.mkdir()
        group = f"{self._name}-{job}"
        read = input_topic or self._topics(f"{job}-in")
        whole: dict[str, Any] = {
            "bootstrap_servers": self.kafka,
            "input_topics": read,
            "output_topic": self._topics(f"{job}-out"),
            "dead_letter_topic": self._topics(f"{job}-dead"),
            "group_id": group,
            "stall_timeout_s": 3600,
            **(settings or {}),
        }
        lines = [
            f"{name} = {json.dumps(value)}\n"
            for name, value in whole.items()
            if not isinstance(value, dict)
        ]
        for name, table in whole.items():
            if isinstance(table, dict):
                lines.append(f"[{name}]\n")
                lines += [f"{json.dumps(key)} = {json.dumps(table[key])}\n" for key in table]
        (folder / "worker.toml").write_text("".join(lines))
        stands_for = {
            "localhost:9464": f"localhost:{port}",
            "localhost:9092": self.kafka,
            "port 9464": f"port {port}",
            "articles": read,
            "articles-tagged": whole["output_topic"],
            "articles-dead-letters": whole["dead_letter_topic"],
            "--group nerstream": f"--group {group}",
            "--entity-name nerstream": f"--entity-name {whole.get('kafka', {}).get('client.id')}",
            'job="nerstream"': f'job="{job}"',
        }
        self.workers[job] = Watched(
            job,
            port,
            whole,
            folder,
            Place(folder, stands_for),
            dict(variables or {}),
            waits=input_topic is not None,
            command=command,
        )
        return self.workers[job]

    def watch(self) -> PrometheusServer:
        """Start all workers, and then Prometheus with the shortened rules.

        Returns once it has scraped each worker, so that what counts from then on is an increase,
        and whatever fires is by a fault.
        """
        for one in self.workers.values():
            one.start(self.stack)
        for one in self.workers.values():
            one.wait_started()
        config: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "scrape_configs": [
                {
                    "job_name": "nerstream",
                    "static_configs": [
                        {"targets": [f"127.0.0.1:{one.port}"], "labels": {"job": one.job}}
                        for one in self.workers.values()
                    ],
                }
            ],
        }
        prometheus = self.stack.enter_context(
            PrometheusServer({"prometheus.yml": yaml.safe_dump(config)})
        )
        self.began_at = time.time()
        for one in self.workers.values():
            one.place.has("localhost:9090", prometheus.address)
        deadline = time.monotonic() + PATIENCE_S
        while len(prometheus.query("count by (job) (nerstream_build_info)")) < len(self.workers):
            assert time.monotonic() < deadline, prometheus.query("up")
            time.sleep(_LOOK_S)
        # Not before: to rules, workers that have not been scraped yet are workers that are down.
        rules = shortened_rules()
        config["rule_files"] = [*rules]
        prometheus.load({"prometheus.yml": yaml.safe_dump(config), **rules})
        self._prometheus = prometheus
        return prometheus

    def missed(self, worker: Watched) -> bool:
        """Whether Prometheus could not scrape a worker when it last tried."""
        assert self._prometheus is not None
        return bool(self._prometheus.query(f'up{{job="{worker.job}"}} == 0'))

    def put(self, worker: Watched, values: Iterable[bytes]) -> None:
        """Write messages to its input, without waiting."""
        helpers.put(self._producer, worker.topic, [Record(value) for value in values])
        self._producer.poll(0)

    def written(self) -> None:
        """Wait until all that was put is in Kafka."""
        assert self._producer.flush(PATIENCE_S) == 0


class Trouble:
    """What is wrong with one worker, and the alerts that must say so. On from `begin` to `end`."""

    #: Alerts that must fire while it is on, and stop after it.
    alerts: tuple[str, ...] = ()

    def __init__(self, scene: Scene, worker: Watched) -> None:
        self.scene = scene
        self.worker = worker
        #: Those of its alerts that have fired so far.
        self.fired: frozenset[str] = frozenset()

    def begin(self) -> None:
        """The fault is there."""

    def keep(self) -> None:
        """Called every half a second while it is on."""

    def end(self) -> None:
        """It is over."""

    def after(self) -> None:
        """Called every half a second once it is over."""


@dataclass
class Account:
    """What was seen of one alert.

    Attributes:
        alert: when it fired; None where it never did.
        problems: of the commands of its page, each with what it wrote.
        commands: of its page that were given.
        stopped: whether it stopped after the fault.
    """

    alert: Alert | None = None
    problems: list[str] = field(default_factory=list)
    commands: int = 0
    stopped: bool = False


def play(
    prometheus: PrometheusServer, troubles: Iterable[Trouble], runbooks: Path
) -> dict[str, Account]:
    """All troubles at once; each ends when its alerts have fired and their pages were followed.

    Returns when no alert of theirs fires any more, or when patience is over: what had not happened
    by then is missing in the accounts.
    """
    accounts = {alert: Account() for one in troubles for alert in one.alerts}
    on = list(troubles)
    over: list[Trouble] = []
    deadline = time.monotonic() + PATIENCE_S
    with ThreadPoolExecutor(2, thread_name_prefix="runbook") as readers:
        following: dict[str, Future[None]] = {}
        early = [one.labels for one in prometheus.firing()]
        assert not early, f"before any fault these fire: {early}"
        for trouble in on:
            trouble.begin()
        while on or not all(one.stopped for one in accounts.values()):
            if time.monotonic() > deadline:
                break
            firing = {
                (one.labels["alertname"], one.labels.get("job")): one for one in prometheus.firing()
            }
            for trouble in list(on):
                job = trouble.worker.job
                for alert in trouble.alerts:
                    found = firing.get((alert, job))
                    account = accounts[alert]
                    if found is None or account.alert is not None:
                        continue
                    account.alert = found
                    page = (runbooks / f"{alert}.md").read_text("utf-8")
                    following[alert] = readers.submit(_follow, trouble.worker, page, "Do", account)
                trouble.fired = frozenset(following).intersection(trouble.alerts)
                if trouble.fired == {*trouble.alerts} and all(
                    following[alert].done() for alert in trouble.alerts
                ):
                    trouble.end()
                    on.remove(trouble)
                    over.append(trouble)
                else:
                    trouble.keep()
            for trouble in over:
                trouble.after()
                for alert in trouble.alerts:
                    account = accounts[alert]
                    if not account.stopped and (alert, trouble.worker.job) not in firing:
                        page = (runbooks / f"{alert}.md").read_text("utf-8")
                        account.stopped = True
                        following[f"{alert} over"] = readers.submit(
                            _follow, trouble.worker, page, "Over", account
                        )
            time.sleep(_LOOK_S)
        for trouble in on:
            trouble.end()
        for one in following.values():
            one.result()
    return accounts


def _follow(worker: Watched, page: str, section: str, account: Account) -> None:
    for command in commands(page, section):
        account.commands += 1
        problem = worker.place.run(command)
        # An alert may fire before its fault is there, by one of the same kind that a busy machine
        # made; a person looks again.
        deadline = time.monotonic() + _LOOK_AGAIN_S
        while problem and command.line.startswith(_ASK) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
            problem = worker.place.run(command)
        if problem:
            account.problems.append(problem)
