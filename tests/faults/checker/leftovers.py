"""What a worker that has ended must not leave behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from confluent_kafka import KafkaException

from tests.faults.matrix.ground import Ground
from tests.integration.rigs import helpers


def leftovers(ground: Ground, temporary: Path) -> list[str]:
    """What is left that should not be: transactions, uncommitted input, files, locks.

    Args:
        temporary: the folder for temporary files that the worker had to itself.
    """
    return [*_open_transactions(ground), *_uncommitted(ground), *files_left(temporary)]


def _open_transactions(ground: Ground) -> list[str]:
    """The last stable offset stands before the end where a transaction is open."""
    found = []
    for topic in (ground.output, ground.dead_letters):
        stable = helpers.end_offsets(ground.bootstrap, topic, "read_committed")
        ends = helpers.end_offsets(ground.bootstrap, topic, "read_uncommitted")
        if stable != ends:
            found.append(f"a transaction is open: {topic} is stable up to {stable}, not {ends}")
    return found


def all_committed(ground: Ground) -> bool:
    """Whether the group has committed every input message; no, where no broker answers now."""
    try:
        return not _uncommitted(ground)
    except (KafkaException, TimeoutError):
        return False


def _uncommitted(ground: Ground) -> list[str]:
    committed = helpers.committed_offsets(ground.bootstrap, ground.group, ground.input)
    ends = helpers.end_offsets(ground.bootstrap, ground.input)
    ends = {partition: end for partition, end in ends.items() if end}
    return [] if committed == ends else [f"committed is behind: {committed}, the end is {ends}"]


def files_left(temporary: Path) -> list[str]:
    """The file that holds the worker's number stays for the next one, unlocked and empty, in a
    folder of this user's own."""
    own = temporary / f"nerstream-{os.getuid()}"
    found = []
    for path in sorted(temporary.rglob("*")):
        if path == own:
            continue
        if path.parent != own or path.suffix != ".lock" or path.stat().st_size:
            found.append(f"a temporary file is left: {path.relative_to(temporary)}")
            continue
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(f"a lock is held: {path.name}")
    return found
