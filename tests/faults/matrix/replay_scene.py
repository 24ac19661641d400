"""One fault run of replays: a dead-letter topic that is written to all the while, and the check."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from consumer.contracts.choices import RejectCode
from consumer.contracts.headers import REPLAY_ATTEMPTS
from consumer.contracts.messages import RawMessage
from tests.faults.brokers.broker import Broker
from tests.faults.checker.invariants import Verdict
from tests.faults.matrix.result import Result
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.servers.lifetime import spawn
from tests.support.memory import letters

#: Of the topic that the letters came from, and of the dead-letter topic.
PARTITIONS, DEAD_PARTITIONS = 6, 3

#: A replay must get on, and must end, within so many seconds.
PATIENCE_S = 240.0

#: Letters of one transaction of the worker that writes them, from and to; the share of transactions
#: that are taken back, and so leave a gap.
_GROUP, _TAKEN_BACK = (20, 60), 0.2

#: Seconds for which the worker keeps a transaction open, so that a reader cannot see behind it.
_OPEN_S = 0.2

_TIMEOUT_MS = 4_000

#: Seconds that a seed draws from between what a run waits for and its next fault.
_MOMENT_S = 0.5

_CODES = (RejectCode.INVALID_JSON, RejectCode.NO_TEXT, RejectCode.WRONG_TYPE)

#: Violations that are told of each kind; the rest are counted.
_TOLD = 5


def original(topic: str, number: int) -> RawMessage:
    """The message that letter `number` was."""
    return letters.original(
        number,
        topic=topic,
        partition=number % PARTITIONS,
        key=None if number % 2 else b"key-%d" % (number % 50),
        value=None if number % 17 == 0 else b"",
    )


class ReplayScene:
    """Everything of one run but the fault itself.

    Args:
        folder: for the replays' logs.
        at_least: letters that there are before the first replay; more come all the while.
        proxied: whether the replays reach the broker through the proxy.
        sabotage: name of a deliberate defect of every replay.
        draw: what the moments and the sizes of the worker's transactions are drawn by.
    """

    def __init__(
        self,
        broker: Broker,
        folder: Path,
        *,
        at_least: int,
        proxied: bool = False,
        sabotage: str | None = None,
        draw: str = "",
    ) -> None:
        self.broker = broker
        #: Decides everything of the run that may be one way or another.
        self.draw, self._sizes = random.Random(draw), random.Random(draw)
        self.own = broker.direct
        self._bootstrap = broker.proxied if proxied else broker.direct
        self._folder = folder
        self._sabotage = sabotage
        self.at_least = at_least
        suffix = uuid.uuid4().hex[:8]
        self.origin, self.dead = f"origin-{suffix}", f"dead-{suffix}"
        self.result = Result()
        self._fault_at = 0.0
        #: Letters that are there for good.
        self.written = 0
        self._replays: list[subprocess.Popen[bytes]] = []
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._worker = threading.Thread(target=self._write_on, name="worker", daemon=True)
        self._client = helpers.producer(
            self.own, transactional_id=f"worker-{suffix}", transaction_timeout_ms=60_000
        )

    def __enter__(self) -> Self:
        helpers.create_topic(self.own, self.origin, PARTITIONS)
        helpers.create_topic(self.own, self.dead, DEAD_PARTITIONS)
        self._client.init_transactions(helpers.CALL_TIMEOUT_S)
        while self.written < self.at_least:
            self._write()
        self._worker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._worker.ident is not None:
            self._worker.join(PATIENCE_S)
        for one in self._replays:
            if one.poll() is None:
                one.kill()
                one.wait(PATIENCE_S)
        if kind is None:
            helpers.delete_topics(self.own, (self.origin, self.dead))

    # --- What rows do

    def start(self, fault: str | None = None, *flags: str) -> subprocess.Popen[bytes]:
        """Begin a replay; `fault` as in `tests.faults.workers.faulty_replay`."""
        variables = {}
        if fault:
            variables["FAULT"] = fault
        if self._sabotage:
            variables["SABOTAGE"] = self._sabotage
        arguments = [
            f"--bootstrap-servers={self._bootstrap}",
            f"--dead-letter-topic={self.dead}",
            f"--transaction-timeout-ms={_TIMEOUT_MS}",
            *flags,
        ]
        with self._log(len(self._replays)).open("wb") as log:
            one = spawn(
                [sys.executable, "-m", "tests.faults.workers.faulty_replay", *arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, **variables},
            )
        self._replays.append(one)
        return one

    def fault(self, kills: int = 0) -> None:
        """A fault happens now."""
        self._fault_at = time.monotonic()
        self.result.faults += 1
        self.result.kills += kills

    def wait_dead(self, replay: subprocess.Popen[bytes]) -> int:
        """Until it has ended; its exit code, negative for a signal."""
        self.wait_for(lambda: replay.poll() is not None, "the end of a replay")
        return int(replay.returncode)

    def wait_sent(self) -> None:
        """Until more letters are sent than now."""
        before = self.sent()
        self.wait_for(lambda: self.sent() > before, "more letters are sent")

    def wait_recovered(self) -> None:
        """The same, after a fault."""
        self.wait_sent()
        self.result.recoveries_s.append(time.monotonic() - self._fault_at)
        time.sleep(self.draw.uniform(0.0, _MOMENT_S))

    def sent(self) -> int:
        """Offsets of the origin behind which a reader gets now."""
        return sum(helpers.end_offsets(self.own, self.origin).values())

    def wait_for(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something; the failure shows the ends of the replays' logs."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            if self._failure is not None:
                raise self._failure
            assert time.monotonic() < deadline, f"never came: {what}\n{self.logs()}"
            time.sleep(0.05)

    @contextmanager
    def held_open(self) -> Iterator[None]:
        """Meanwhile another worker has a transaction open in each partition of the dead letters; it
        is taken back in the end."""
        client = helpers.producer(
            self.own, transactional_id=f"{self.dead}-open", transaction_timeout_ms=60_000
        )
        client.init_transactions(helpers.CALL_TIMEOUT_S)
        client.begin_transaction()
        raw = original(self.origin, 0)
        helpers.put(
            client,
            self.dead,
            [
                letters.record(letters.letter(raw, to=self.dead, partition=part))
                for part in range(DEAD_PARTITIONS)
            ],
        )
        client.flush(helpers.CALL_TIMEOUT_S)
        try:
            yield
        finally:
            client.abort_transaction(helpers.CALL_TIMEOUT_S)

    def logs(self) -> str:
        """What the replays have said."""
        return "\n".join(
            f"--- replay {number} ({one.poll()})\n{self._log(number).read_text()}"
            for number, one in enumerate(self._replays)
        )

    def said(self, replay: subprocess.Popen[bytes]) -> str:
        """What one of them has said."""
        return self._log(self._replays.index(replay)).read_text()

    def finish(self) -> Result:
        """Let nothing more come, replay to the end, and check what Kafka holds."""
        self._stop.set()
        self._worker.join(PATIENCE_S)
        if self._failure is not None:
            raise self._failure
        self.result.messages = self.written
        problems = []
        code = self.wait_dead(self.start())
        self.wait_for(lambda: not self._left_open(), "no transaction is open")
        if code != 0:
            problems.append(f"exit code: the last replay ended with {code}\n{self.logs()}")
        before = self.sent()
        code = self.wait_dead(self.start())
        self.wait_for(lambda: not self._left_open(), "no transaction is open")
        if code != 0 or self.sent() != before:
            problems.append(f"doubled: a replay of what was sent ended with {code} and sent more")
        verdict = self._check()
        self.result.verdict = Verdict(
            verdict.lost, verdict.doubled, (*verdict.violations, *problems)
        )
        return self.result

    def _log(self, number: int) -> Path:
        return self._folder / f"replay-{self.dead}-{number}.log"

    # --- The worker that rejects

    def _write_on(self) -> None:
        try:
            while not self._stop.is_set():
                self._write(_OPEN_S)
        except BaseException as failure:
            self._failure = failure

    def _write(self, open_s: float = 0.0) -> None:
        """One transaction, now and then after one that is taken back."""
        size = self._sizes.randint(*_GROUP)
        for is_last in (False, True) if self._sizes.random() < _TAKEN_BACK else (True,):
            self._client.begin_transaction()
            records = [self._letter(self.written + at) for at in range(size)]
            helpers.put(self._client, self.dead, records)
            self._client.flush(helpers.CALL_TIMEOUT_S)
            self._stop.wait(open_s)
            if is_last:
                self._client.commit_transaction(helpers.CALL_TIMEOUT_S)
            else:
                self._client.abort_transaction(helpers.CALL_TIMEOUT_S)
        self.written += size

    def _letter(self, number: int) -> Record:
        raw = original(self.origin, number)
        code = _CODES[number % len(_CODES)]
        part = raw.position.topic_partition.partition % DEAD_PARTITIONS
        return letters.record(letters.letter(raw, code=code, to=self.dead, partition=part))

    # --- The check

    def _check(self) -> Verdict:
        records = helpers.read_all(self.own, self.origin)
        times = Counter(map(_number, records))
        lost = [number for number in range(self.written) if not times[number]]
        found: Mapping[str, list[str]] = {
            "lost": [f"letter {number} was not sent" for number in lost],
            "doubled": [
                f"letter {n} was sent {count} times" for n, count in times.items() if count > 1
            ],
            "invented": [f"letter {n}" for n in times if not 0 <= n < self.written],
            "altered": [text for one in records if (text := self._altered(one))],
            "out of order": list(_out_of_order(records)),
            "left open": self._left_open(),
        }
        lines = [
            line
            for kind, problems in found.items()
            for line in (
                *(f"{kind}: {problem}" for problem in problems[:_TOLD]),
                *([f"{kind}: {len(problems)} in all"] if len(problems) > _TOLD else []),
            )
        ]
        return Verdict(len(lost), sum(times.values()) - len(times), tuple(lines))

    def _altered(self, record: Record) -> str:
        number = _number(record)
        if number < 0:
            return "a message without its number"
        raw = original(self.origin, number)
        wanted: dict[str, Any] = {
            "key": raw.key,
            "value": raw.value,
            "headers": (*raw.headers, (REPLAY_ATTEMPTS, b"1")),
            "timestamp_ms": raw.timestamp_ms,
            "partition": raw.position.topic_partition.partition,
        }
        wrong = [name for name, value in wanted.items() if getattr(record, name) != value]
        return f"letter {number}: its {', '.join(wrong)}" if wrong else ""

    def _left_open(self) -> list[str]:
        return [
            f"{topic}[{part}]"
            for topic in (self.origin, self.dead)
            for part, end in helpers.end_offsets(self.own, topic, "read_uncommitted").items()
            if end != helpers.end_offsets(self.own, topic)[part]
        ]


def _number(record: Record) -> int:
    text = dict(record.headers).get("n") or b""
    return int(text) if text.isdigit() else -1


def _out_of_order(records: list[Record]) -> Iterator[str]:
    """A partition's letters stand in one partition of the dead letters, and so keep their order."""
    last: dict[int | None, int] = {}
    for one in records:
        number = _number(one)
        if number < last.get(one.partition, -1):
            yield f"letter {number} after {last[one.partition]}"
        last[one.partition] = max(number, last.get(one.partition, -1))
