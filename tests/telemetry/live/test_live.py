"""What a page is told, and what the worker keeps for it."""

from __future__ import annotations

import tracemalloc
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry

from consumer.contracts.choices import RebalanceEvent, RejectCode, Switch, TransactionOutcome
from consumer.contracts.messages import ModelInfo, TopicPartition
from consumer.contracts.runs import RunProgress, RunState
from consumer.settings.schema import Settings
from consumer.telemetry.health import Health
from consumer.telemetry.live.live import KEPT, STEP_S, Live, facts_of, live_from
from consumer.telemetry.live.point import PARTITIONS, quantile
from consumer.telemetry.live.reading import SAMPLES, needed_of, read
from consumer.telemetry.metrics import Metrics
from consumer.telemetry.registry import new_registry

GOOD = Health(alive=True, ready=True)


class Rig:
    """A registry as a worker fills it, under a clock of our own."""

    def __init__(self, **settings: Any) -> None:
        self.now = 0.0
        self.last = 0.0
        self.health: Health | Exception = GOOD
        self.registry = new_registry()
        self.metrics = Metrics(self.registry, clock=lambda: 1_000 + self.now)
        self.live = Live(
            needed_of(self.registry),
            self._look,
            facts_of(Settings(**settings)),
            None,
            clock=lambda: self.now,
            wall_clock=lambda: 1_000.0,
        )
        self.live.sample()

    def _look(self) -> Health:
        if isinstance(self.health, Exception):
            raise self.health
        return self.health

    def pass_time(self, steps: int, articles: int = 0, lag: int = 0) -> None:
        """So many steps, with so many articles in each."""
        for _ in range(steps):
            self.now += STEP_S
            self.metrics.consumed(articles, 100 * articles)
            if articles:
                rejected = {RejectCode.NO_TEXT: 1}
                latencies = [0.03] * (articles - 1)
                self.metrics.committed(articles - 1, 0, rejected, {}, {"PER": 2}, latencies)
                self.metrics.transaction_ended(TransactionOutcome.COMMITTED)
                self.metrics.batch_closed(articles, 10 * articles, 0.01)
                self.metrics.stage_seconds("tag", 1.0)
            self.metrics.lag({TopicPartition("in", 0): lag})
            self.live.sample()
            self.last = self.now

    def ask(self, *args: Any) -> Any:
        return orjson.loads(self.live.answer(*args))


def test_what_changed_since_the_page_asked() -> None:
    rig = Rig(batch_tokens=1_000)
    rig.metrics.models_loaded([ModelInfo("m", "r", "cpu", "int8", ("PER", "GENE"))])
    rig.metrics.rebalanced(RebalanceEvent.ASSIGNED, 1)
    rig.pass_time(3, articles=11, lag=7)
    answer = rig.ask()
    assert [point["t"] for point in answer["points"]] == [1_005.0, 1_010.0, 1_015.0]
    last = answer["points"][-1]
    assert (last["in"], last["out"], last["lag"], last["rej"]) == (2.2, 2.0, 7, {"no_text": 1})
    assert (last["bt"], last["ba"], last["busy"]["tag"]) == (110.0, 11.0, 0.2)
    assert last["parts"] == {"in/0": [7, 10.0]}
    assert 0.025 < last["p50"] < last["p99"] <= 0.05
    assert answer["facts"]["models"] == ["m · cpu · int8"]
    assert answer["facts"]["batch_tokens"] == 1_000
    assert answer["colors"]["PER"] == "cyan"
    assert answer["colors"]["GENE"] in ("blue", "silver", "forest")
    assert answer["state"]["kind"] == "flowing"
    assert answer["feed"] is None
    rig.pass_time(1)
    again = rig.ask(last["t"], 0, answer["boot"])
    assert [point["t"] for point in again["points"]] == [1_020.0]
    # A page that asked another worker before gets all of this one.
    assert len(rig.ask(9_999.0, 0, "another")["points"]) == 4


def test_the_latest_figures_move_between_two_steps() -> None:
    rig = Rig()
    rig.pass_time(2)
    rig.now += 3
    rig.metrics.consumed(30, 1)
    assert rig.ask()["latest"]["in"] == 10.0
    rig.metrics.consumed(30, 1)
    assert rig.ask()["latest"]["in"] == 10.0  # asked twice within half a second: read once
    rig.now += 0.6
    assert rig.ask()["latest"]["in"] == pytest.approx(60 / 3.6, rel=1e-3)


def test_a_quarter_of_an_hour_is_kept_and_no_more() -> None:
    rig = Rig()
    rig.pass_time(KEPT + 20, articles=2)
    points = rig.ask()["points"]
    assert len(points) == KEPT
    assert points[-1]["t"] - points[0]["t"] == (KEPT - 1) * STEP_S


def test_memory_is_bounded_whatever_is_assigned() -> None:
    rig = Rig()
    lags = {TopicPartition("a topic with a long name", number): number for number in range(500)}
    rig.metrics.lag(lags)
    rig.live.sample()
    tracemalloc.start()
    for _ in range(KEPT + 5):
        rig.now += STEP_S
        rig.live.sample()
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 4_000_000
    answer = rig.ask()
    # The furthest behind, and the rest in the sum.
    assert sorted(lag for lag, _ in answer["latest"]["parts"].values()) == [
        *range(500 - PARTITIONS, 500)
    ]
    assert answer["latest"]["lag"] == sum(range(500))


def test_a_health_check_that_fails_is_told() -> None:
    rig = Rig()
    rig.health = RuntimeError("no lock")
    assert rig.ask()["state"]["kind"] == "stuck"


def test_a_bounded_run_is_told() -> None:
    rig = Rig()
    assert "run" not in rig.ask()["latest"]
    rig.metrics.run_progress(RunProgress(RunState(30, 120, False), 1.0, 90.0))
    rig.now += 1
    assert rig.ask()["latest"]["run"] == {"total": 120, "done": 30, "left": 90.0}
    rig.metrics.run_progress(RunProgress(RunState(30, 120, False), 0.0, None))
    rig.now += 1
    assert rig.ask()["latest"]["run"]["left"] is None


def test_the_thread_samples_and_ends() -> None:
    rig = Rig()
    rig.live.start()
    rig.live.close()
    rig.live.close()


def test_a_unit_longer_than_a_step_is_spread_over_its_seconds() -> None:
    rig = Rig()
    shares = []
    for second in range(1, 121):
        rig.now += 1
        if second % 28 == 0:
            rig.metrics.stage_seconds("tag", 28.0)
        if second % 5 == 0:
            rig.live.sample()
        if second > 60:
            latest = rig.ask()["latest"]
            shares.append(latest["busy"]["tag"])
            assert latest["unit"]["tag"] == 28.0
    assert min(shares) > 0.8
    assert max(shares) <= 1.0
    assert max(point["busy"].get("tag", 0.0) for point in rig.ask()["points"]) <= 1.0


def test_the_latest_seconds_begin_where_a_point_ends() -> None:
    """So that a page can add up each second once; see `main.js`."""
    rig = Rig()
    rig.pass_time(10, articles=11)
    for _ in range(30):
        rig.now += 0.6
        answer = rig.ask()
        begins = answer["latest"]["t"] - answer["latest"]["s"]
        once = [point for point in answer["points"] if point["t"] <= begins + 0.1]
        assert once[-1]["t"] == pytest.approx(begins, abs=0.02)
        for name in ("ok", "end"):
            total = sum(point[name] for point in (*once, answer["latest"]))
            assert total == {"ok": 10, "end": 110}[name]
        if rig.now - rig.last >= STEP_S:
            rig.last = rig.now
            rig.live.sample()


def test_how_long_a_transaction_stays_open_counts() -> None:
    registry = new_registry()
    metrics = Metrics(registry, clock=lambda: 1_000.0)
    place = TopicPartition("in", 0)
    metrics.rebalanced(RebalanceEvent.ASSIGNED, 1)
    metrics.partitions_moved([place], 985.0)
    metrics.lag({place: 7})
    kinds = []
    for milliseconds in (100, 15_000):
        settings = Settings(commit_interval_ms=milliseconds)
        live = live_from(settings, registry, lambda: GOOD)
        live.sample()
        kinds.append(orjson.loads(live.answer())["state"]["kind"])
    assert kinds == ["standing", "arriving"]


def test_text_is_shown_where_the_setting_says_so() -> None:
    for shows in Switch:
        live = live_from(Settings(admin_show_text=shows), new_registry(), lambda: GOOD)
        assert (live.sent is not None) is (shows is Switch.ON)
        answer = orjson.loads(live.answer())
        assert (answer["feed"] is not None) is (shows is Switch.ON)
        assert answer["facts"]["text_wanted"] is (shows is Switch.ON)
    assert Settings().admin_show_text is Switch.OFF


def test_several_workers_are_one() -> None:
    """Metrics of a group with a label more are added up; a worker that ends takes nothing away."""
    rigs = [Rig(), Rig()]
    for number, rig in enumerate(rigs):
        rig.pass_time(1, articles=11, lag=number + 1)

    def together() -> Any:
        for rig in rigs:
            for metric in rig.registry.collect():
                for sample in metric.samples:
                    sample.labels["worker"] = str(id(rig))
                yield metric

    first = read(together, 0.0)
    for rig in rigs:
        rig.metrics.run_progress(RunProgress(RunState(30, 120, False), 1.0, 90.0))
    now = [0.0]
    live = Live(together, lambda: GOOD, {}, clock=lambda: now[0], wall_clock=lambda: 0.0)
    live.sample()
    for rig in rigs:
        rig.pass_time(1, articles=11)
    now[0] = 5.0
    live.sample()
    answer = orjson.loads(live.answer())
    (point,) = answer["points"]
    assert answer["latest"]["run"] == {"total": 120, "done": 30, "left": 90.0}
    assert (point["in"], point["out"], point["busy"]["tag"]) == (4.4, 4.0, 0.2)
    rigs.pop()
    now[0] = 10.0
    live.sample()
    assert orjson.loads(live.answer())["points"][-1]["out"] == 0.0
    assert first.sums["nerstream_messages_consumed_total"] == 22.0


def test_a_reading_looks_at_nothing_else() -> None:
    rig = Rig()
    asked = CollectorRegistry()
    names = {one.name for metric in rig.registry.collect() for one in metric.samples}
    rig.pass_time(1, articles=3)
    missing = SAMPLES - {one.name for metric in rig.registry.collect() for one in metric.samples}
    assert missing <= {
        "nerstream_model_info",
        "nerstream_tokens_total",
        "nerstream_partition_high_watermark_offset",
        "nerstream_partition_last_stable_offset",
    }
    read_names = {one.name for metric in needed_of(rig.registry)() for one in metric.samples}
    assert read_names <= SAMPLES
    assert names - read_names  # the process' own, for example
    assert list(needed_of(asked)()) == []


def test_quantiles_are_prometheus() -> None:
    inf = float("inf")
    assert quantile({}, 0.5) is None
    assert quantile({1.0: 0, inf: 0}, 0.5) is None
    assert quantile({1.0: 10, 2.0: 10, inf: 10}, 0.5) == 0.5
    assert quantile({1.0: 0, 2.0: 4, 4.0: 8, inf: 8}, 0.75) == 3.0
    assert quantile({1.0: 1, inf: 10}, 0.99) == 1.0
