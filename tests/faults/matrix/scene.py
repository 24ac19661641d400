"""One fault run: topics, a feeder, a reader that looks on, workers, and the check in the end."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from confluent_kafka import KafkaException

from consumer.contracts.headers import source_in
from consumer.contracts.messages import Position, TopicPartition
from tests.faults.brokers.broker import Broker
from tests.faults.checker import accounts, audited
from tests.faults.checker.invariants import Evidence, Verdict, check, copies, not_committed
from tests.faults.checker.watcher import Watcher
from tests.faults.feeding import inputs
from tests.faults.feeding.feed import Feed, Shape
from tests.faults.feeding.feeder import Feeder
from tests.faults.feeding.transactional_feeder import TransactionalFeeder
from tests.faults.feeding.wires import AvroWire, JsonWire, Wire
from tests.faults.matrix.result import Result
from tests.integration.rigs import helpers
from tests.integration.rigs.worker_process import WorkerProcess

#: Work must go on within so many seconds after each fault.
RECOVERY_S = 60.0

#: A sabotaged worker that gave nothing new for so many seconds is done, unless it was killed:
#: then its successor waits for the session timeout first.
_QUIET_S = 4.0

_COMMAND = ("-m", "tests.faults.workers.faulty_worker")

#: Short, so that a run needs seconds where production takes minutes.
_SETTINGS: dict[str, Any] = {
    "commit_interval_ms": 100,
    "batch_articles": 64,
    "transaction_timeout_ms": 4_000,
    "revoke_timeout_s": 3,
    "in_flight_articles": 1_000,
    "dead_letter_max_ratio": 1.0,
}
#: Seconds that a seed draws from between what a run waits for and its next fault.
_MOMENT_S = 0.7

#: Articles of a batch, and milliseconds between two commits, that a seed draws from.
_BATCHES, _INTERVALS_MS = (32, 64, 128), (50, 100, 200)

_CLIENT_848 = {"max.poll.interval.ms": "6000"}
_CLIENT = {**_CLIENT_848, "session.timeout.ms": "2500", "heartbeat.interval.ms": "500"}


class Scene:
    """Everything of one run but the fault itself, which `tests.faults.rows.table` has.

    Args:
        folder: for the workers' logs.
        settings: of every worker, on top of those above.
        rate: messages a second; at_least: messages that are fed in any case.
        proxied: whether the workers reach the broker through the proxy.
        sheltered: whether the run's own clients do.
        two_models: whether the workers have two models.
        sabotage: name of a deliberate defect of every worker.
        in_avro: whether the messages are in Avro, with a schema registry.
        shape: of what is fed.
        seed: of all that is drawn; with 0 the sizes and the settings are the usual ones.
        name: of the row, so that each draws by itself.
    """

    #: Whether workers start as in production: a recovery that is recorded has their start in it.
    starts_cold: ClassVar[bool] = False

    def __init__(
        self,
        broker: Broker,
        folder: Path,
        *,
        delivery: str,
        rate: float,
        at_least: int,
        proxied: bool = False,
        sheltered: bool = False,
        two_models: bool = False,
        sabotage: str | None = None,
        in_avro: bool = False,
        shape: Shape = Shape.KEYLESS,
        seed: int = 0,
        name: str = "",
        **settings: Any,
    ) -> None:
        self.broker = broker
        #: Decides everything of the run that may be one way or another.
        self.draw = random.Random(f"{seed} {name} {delivery}")
        #: Bootstrap servers of the run's own clients.
        self.own = broker.proxied if sheltered else broker.direct
        self._folder = folder
        self._delivery = delivery
        self._sabotage = sabotage
        self._two_models = two_models
        suffix = uuid.uuid4().hex[:8]
        taken, self.output, self.letters = (f"{one}-{suffix}" for one in ("in", "out", "dl"))
        self.group = f"faults-{suffix}"
        self.registry = broker.registry() if in_avro else None
        self._wire: Wire = (
            JsonWire(seed) if self.registry is None else AvroWire(self.registry, taken, seed)
        )
        self.feed = Feed(taken, shape, seed, self._wire)
        self._settings: dict[str, Any] = {
            **_SETTINGS,
            **(self._drawn() if seed else {}),
            "bootstrap_servers": broker.proxied if proxied else broker.direct,
            "input_topics": ",".join(self.feed.topics),
            "output_topic": self.output,
            "dead_letter_topic": self.letters,
            "group_id": self.group,
            "delivery": delivery,
            **self._wire.settings,
            **{name: value for name, value in settings.items() if name != "kafka"},
            "kafka": {**self._client(settings), **settings.get("kafka", {})},
        }
        for topic, partitions in self.feed.topics.items():
            helpers.create_topic(self.own, topic, partitions)
        for topic in (self.output, self.letters):
            helpers.create_topic(self.own, topic, self.feed.output_partitions)
        feeder = TransactionalFeeder if shape is Shape.TRANSACTIONAL else Feeder
        self.feeder: Feeder = feeder(self.own, self.feed, rate, at_least)
        self.watcher = Watcher(self.own, self.group, self.feed, (self.output, self.letters))
        self.workers: list[WorkerProcess] = []
        self.result = Result()
        self._faults_at: list[float] = []
        self.may_skip: frozenset[int] = frozenset()
        self.gone_with: list[frozenset[int]] = []
        self.may_be_too_large = False
        self._outcomes_from: list[str] = []
        #: Workers that end with exit code 1 get a successor, as in production.
        self.supervised = False
        self._succeeded: set[int] = set()

    def _drawn(self) -> Mapping[str, int]:
        """Settings that the seed moves."""
        return {
            "batch_articles": self.draw.choice(_BATCHES),
            "commit_interval_ms": self.draw.choice(_INTERVALS_MS),
        }

    @staticmethod
    def _client(settings: Mapping[str, Any]) -> Mapping[str, str]:
        # With KIP-848 the broker has the group's timeouts.
        return _CLIENT_848 if settings.get("group_protocol") == "consumer" else _CLIENT

    @property
    def transactional(self) -> bool:
        """Whether the run promises exactly once."""
        return self._delivery == "exactly_once"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.feeder.abandon()
        for worker in self.workers:
            # Also one that is stopped in mid-run by a row that failed.
            if worker.process.poll() is None:
                worker.process.kill()
            worker.__exit__(kind, failure, traceback)
        if isinstance(self._wire, AvroWire):
            self._wire.close()
        if kind is None:
            helpers.delete_topics(self.own, (*self.feed.topics, self.output, self.letters))

    def start_worker(
        self,
        fault: str | None = None,
        ready: bool = True,
        command: Sequence[str] = _COMMAND,
        **settings: Any,
    ) -> WorkerProcess:
        """One more worker; `fault` as in `tests.faults.workers.faulty_worker`."""
        variables = {}
        if fault:
            variables["FAULT"] = fault
        if self._sabotage:
            variables["SABOTAGE"] = self._sabotage
        if self._two_models:
            variables["TWO_MODELS"] = "1"
        merged = {**self._settings, **settings}
        merged["kafka"] = {**self._settings["kafka"], **settings.get("kafka", {})}
        worker = WorkerProcess(
            merged, self._folder, "worker", command, variables, warm=not self.starts_cold
        )
        worker.__enter__()
        self.workers.append(worker)
        if ready:
            worker.wait_ready()
        return worker

    def start(
        self, processes: int = 2, command: Sequence[str] = _COMMAND, **settings: Any
    ) -> list[WorkerProcess]:
        """The first workers, and the feeder once they are at work; waits for the first outcomes."""
        started = [
            self.start_worker(ready=False, command=command, **settings) for _ in range(processes)
        ]
        for worker in started:
            worker.wait_ready()
        self.watcher.start()
        if not self.feeder.count:
            self.feeder.start()
        self.wait_for(lambda: len(self.watcher.numbers) > 50, "the first outcomes")
        self.await_moment()
        return started

    def await_moment(self) -> None:
        """As long as the seed says, so that what comes next may meet anything."""
        time.sleep(self.draw.uniform(0.0, _MOMENT_S))

    def fault(self, kills: int = 0) -> None:
        """A fault happens now."""
        self._faults_at.append(time.monotonic())
        self.result.faults += 1
        self.result.kills += kills

    def kill(self, worker: WorkerProcess) -> None:
        """SIGKILL a worker; counts as a fault."""
        self.fault(kills=1)
        worker.kill()

    def wait_recovered(self) -> None:
        """Until every partition shows the outcome of an input that was fed from now on.

        Not from the fault on: a broker that is being shut down still takes inputs, and workers
        still answer them. The time that recovery takes is counted from the fault.
        """
        at = time.monotonic()
        fed_at = self.feeder.fed_at

        def recovered() -> bool:
            newest = [self.watcher.newest.get(part, -1) for part in self.feed.partitions]
            return all(number >= 0 and fed_at[number] > at for number in newest)

        self.wait_for(recovered, "work goes on after the fault")
        self.note_recovery()
        self.await_moment()

    def note_recovery(self) -> None:
        """Work goes on after the last fault."""
        self.result.recoveries_s.append(time.monotonic() - self._faults_at[-1])

    def wait_for(
        self,
        holds: Callable[[], bool],
        what: str,
        timeout_s: float = RECOVERY_S,
        missing: AbstractSet[int] = frozenset(),
    ) -> None:
        """Wait for something; the failure shows the ends of the workers' logs, and where the
        missing messages stand."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            self._supervise()
            if self.watcher.failure is not None:
                raise self.watcher.failure
            if self.feeder.failure is not None:
                told = f"an input could not be written: {self.feeder.failure}"
                raise AssertionError(f"{told}\n{self._diagnosis([])}")
            if time.monotonic() > deadline:
                left = sorted(missing - self.watcher.numbers)
                raise AssertionError(f"never came: {what}\n{self._diagnosis(left)}")
            time.sleep(0.02)

    def _supervise(self) -> None:
        if self.supervised:
            for worker in tuple(self.workers):
                process = worker.process
                if process.poll() == 1 and process.pid not in self._succeeded:
                    self._succeeded.add(process.pid)
                    self.start_worker(ready=False)

    def _diagnosis(self, missing: Sequence[int]) -> str:
        """What a person needs to see of messages without an outcome."""
        shown = {number: self.feeder.positions.get(number) for number in missing[:20]}
        self.broker.keep_logs(self._folder)
        return (
            f"{self.feeder.count} fed, {len(self.feeder.positions)} acknowledged\n"
            f"{len(missing)} missing, the first at {shown}\n"
            f"committed {_if_told(self.committed)} of {_if_told(self.ends)}\n"
            f"behind open transactions {_if_told(self._open_transactions)}\n"
            f"{accounts.logs(self.workers)}"
        )

    def is_idle(self) -> bool:
        """Whether no worker has a message in flight; looks twice, half a second apart."""
        for pause_s in (0.0, 0.5):
            time.sleep(pause_s)
            if any(one.metric("nerstream_in_flight_messages") for one in self._alive()):
                return False
        return True

    def wait_dead(self, worker: WorkerProcess) -> int:
        """Until the process has ended; its exit code, negative for a signal."""
        self.wait_for(lambda: worker.process.poll() is not None, "the end of a worker")
        code = worker.process.poll()
        assert code is not None
        return code

    def finish(self) -> Result:
        """Feed to the end, let the workers finish and drain, and check all that Kafka holds."""
        count = self.result.messages = self.feeder.finish()
        self._find_unplaced()
        if not self._sabotage:
            wanted = set(range(count)) - self.may_skip
            self.wait_for(
                lambda: wanted <= self.watcher.numbers, "an outcome of every input", missing=wanted
            )
            # Without transactions outcomes can be read before they are committed, and a commit
            # that a rebalance refuses is made good by reading again, for which a drain is too late.
            self.wait_for(self._all_committed, "the commit of every input")
        else:
            self._wait_until_quiet()
        alive = self._alive()
        problems = accounts.unaccounted(alive) + accounts.drained(alive, self.supervised)
        self._wait_settled()
        own = self.own
        topics = (self.output, self.letters)
        records = {topic: helpers.read_all(own, topic) for topic in topics}
        total = sum(len(one) for one in records.values())
        self.wait_for(lambda: len(self.watcher.seen) >= total, "the reader has read to the end")
        self.watcher.stop()
        self._place_gone()
        verdict = check(
            Evidence(
                count=count,
                feed=self.feed,
                positions=self.feeder.positions,
                outputs=self.output,
                letters=self.letters,
                seen=self.watcher.seen,
                records=records,
                samples=self.watcher.samples,
                committed=self.committed(),
                ends=self.ends(),
                open_transactions=self._open_transactions(),
                exactly_once=self.transactional,
                may_skip=self.may_skip,
                gone_with=tuple(self.gone_with),
                copies=copies(self.watcher.seen, self.feeder.positions, self._inputs),
                may_be_too_large=self.may_be_too_large,
                two_models=self._two_models,
            )
        )
        problems += self._audit()
        self.result.verdict = Verdict(
            verdict.lost, verdict.doubled, (*verdict.violations, *problems)
        )
        return self.result

    def committed(self) -> dict[TopicPartition, int]:
        """The group's offsets in the input topics.

        Raises:
            KafkaException: a transaction holds them.
        """
        return {
            TopicPartition(topic, partition): offset
            for topic in self.feed.topics
            for partition, offset in helpers.committed_offsets(self.own, self.group, topic).items()
        }

    def ends(self, isolation: str = "read_committed") -> dict[TopicPartition, int]:
        """Where the input topics end for a reader."""
        return {
            TopicPartition(topic, partition): end
            for topic in self.feed.topics
            for partition, end in helpers.end_offsets(self.own, topic, isolation).items()
        }

    def _find_unplaced(self) -> None:
        """Look in the input topics for what the broker acknowledged without a place. What is not
        there went with an old topic, or was never written, and may lack an outcome."""
        unplaced = self.feeder.unplaced
        if not unplaced:
            return
        for number, position in self._inputs():
            if number in unplaced:
                self.feeder.positions[number] = position
        gone = unplaced - self.feeder.positions.keys()
        assert not gone or self.gone_with, f"{len(gone)} inputs are acknowledged and not there"
        self.may_skip |= gone

    def _inputs(self) -> Iterator[tuple[int, Position]]:
        """The number of each input that is there, and where it stands."""
        for topic in self.feed.topics:
            for record in helpers.read_all(self.own, topic):
                assert record.partition is not None
                assert record.offset is not None
                number = int(dict(record.headers)[inputs.NUMBER] or b"-1")
                yield number, Position(TopicPartition(topic, record.partition), record.offset)

    def _place_gone(self) -> None:
        """What stands in no topic any more and has an outcome stood where that says."""
        for one in self.watcher.seen:
            source = source_in(one.record.headers)
            if one.number in self.feeder.unplaced - self.feeder.positions.keys() and source:
                self.feeder.positions[one.number] = source
                self.gone_with = [
                    gone | {one.number} if one.number < max(gone, default=0) else gone
                    for gone in self.gone_with
                ]

    def begin_outcomes_here(self) -> None:
        """What the output topics hold by now is of an input topic that is gone."""
        self._outcomes_from = [
            f"{topic}:{partition}:{end}"
            for topic in (self.output, self.letters)
            for partition, end in helpers.end_offsets(self.own, topic, "read_uncommitted").items()
        ]

    def _audit(self) -> list[str]:
        """What `nerstream audit` says to it."""
        begin = ("--outcomes-from", ",".join(self._outcomes_from)) if self._outcomes_from else ()
        # The clients of the run itself may reach brokers that the workers do not.
        settings = {**self._settings, "bootstrap_servers": self.own}
        return audited.violations(settings, *begin)

    def _all_committed(self) -> bool:
        try:
            committed = self.committed()
        except KafkaException:
            return False  # a transaction holds them
        return not not_committed(committed, self.ends())

    def _alive(self) -> list[WorkerProcess]:
        return [worker for worker in self.workers if worker.process.poll() is None]

    def _wait_until_quiet(self) -> None:
        """A sabotaged worker may never be done; what it has not done by then it never will."""
        deadline, before = time.monotonic() + RECOVERY_S, -1
        while time.monotonic() < deadline:
            if before == len(self.watcher.seen):
                return
            before = len(self.watcher.seen)
            time.sleep(_QUIET_S)

    def _open_transactions(self) -> dict[str, int]:
        own = self.own
        return {
            topic: sum(helpers.end_offsets(own, topic, "read_uncommitted").values())
            - sum(helpers.end_offsets(own, topic).values())
            for topic in (self.output, self.letters)
        }

    def _wait_settled(self) -> None:
        """What a killed worker left open is ended by the broker at the transaction timeout."""
        deadline = time.monotonic() + 15
        while any(self._open_transactions().values()) and time.monotonic() < deadline:
            time.sleep(0.2)


def _if_told(ask: Callable[[], object]) -> str:
    """The answer for a person, where there is one: a topic may be gone, a transaction may hold
    offsets."""
    try:
        return str(ask())
    except KafkaException as refused:
        return f"(not to be had: {refused})"
