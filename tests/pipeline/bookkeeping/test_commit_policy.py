"""CommitPolicy: a transaction waits for what may still join, and for nothing else."""

from __future__ import annotations

import pytest

from consumer.pipeline.bookkeeping.commit_policy import CommitPolicy


@pytest.mark.parametrize(
    ("now", "nothing_upstream", "batch_gap_s", "expected"),
    [
        (10.0, False, None, 0.5),
        (10.3, False, None, 0.2),
        (10.5, False, None, 0.0),
        (11.0, False, None, -0.5),
        (10.0, True, None, 0.0),
        (10.0, True, 0.1, 0.0),
        (10.3, False, 0.5, 0.2),  # the next batch may just come in time
        (10.3, False, 0.6, 0.0),  # the next batch comes too late
    ],
)
def test_waits(
    now: float, nothing_upstream: bool, batch_gap_s: float | None, expected: float
) -> None:
    wait_s = CommitPolicy(0.5).wait_s(
        opened_at=10.0, now=now, nothing_upstream=nothing_upstream, batch_gap_s=batch_gap_s
    )
    assert wait_s == pytest.approx(expected)


def test_an_interval_of_nothing_commits_at_once() -> None:
    policy = CommitPolicy(0.0)
    assert policy.wait_s(opened_at=1.0, now=1.0, nothing_upstream=False, batch_gap_s=None) == 0.0
