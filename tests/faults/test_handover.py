"""What measures how long readers wait while partitions change hands."""

from __future__ import annotations

import json
from pathlib import Path

from tests.faults import handover
from tests.faults.brokers.broker import Broker
from tests.faults.feeding import inputs


class SharedBroker(Broker):
    """The broker of other tests: nobody kills it here."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    @property
    def direct(self) -> str:
        return self._bootstrap

    def keep_logs(self, folder: Path) -> None:
        """They are kept by whoever started it."""


def test_a_restart_of_all_workers_loses_and_doubles_nothing(kafka: str, tmp_path: Path) -> None:
    broker = SharedBroker(kafka)
    found = handover.measured(broker, tmp_path, "all restarted, one by one", "KIP-848")
    assert found["violations"] == []
    assert len(found["wait_s"]) == inputs.PARTITIONS
    assert min(found["wait_s"]) > 0
    assert found["articles"] > handover.RATE


def test_a_record_keeps_what_was_measured_before(tmp_path: Path) -> None:
    path = tmp_path / "handover.json"
    one, other = ({"scene": name, "way": "classic", "n": 1} for name in list(handover.SCENES)[:2])
    handover.put_on_record(path, "a machine", [other])
    handover.put_on_record(path, "a machine", [one, {**other, "n": 2}])
    assert json.loads(path.read_text())["scenes"] == [one, {**other, "n": 2}]
