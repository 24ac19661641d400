"""Many messages through one worker process, each outcome looked at as it is committed.

A thread feeds the input topic while the calling thread reads the outcomes under
`read_committed`. What it finds is in `Passage`; it raises only where the run itself cannot go on.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.checker import audited
from tests.faults.checker.leftovers import all_committed, leftovers
from tests.faults.checker.outcomes import Outcomes
from tests.faults.feeding.traffic import Traffic, placed
from tests.faults.long_runs.process_figures import Figures, figures_of
from tests.faults.matrix.ground import Ground
from tests.integration.rigs import helpers
from tests.integration.rigs.helpers import Record
from tests.integration.rigs.worker_process import EndedEarly, WorkerProcess

#: The run is over when nothing comes for so long.
STALL_S = 60.0

_SAMPLE_S = 0.5

#: When nothing comes for so long, it may be that nothing is due.
_QUIET_S = 2.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The worker's figures when so many messages had their outcome."""

    resolved: int
    at_s: float
    figures: Figures


@dataclass(slots=True)
class Passage:
    """What a run was and what it found.

    Attributes:
        kinds: how many outcomes of each kind.
        faults: every broken invariant in words, the first few of each kind of fault.
        samples: the worker's figures through the run, the first once it was ready.
        seconds: from the start of the worker to the last outcome.
    """

    kinds: Mapping[str, int]
    faults: list[str]
    samples: list[Sample] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def sorts(self) -> set[str]:
        """The faults without what they say of one message."""
        return {fault.split(":", 1)[0] for fault in self.faults}

    @property
    def peak_bytes(self) -> int:
        """The most memory that the worker ever held."""
        return max((sample.figures.peak_bytes for sample in self.samples), default=0)


def pass_through(
    ground: Ground,
    traffic: Traffic,
    settings: Mapping[str, Any],
    *,
    ahead: int,
    command: Sequence[str] = ("-m", "tests.faults.workers.light_worker"),
    progress: Callable[[Sample], None] = lambda _: None,
) -> Passage:
    """Feed a worker process, read what comes out, end the worker, look at what it left.

    The worker finds a backlog of `ahead` messages when it starts: it fetches ahead at once as much
    as it ever will.

    Args:
        settings: of the worker, on top of the ground's.
        ahead: messages that the feeder may be in front of the reader.
        command: what the interpreter runs as the worker.
        progress: called at every sample.
    """
    outcomes = Outcomes(ground, traffic)
    with tempfile.TemporaryDirectory(prefix="nerstream-run-") as name:
        folder, temporary = Path(name), Path(name, "tmp")
        temporary.mkdir()
        wanted = {**ground.settings(), **settings}
        variables = {"TMPDIR": str(temporary)}
        with _Feeder(ground, traffic, lambda: outcomes.resolved + ahead) as feeder:
            feeder.wait_backlog(ahead)
            started = time.monotonic()
            with WorkerProcess(
                wanted, folder, command=command, variables=variables, warm=False
            ) as worker:
                # One may die between its first messages and the look that would find it ready;
                # `_end` tells of it.
                with contextlib.suppress(EndedEarly):
                    worker.wait_ready()
                passage = Passage(outcomes.kinds, outcomes.faults)
                _pass(ground, traffic, worker, feeder, outcomes, passage, started, progress)
                _end(worker, outcomes)
        outcomes.read_rest()
        outcomes.faults += leftovers(ground, temporary)
        # The worker has ended; a transaction that it left open is not waited for.
        outcomes.faults += audited.violations({**wanted, "transaction_timeout_ms": 1_000})
    return passage


def _pass(
    ground: Ground,
    traffic: Traffic,
    worker: WorkerProcess,
    feeder: _Feeder,
    outcomes: Outcomes,
    passage: Passage,
    started: float,
    progress: Callable[[Sample], None],
) -> None:
    """Until the last outcome."""
    sample_at = last_came = time.monotonic()
    pid = worker.process.pid
    while outcomes.resolved < traffic.messages:
        now = time.monotonic()
        if outcomes.read():
            last_came = now
        if feeder.failure is not None:
            raise feeder.failure
        if worker.process.poll() is not None:
            break
        if now - last_came > _QUIET_S and feeder.done and all_committed(ground):
            # What is missing now is lost; one more look at what has come meanwhile.
            if not outcomes.read():
                break
        elif now - last_came > STALL_S:
            outcomes.faults.append(f"nothing came out for {STALL_S:.0f} s")
            break
        if now >= sample_at:
            sample_at = now + _SAMPLE_S
            _sample(pid, outcomes, passage, started, progress)
    passage.seconds = time.monotonic() - started
    _sample(pid, outcomes, passage, started, progress)


def _sample(
    pid: int,
    outcomes: Outcomes,
    passage: Passage,
    started: float,
    progress: Callable[[Sample], None],
) -> None:
    figures = figures_of(pid)
    if figures is not None:
        sample = Sample(outcomes.resolved, time.monotonic() - started, figures)
        passage.samples.append(sample)
        progress(sample)


def _end(worker: WorkerProcess, outcomes: Outcomes) -> None:
    """SIGTERM, unless the worker has ended by itself, which it must not."""
    code = worker.process.poll()
    if code is not None:
        outcomes.faults.append(f"the worker died with {code}: {_last_words(worker)}")
    elif (code := worker.terminate()) != 0:
        outcomes.faults.append(f"the worker ended with {code}: {_last_words(worker)}")


def _last_words(worker: WorkerProcess) -> str:
    return worker.log.read_text("utf-8", "replace")[-2_000:]


class _Feeder:
    """A thread that writes the messages to the partitions in turn, never far in front.

    Args:
        limit: the number that it must not reach yet.
    """

    def __init__(self, ground: Ground, traffic: Traffic, limit: Callable[[], int]) -> None:
        self._ground = ground
        self._traffic = traffic
        self._limit = limit
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder")
        self._given = 0
        self.failure: BaseException | None = None

    def wait_backlog(self, messages: int, timeout_s: float = 60.0) -> None:
        """Until so many messages, or all that there are, went to the client that writes them.

        Raises:
            TimeoutError: not within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while self._given < min(messages, self._traffic.messages):
            if self.failure is not None:
                raise self.failure
            if time.monotonic() > deadline:
                raise TimeoutError(f"only {self._given} messages were written in {timeout_s:.0f} s")
            time.sleep(0.01)

    @property
    def done(self) -> bool:
        """Whether everything is written."""
        return not self._thread.is_alive()

    def __enter__(self) -> _Feeder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            # Idempotent, so that the number of a message tells its offset.
            client = helpers.producer(self._ground.bootstrap, enable_idempotence=True, linger_ms=20)
            helpers.put(client, self._ground.input, self._records())
            left = client.flush(helpers.CALL_TIMEOUT_S)
            if left and not self._stopped.is_set():
                raise RuntimeError(f"{left} messages were not acknowledged")
        except BaseException as failure:
            self.failure = failure

    def _records(self) -> Iterator[Record]:
        for number in range(self._traffic.messages):
            while number >= self._limit():
                if self._stopped.wait(0.01):
                    return
            if self._stopped.is_set():
                return
            record = self._traffic.record(number)
            yield placed(record, number, self._ground.partitions)
            self._given = number + 1
