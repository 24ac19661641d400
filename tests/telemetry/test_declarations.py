"""What is declared is what is exposed, and follows the conventions."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from consumer.contracts.choices import RebalanceEvent, RejectCode, ReleaseReason, TransactionOutcome
from consumer.contracts.messages import ModelInfo, TopicPartition
from consumer.telemetry import declarations
from consumer.telemetry.declaration import Kind
from consumer.telemetry.gathered import SupervisorMetrics
from consumer.telemetry.registry import new_registry
from tests.support.scraped import Scraped

A0 = TopicPartition("articles", 0)
BUNDLED = ModelInfo("bundled", "abc123", "cpu", "float32", ("LOC", "MISC", "ORG", "PER"))


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


def test_known_labels_are_exactly_those_of_the_pipeline() -> None:
    assert set(declarations.MESSAGES_RELEASED.known) == {*ReleaseReason}
    assert set(declarations.TRANSACTIONS.known) == {*TransactionOutcome}
    assert set(declarations.REBALANCES.known) == {*RebalanceEvent}
    assert set(declarations.MESSAGES_REJECTED.known) == {*RejectCode}


def test_declared_and_exposed_are_the_same(scraped: Scraped) -> None:
    scraped.metrics.models_loaded([BUNDLED])
    scraped.metrics.watch_device_memory(lambda: {"allocated": 1})
    SupervisorMetrics(supervisor := new_registry())
    exposed = {
        family.name: family
        for family in (*scraped.registry.collect(), *supervisor.collect())
        if family.name.startswith("nerstream_")
    }
    declared = {
        item.name.removesuffix("_total").removesuffix("_info"): item for item in declarations.ALL
    }
    assert exposed.keys() == declared.keys()
    for name, item in declared.items():
        assert exposed[name].type == item.kind.value
        assert exposed[name].documentation == item.doc


def test_declarations_follow_the_conventions() -> None:
    names = [item.name for item in declarations.ALL]
    assert len(set(names)) == len(names) > 25
    for item in declarations.ALL:
        assert item.name.startswith("nerstream_")
        assert item.name.endswith("_total") == (item.kind is Kind.COUNTER), item.name
        assert item.doc.endswith("."), item.name
        assert item.worry.endswith("."), item.name
        assert bool(item.buckets) == (item.kind is Kind.HISTOGRAM), item.name
        assert list(item.buckets) == sorted(set(item.buckets)), item.name
        assert not item.known or len(item.labels) == 1, item.name
        if item.unit in ("seconds", "bytes", "ratio"):
            assert item.unit in item.name, item.name


def test_both_formats_can_be_read_back(scraped: Scraped) -> None:
    scraped.metrics.models_loaded([BUNDLED])
    scraped.metrics.lag({A0: 5})
    text = generate_openmetrics(scraped.registry).decode()
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {"nerstream_messages_consumed", "nerstream_partition_lag_messages"} <= names
    assert b"nerstream_partition_lag_messages" in generate_latest(scraped.registry)
