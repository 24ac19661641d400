"""Alerts and dashboard on a real Prometheus that scrapes real workers on Apache Kafka.

One scene for all: each trouble has a worker of its own, all at once. Each alert must fire by the
fault that it is for, the commands of its runbook must do what the page says, and it must stop after
the fault. Times in the rules are shortened (`shortened.py` says how); the expressions are those of
the files. The model does not matter here, so a light tagger takes its place, and the device that
has no memory is a pretended one.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.integration.rigs import helpers
from tests.integration.servers.kafka_server import free_ports
from tests.integration.servers.prometheus_server import PrometheusServer
from tests.support.monitoring import troubles
from tests.support.monitoring.files import (
    ALERTS,
    ROOT,
    RUNBOOKS,
    answered,
    panel_queries,
    rule_queries,
)
from tests.support.monitoring.pages import commands
from tests.support.monitoring.programs import program_or_skip, tools_or_skip
from tests.support.monitoring.scene import SUPERVISED, Account, Scene, Trouble, play
from tests.support.monitoring.shortened import shortened

pytestmark = pytest.mark.kafka

#: Pages whose commands ask Prometheus and a worker that has no trouble.
GUIDES = ("docs/guides/alerts.md", "docs/operations/tuning.md")

#: Alerts on times in seconds. On a machine that stands still for long enough they would be right.
_OF_TIME = {
    *("NerstreamPartitionNotMoving", "NerstreamLatencyBudgetFast", "NerstreamLatencyBudgetSlow"),
    *("NerstreamFlowBudgetFast", "NerstreamFlowBudgetSlow"),
}


@dataclass
class Played:
    """What there is to look at when the scene is over.

    Attributes:
        silent: names of the queries without data.
        steady: alerts that fired for the worker that had no trouble.
        guides: what is wrong with commands of the guides, by page, given for that worker.
    """

    accounts: dict[str, Account]
    silent: dict[str, str]
    steady: set[str]
    guides: dict[str, list[str]]


@pytest.fixture(scope="module")
def played(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    program_or_skip("prometheus")
    tools_or_skip()
    made: list[str] = []
    name = f"watched-{os.getpid()}-{time.monotonic_ns()}"

    def topics(of: str) -> str:
        made.append(helpers.create_topic(kafka, f"{name}-{of}"))
        return made[-1]

    folder = tmp_path_factory.mktemp("watched")
    late = f"{name}-late"
    try:
        with Scene(kafka, topics, folder, name) as scene:
            ports = iter(free_ports(10))
            scene.add("nerstream", next(ports))
            scene.add("steady", next(ports))
            pattern = {"input_topics": f"^{late}.*", "topic_discovery_interval_s": 1}
            scene.add("waiting", next(ports), pattern, input_topic=late)
            scene.add("stuck", next(ports))
            scene.add("upstream", next(ports))
            scene.add("unreadable", next(ports), {"dead_letter_max_ratio": 1})
            client = {"kafka": {"client.id": f"{name}-throttled"}, "transaction_timeout_ms": 1_000}
            scene.add("throttled", next(ports), client)
            session = {"session.timeout.ms": "2000", "heartbeat.interval.ms": "500"}
            scene.add("frozen", next(ports), {"kafka": session})
            scene.add(
                "poisoned",
                next(ports),
                {"dead_letter_window_messages": 10},
                {"WATCHED_RESTARTS": "1"},
            )
            several = {"workers": 2, "kafka": session}
            scene.add("supervised", next(ports), several, command=SUPERVISED)
            made.append(late)
            prometheus = scene.watch()
            accounts = play(prometheus, _troubles(scene), RUNBOOKS)
            silent, steady = _silent(prometheus, scene.began_at), _steady(prometheus, scene)
            place = scene.workers["steady"].place
            guides = {
                page: [
                    problem
                    for command in commands((ROOT / page).read_text("utf-8"))
                    if (problem := place.run(command))
                ]
                for page in GUIDES
            }
            yield Played(accounts, silent, steady, guides)
    finally:
        helpers.delete_topics(kafka, made)


def _troubles(scene: Scene) -> list[Trouble]:
    kinds = {
        "nerstream": troubles.Killed,
        "steady": troubles.Steady,
        "waiting": troubles.TopicMissing,
        "stuck": troubles.ModelHangs,
        "upstream": troubles.UpstreamHangs,
        "unreadable": troubles.Unreadable,
        "throttled": troubles.Throttled,
        "frozen": troubles.Frozen,
        "poisoned": troubles.Poisoned,
        "supervised": troubles.MemberKilled,
    }
    return [kind(scene, scene.workers[job]) for job, kind in kinds.items()]


def _silent(prometheus: PrometheusServer, began_at: float) -> dict[str, str]:
    """The queries that gave no number at any time of the scene."""
    now = time.time()
    # A range of ten seconds, as that of a rule of five minutes is here.
    asked = {f"{title}: {query}": answered(query, "10s") for title, query in panel_queries()}
    asked |= {f"{name}: {query}": shortened(query) for name, query in rule_queries()}
    return {
        what: query
        for what, query in asked.items()
        if not any(
            not math.isnan(value)
            for one in prometheus.query_range(query, began_at, now, 1)
            for _, value in one.samples
        )
    }


def _steady(prometheus: PrometheusServer, scene: Scene) -> set[str]:
    found = prometheus.query_range(
        'ALERTS{alertstate="firing", job="steady"}', scene.began_at, time.time(), 1
    )
    return {one.labels["alertname"] for one in found}


@pytest.mark.parametrize("alert", [rule["alert"] for rule in ALERTS])
class TestEachAlert:
    def test_it_fires_by_its_fault_and_stops_after_it(self, played: Played, alert: str) -> None:
        account = played.accounts[alert]
        assert account.alert is not None, "it did not fire"
        assert account.alert.annotations["runbook_url"] == f"docs/runbooks/{alert}.md"
        assert account.stopped, "it fires on"

    def test_its_runbook_does_what_it_says(self, played: Played, alert: str) -> None:
        account = played.accounts[alert]
        assert account.commands >= 2
        assert not account.problems, "\n\n".join(account.problems)


def test_every_alert_has_its_fault(played: Played) -> None:
    assert set(played.accounts) == {rule["alert"] for rule in ALERTS}


def test_a_worker_without_trouble_raises_nothing(played: Played) -> None:
    assert played.steady - _OF_TIME == set()


@pytest.mark.parametrize("page", GUIDES)
def test_the_commands_of_a_guide_do_what_it_says(played: Played, page: str) -> None:
    assert not played.guides[page], "\n\n".join(played.guides[page])


def test_every_query_of_dashboard_and_rules_has_data(played: Played) -> None:
    # An alert that fired had data, if only between two of the moments that are asked for.
    fired = {alert for alert, account in played.accounts.items() if account.alert is not None}
    silent = {what for what in played.silent if what.partition(":")[0] not in fired}
    # No worker of the scene tries a second model; tests/integration/worker/test_shadow.py has one.
    assert {what for what in silent if "nerstream_shadow_entities_total" not in what} == set()
