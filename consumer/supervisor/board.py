"""Board: what a supervisor knows of its workers, for the admin port. Any thread may ask."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

from consumer.contracts.choices import WorkerState
from consumer.contracts.runs import RunProgress
from consumer.supervisor.crew import Crew
from consumer.supervisor.page import Row
from consumer.supervisor.wire import Report
from consumer.telemetry.gathered import Family
from consumer.telemetry.health import Health

#: Seconds after which the numbers of a worker that tells nothing are shown no longer.
_STALE_S = 10.0


@dataclass(slots=True)
class Link:
    """A worker's process, and what it told last.

    Attributes:
        pid: None until it is known.
        reported_at: clock reading in seconds.
        said: the error that it ends with; empty where it told none.
    """

    pipe: Connection
    pid: int | None = None
    report: Report | None = None
    reported_at: float = 0.0
    said: str = ""


class Board:
    """Filled by the supervisor's thread, read by those of the admin port.

    Args:
        clock: monotonic seconds.

    Attributes:
        links: the workers that have a process, by number.
        crew: None until it is known how many there are.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.links: dict[int, Link] = {}
        self.crew: Crew | None = None

    def families(self) -> Mapping[int, tuple[Family, ...]]:
        """The metrics of each worker that tells of itself."""
        now = self._clock()
        return {
            number: link.report.families
            for number, link in list(self.links.items())
            if link.report is not None and now - link.reported_at < _STALE_S
        }

    def rows(self) -> Mapping[int, Row]:
        """Each worker, as a person wants to see it."""
        crew = self.crew
        if crew is None:
            return {}
        rows = {}
        families = self.families()
        for number, member in dict(crew.members).items():
            link = self.links.get(number)
            report = link.report if link is not None else None
            reasons: tuple[str, ...] = ()
            if member.state is not WorkerState.WORKING:
                reasons = (f"it is {member.state}",)
            elif report is not None:
                reasons = report.health.reasons
            rows[number] = Row(
                link.pid if link is not None else None,
                member.state.value,
                member.restarts,
                reasons,
                families.get(number, ()),
            )
        return rows

    def health(self) -> Health:
        """Of all together. Alive: one makes progress, or is being started. Ready: all have started,
        and one of them is ready."""
        crew = self.crew
        if crew is None:
            return Health(True, False, ("the model is being loaded",))
        reasons: list[str] = []
        alive = ready = started = 0
        members = dict(crew.members)
        for number, row in self.rows().items():
            state, link = members[number].state, self.links.get(number)
            report = link.report if link is not None else None
            well = report is None or report.health.alive
            alive += state is not WorkerState.ENDED and well
            started += state is WorkerState.WORKING
            ready += state is WorkerState.WORKING and not row.reasons
            reasons += [f"worker {number}: {one}" for one in row.reasons]
        if crew.stops:
            reasons.append("the workers are stopping")
        is_ready = started == len(members) and ready > 0 and not crew.stops
        return Health(alive > 0, is_ready, tuple(reasons))

    def progress(self) -> RunProgress | None:
        """How far a bounded run is. All tell the same of it; the furthest is the newest."""
        told = [one.report.run for one in list(self.links.values()) if one.report is not None]
        known = [one for one in told if one is not None]
        return max(known, key=lambda one: one.state.done) if known else None
