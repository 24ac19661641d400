"""Crew: decides which worker is started, stopped or given up. No process, no thread, no clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from consumer.contracts.choices import WorkerState

#: Seconds until a worker that ended is started again; it doubles with each end within the window.
BACKOFF_S, MAX_BACKOFF_S = 1.0, 30.0

#: A worker that ended more often than this within so many seconds is given up, and all with it.
MOST_ENDS, WINDOW_S = 5, 600.0

#: Seconds for which a worker may say that it makes no progress, before it is ended. It ends itself
#: where its model hangs.
UNWELL_S = 30.0

#: Seconds beyond its own bound after which a worker that was told to end is killed.
GRACE_S = 20.0

#: The exit code of a worker whose run is at its end with something gone; the supervisor's is 1.
GONE = 4

#: The exit code of a wrong setting, which no other start puts right.
_WRONG_SETTINGS = 2


class Act(StrEnum):
    """What is to be done with a worker."""

    START = "start"
    STOP = "stop"
    FORCE = "force"
    KILL = "kill"


@dataclass(slots=True)
class Member:
    """One worker.

    Attributes:
        state: `awaited` before its first start, and while a new one is put off.
        due_at: when it is to be started, in seconds; None for not yet.
        ends: when it ended, within the window.
        code: its last exit code.
        restarts: how often it was started again.
    """

    state: WorkerState = WorkerState.AWAITED
    due_at: float | None = None
    ends: list[float] = field(default_factory=list)
    code: int | None = None
    restarts: int = 0
    heard_at: float = 0.0
    unwell_since: float | None = None
    is_killed: bool = False
    has_worked: bool = False

    @property
    def runs(self) -> bool:
        """Whether it has a process."""
        return self.state in (WorkerState.STARTING, WorkerState.WORKING)


class Crew:
    """All workers of one supervisor, by their numbers from 1.

    The first shows that a worker can start; only then the others begin. So what is wrong with the
    model, the topics or the access is told once.

    Args:
        count: of workers.
        is_bounded: whether a worker that ends with 0 is done.
        silent_s: seconds without a word after which a worker counts as hanging.
        drain_s: seconds that a worker takes at most to end by itself.
    """

    def __init__(self, count: int, *, is_bounded: bool, silent_s: float, drain_s: float) -> None:
        self.members = {number: Member() for number in range(1, count + 1)}
        self.members[1].due_at = 0.0
        self._is_bounded = is_bounded
        self._silent_s = silent_s
        self._drain_s = drain_s
        self._told_at: float | None = None
        self._acts: list[tuple[Act, int]] = []
        #: Whether no worker is started any more.
        self.stops = False
        #: Why the supervisor ends with a failure, for a person; None where it does not.
        self.failure: str | None = None
        #: The exit code that goes with it.
        self.failure_code = 1

    def limit(self, count: int) -> None:
        """Only so many, at least one; for what has not begun yet."""
        for number in [one for one in self.members if one > max(1, count)]:
            if self.members[number].state is WorkerState.AWAITED:
                del self.members[number]

    def begun(self, number: int, now: float) -> None:
        """It has a process. On a busy machine it may have said before that it works."""
        member = self.members[number]
        if member.state is not WorkerState.WORKING:
            member.state = WorkerState.STARTING
        member.heard_at, member.unwell_since, member.is_killed = now, None, False
        if self.stops:
            self._acts.append((Act.STOP, number))

    def works(self, number: int, now: float) -> None:
        """It has a model and a producer, and joins the group."""
        member = self.members[number]
        member.state, member.has_worked = WorkerState.WORKING, True
        if not self.stops:
            for other in self.members.values():
                if other.state is WorkerState.AWAITED and other.due_at is None:
                    other.due_at = now

    def heard(self, number: int, alive: bool, now: float) -> None:
        """It has told of itself."""
        member = self.members[number]
        member.heard_at = now
        if alive:
            member.unwell_since = None
        elif member.unwell_since is None:
            member.unwell_since = now

    def ended(self, number: int, code: int, said: str, now: float) -> None:
        """Its process has ended.

        Args:
            code: exit code, or a signal below 0.
            said: its error; empty where it told none.
        """
        member = self.members[number]
        member.state, member.code, member.due_at = WorkerState.ENDED, code, None
        if self.stops:
            if code == -15 and not member.has_worked:
                member.code = 0  # it was ended before it could hear that it is to end
            return
        if self._is_bounded and code in (0, GONE):
            return
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        because = f": {said}" if said else ""
        if code == _WRONG_SETTINGS or not any(one.has_worked for one in self.members.values()):
            self._fail(f"worker {number} cannot start ({how}){because}", code if code > 0 else 1)
            return
        member.ends = [at for at in member.ends if now - at < WINDOW_S] + [now]
        if len(member.ends) > MOST_ENDS:
            self._fail(
                f"worker {number} ended {len(member.ends)} times within "
                f"{now - member.ends[0]:.0f} s, the last time with {how}{because}; the others were "
                "drained",
                1,
            )
            return
        member.state = WorkerState.AWAITED
        member.due_at = now + min(MAX_BACKOFF_S, BACKOFF_S * 2.0 ** (len(member.ends) - 1))
        member.restarts += 1

    def stop(self) -> None:
        """No more starts; all are told to drain."""
        if self.stops:
            return
        self.stops = True
        for number, member in self.members.items():
            if member.runs:
                self._acts.append((Act.STOP, number))
            else:
                member.state, member.due_at = WorkerState.ENDED, None

    def force(self) -> None:
        """All are told to end at once."""
        self.stop()
        self._acts += [(Act.FORCE, one) for one, member in self.members.items() if member.runs]
        self._drain_s = 0.0

    def due(self, now: float) -> list[tuple[Act, int]]:
        """What is to be done now, each once."""
        acts, self._acts = self._acts, []
        if self.stops and self._told_at is None:
            self._told_at = now
        late = self._told_at is not None and now - self._told_at > self._drain_s + GRACE_S
        for number, member in self.members.items():
            if member.state is WorkerState.AWAITED and member.due_at is not None and not self.stops:
                if now >= member.due_at:
                    member.due_at, member.state = None, WorkerState.STARTING
                    member.heard_at = now
                    acts.append((Act.START, number))
            elif member.runs and not member.is_killed and (late or self._hangs(member, now)):
                member.is_killed = True
                acts.append((Act.KILL, number))
        return acts

    @property
    def is_over(self) -> bool:
        """Whether nothing runs and nothing is to be started."""
        return not any(one.runs or one.due_at is not None for one in self.members.values())

    def codes(self) -> dict[int, int]:
        """The exit code of each that ended, by number."""
        return {one: member.code for one, member in self.members.items() if member.code is not None}

    def _hangs(self, member: Member, now: float) -> bool:
        if now - member.heard_at > self._silent_s:
            return True
        return member.unwell_since is not None and now - member.unwell_since > UNWELL_S

    def _fail(self, why: str, code: int) -> None:
        self.failure, self.failure_code = why, code
        self.stop()
