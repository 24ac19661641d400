"""Which tests go together to one process of a parallel run, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

#: Files whose tests take long and share nothing but the one Apache Kafka: each for itself.
_ALONE = (
    "tests/docs/test_behind_a_door.py",
    "tests/integration/commands/test_doctor.py",
    "tests/integration/worker/test_doors.py",
    "tests/integration/topics/test_internal_topics.py",
    "tests/integration/worker/test_planted_secrets.py",
    "tests/integration/topics/test_remade_topics.py",
    "tests/integration/test_sink.py",
    "tests/integration/test_source.py",
    "tests/integration/topics/test_starts.py",
    "tests/integration/topics/test_upstream_transactions.py",
    "tests/integration/worker/test_worker.py",
    "tests/integration/worker/test_worker_starts.py",
    "tests/faults/test_device.py",
    "tests/faults/test_fuzz.py",
    "tests/faults/test_refused_records.py",
    "tests/faults/test_soak.py",
    "tests/kafka/sink/test_contract.py",
    "tests/tagging/test_instruction_sets.py",
    "tests/test_bad_environments.py",
    "tests/test_signals_at_start.py",
)

#: What takes longest begins first, so that nothing long is left for the end.
_FIRST = (
    # Waits for two minutes, whatever else goes on.
    "tests/deploy/test_alerts.py",
    # A second model gives way to everything else, so that it is loaded for minutes.
    "tests/shadow/test_loading.py",
    "tests/tagging/test_instruction_sets.py",
    "tests/faults/",
    "tests/integration/",
    "tests/test_bad_environments.py",
    "tests/test_signals_at_start.py",
)


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """A file's tests go together, with what its fixtures made; those above go one by one."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        # Else the files of most tests go first, which are those that take no time.
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return nodeid if file in _ALONE else file


def longest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The tests in the order in which a parallel run begins them; no file is taken apart."""

    def place(item: pytest.Item) -> int:
        found = (at for at, start in enumerate(_FIRST) if item.nodeid.startswith(start))
        return next(found, len(_FIRST))

    return sorted(items, key=place)
