"""How far a bounded run is."""

from __future__ import annotations

from typing import NamedTuple

from consumer.contracts.messages import TopicPartition


class Gone(NamedTuple):
    """What retention or DeleteRecords took of one partition before a run read it.

    Attributes:
        offsets: how many were gone; transaction markers count.
        planned: how many the run was to read there.
    """

    partition: TopicPartition
    offsets: int
    planned: int


class RunState(NamedTuple):
    """How far a bounded run is, over all its partitions and workers.

    Attributes:
        done, total: offsets that are committed, and those between begins and ends, both without
            what was gone. Transaction markers count in both.
        is_complete: whether each partition is committed to its end.
        gone: what was gone before it was read, of each partition of which something was, as far as
            the group has committed.
    """

    done: int
    total: int
    is_complete: bool
    gone: tuple[Gone, ...] = ()


def told_gone(run: str, gone: tuple[Gone, ...]) -> str:
    """What is said of a run that is at its end where something was gone.

    Args:
        run: its group.
    """
    what = ", ".join(f"{one.offsets:,} of {one.planned:,} of {one.partition}" for one in gone)
    return (
        f"the run {run} is at its end, but not all that it was to read was still there: retention "
        f"or DeleteRecords had removed {what} (offsets, transaction markers among them) before "
        "they were read; all else has its outcome. Write what is missing again, if it is needed, "
        "and give the input a longer retention.ms before the next run"
    )


class RunProgress(NamedTuple):
    """A run's state with its pace.

    Attributes:
        state: how far it is.
        rate: offsets a second, of late.
        left_s: seconds to the end at that rate; None where nothing moves.
    """

    state: RunState
    rate: float
    left_s: float | None
