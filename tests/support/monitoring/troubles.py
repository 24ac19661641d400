"""The faults that the alerts are for: each with its worker, what is done to it, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable

from tests.faults.brokers.quota import set_producer_quota
from tests.integration.rigs import helpers
from tests.support.monitoring.scene import PATIENCE_S, Trouble, articles, unreadable
from tests.support.monitoring.watched_worker import HOLD, NO_MEMORY, REJOINS
from tests.support.processes.freeze import freeze

#: Beyond the ten seconds in which an article must be committed.
_LATE_S = 11.0


def _until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.2)


class Steady(Trouble):
    """None: news comes and goes, for as long as the scene is."""

    def after(self) -> None:
        self.scene.put(self.worker, articles(10))


class Killed(Trouble):
    """SIGKILL, and nobody starts it again."""

    alerts = ("NerstreamDown", "NerstreamFlowBudgetFast", "NerstreamFlowBudgetSlow")

    def begin(self) -> None:
        self.worker.running.kill()

    def end(self) -> None:
        self.worker.start(self.scene.stack)
        self.worker.running.wait_ready()


class TopicMissing(Trouble):
    """No topic matches the pattern of the input; the runbook's command makes one."""

    alerts = ("NerstreamNoPartitions",)


class ModelHangs(Trouble):
    """The model does not answer, while more and more articles come."""

    alerts = ("NerstreamPartitionNotMoving", "NerstreamLagGrowing")

    def begin(self) -> None:
        self.worker.turn(HOLD, True)
        self._began_at = time.monotonic()
        self._put = 0

    def keep(self) -> None:
        # Twice as many as half a minute ago, for as long as it takes: so the lag grows by more than
        # a fifth between any two looks of the rule, however slow the machine is.
        wanted = round(1_500 * 1.025 ** (time.monotonic() - self._began_at))
        self.scene.put(self.worker, articles(min(wanted, 200_000) - self._put))
        self._put = max(self._put, min(wanted, 200_000))

    def end(self) -> None:
        self.worker.turn(HOLD, False)


class UpstreamHangs(Trouble):
    """A producer upstream begins a transaction and does not end it; the runbook's command does."""

    alerts = ("NerstreamUpstreamTransactionHangs",)

    def begin(self) -> None:
        topic = self.worker.topic
        self.scene.put(self.worker, articles(3))
        self.scene.written()
        upstream = helpers.producer(self.scene.kafka, transactional_id=f"{topic}-upstream")
        upstream.init_transactions(60)
        upstream.begin_transaction()
        helpers.put(upstream, topic, [helpers.Record(value) for value in articles(2)])
        upstream.flush(60)
        self._upstream = upstream
        self.scene.put(self.worker, articles(20))


class Unreadable(Trouble):
    """Half of the messages are no articles, the device has no memory, the group gives a partition
    to nobody, and before that the model took so long that articles were late."""

    alerts = (
        *("NerstreamLatencyBudgetFast", "NerstreamLatencyBudgetSlow"),
        *("NerstreamRejecting", "NerstreamOutOfMemory", "NerstreamRejoining"),
    )

    def begin(self) -> None:
        self.worker.turn(NO_MEMORY, True)
        self.worker.turn(REJOINS, True)
        self._hold()

    def keep(self) -> None:
        waited_s = time.monotonic() - self._held_at
        if waited_s < _LATE_S:
            return
        self.worker.turn(HOLD, False)
        if waited_s < 3 * _LATE_S or set(self.alerts[:2]) <= self.fired:
            self.scene.put(self.worker, [*articles(10), *unreadable(10)])
        else:
            self._hold()

    def end(self) -> None:
        self.worker.turn(HOLD, False)
        self.worker.turn(NO_MEMORY, False)
        self.worker.turn(REJOINS, False)

    def after(self) -> None:
        self.scene.put(self.worker, articles(10))

    def _hold(self) -> None:
        self.worker.turn(HOLD, True)
        self.scene.put(self.worker, articles(300))
        self.scene.written()
        self._held_at = time.monotonic()


class Throttled(Trouble):
    """A quota of the brokers lets the worker write next to nothing, so that transactions time out.

    Its settings give it a `client.id` of its own, and a short `transaction_timeout_ms`.
    """

    alerts = ("NerstreamTransactionsAborted",)

    #: After so many the worker pauses for long; a success between them makes it quick again.
    _IN_A_ROW = 5
    #: Bytes a second. The quota stays between the two, since the runbook's command takes it away.
    _LITTLE, _ENOUGH = 100, 10_000_000

    def begin(self) -> None:
        self._throttle(True)

    def keep(self) -> None:
        self.scene.put(self.worker, articles(5))
        worker = self.worker.running
        if self._throttles and worker.metric(_ABORTED) >= self._aborted + self._IN_A_ROW:
            self._throttle(False)
        elif not self._throttles and worker.metric(_PUBLISHED) > self._published:
            self._throttle(True)

    def end(self) -> None:
        self._quota(None)

    def after(self) -> None:
        self.scene.put(self.worker, articles(5))

    def _throttle(self, throttles: bool) -> None:
        self._throttles = throttles
        self._quota(self._LITTLE if throttles else self._ENOUGH)
        self._aborted = self.worker.running.metric(_ABORTED)
        self._published = self.worker.running.metric(_PUBLISHED)

    def _quota(self, bytes_per_second: int | None) -> None:
        client_id = self.worker.settings["kafka"]["client.id"]
        set_producer_quota(self.scene.kafka, client_id, bytes_per_second)


_ABORTED = 'nerstream_transactions_total{outcome="aborted"}'
_PUBLISHED = "nerstream_articles_published_total"


class Frozen(Trouble):
    """The machine stands still until the group has forgotten the worker and a scrape has failed;
    meanwhile retention takes what it would have read."""

    alerts = ("NerstreamPartitionsLost", "NerstreamPositionLost", "NerstreamMessagesMissed")

    def begin(self) -> None:
        worker = self.worker.running
        self.scene.put(self.worker, articles(10))
        _until(lambda: worker.metric(_PUBLISHED) == 10, "ten articles are published")
        freeze(worker.process.pid)
        self._thawed = False

    def keep(self) -> None:
        # A group that forgot it for another moment would have it thawed before any scrape failed.
        if self._thawed or self._members() or not self.scene.missed(self.worker):
            return
        self.scene.put(self.worker, articles(50))
        self.scene.written()
        helpers.delete_records(self.scene.kafka, self.worker.topic, {0: 40})
        self.worker.running.process.send_signal(signal.SIGCONT)
        self._thawed = True

    def _members(self) -> int:
        group = str(self.worker.settings["group_id"])
        asked = helpers.admin(self.scene.kafka).describe_consumer_groups(
            [group], request_timeout=60
        )
        return len(asked[group].result().members)


class Poisoned(Trouble):
    """Nothing but unreadable messages: the worker stops at each start, and is started again."""

    alerts = ("NerstreamRestarting",)

    def keep(self) -> None:
        self.scene.put(self.worker, unreadable(50))

    def end(self) -> None:
        self.worker.running.kill()
        # As the runbook says: let them into the dead letters, mend the cause, send them back.
        self.worker.variables.clear()
        self.worker.settings["dead_letter_max_ratio"] = 1
        self.worker.start(self.scene.stack)
        self.worker.running.wait_ready()


class MemberKilled(Trouble):
    """A worker of a supervisor is killed again and again; its supervisor bears five of that."""

    alerts = ("NerstreamWorkerRestarting",)

    _MOST = 5

    def begin(self) -> None:
        self._killed: set[int] = set()

    def keep(self) -> None:
        page = self.worker.running.get("/workers")[1]
        working = re.findall(r"<td>\d+</td><td>(\d+)</td><td>working</td>", page)
        for pid in {int(one) for one in working} - self._killed:
            if len(self._killed) < self._MOST and not self.fired:
                self._killed.add(pid)
                os.kill(pid, signal.SIGKILL)
