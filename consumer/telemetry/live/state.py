"""Decides what to call the state of a worker: one plain sentence, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from consumer.telemetry.health import Health
from consumer.telemetry.live.point import Point
from consumer.telemetry.live.units import apart, longest_unit_s
from consumer.telemetry.live.words import duration, rate, several

#: Seconds without an outcome, with messages waiting, after which the worker stands.
STANDS_S = 10.0
#: The same where no batch has ended yet: how long one takes is not known.
FIRST_STANDS_S = 60.0
#: Seconds after which one partition stands, whatever the others do; as the alert has it.
PARTITION_STANDS_S = 60.0
#: Seconds of work that may wait before the worker is behind.
BEHIND_S = 10.0
#: Seconds over which is seen whether the lag grows.
TREND_S = 60.0
#: Share of its time that a stage works when it is what all others wait for.
_BOUND = 0.8


class StateKind(StrEnum):
    """What the page shows a colour and a shape for."""

    FLOWING = "flowing"
    ARRIVING = "arriving"  # messages wait, and it is too early for one to have come out
    IDLE = "idle"  # nothing comes in, and nothing waits
    BEHIND = "behind"
    STANDING = "standing"  # messages wait, and none comes out
    WAITING = "waiting"  # it cannot work yet, or not any more
    STUCK = "stuck"  # it asks to be restarted


@dataclass(frozen=True, slots=True)
class State:
    """The state at one moment.

    Attributes:
        sentence: it, in words, with a full stop.
        reasons: why, and what else one should know; a sentence each.
    """

    kind: StateKind
    sentence: str
    reasons: tuple[str, ...] = ()


def state_of(
    health: Health, now: Point, points: Sequence[Point], commit_interval_s: float = 0.0
) -> State:
    """What to call the state.

    Args:
        now: the latest seconds.
        points: those before, the oldest first.
        commit_interval_s: how long a transaction stays open to take further batches.
    """
    troubles = tuple(map(_as_sentence, health.reasons))
    if not health.alive:
        return State(StateKind.STUCK, "The worker is stuck and asks to be restarted.", troubles)
    if not health.ready:
        first = health.reasons[0] if health.reasons else "it is not known for what"
        return State(StateKind.WAITING, f"Waiting: {_as_sentence(first, False)}", troubles[1:])
    seconds = apart(now, points)
    patience_s = _patience_s(seconds, commit_interval_s)
    quiet_s = _quiet_s(seconds)
    # A worker that had nothing to do stands no longer than its messages wait.
    waits_s = now.age_s if quiet_s is None else min(quiet_s, now.age_s)
    told = _told(seconds)
    if now.lag and waits_s >= patience_s:
        return State(
            StateKind.STANDING,
            f"Standing for {duration(waits_s)}: "
            f"{several(now.lag, 'message waits', 'messages wait')}, and none comes out.",
            (*_why_standing(now), *told),
        )
    pace = _pace(seconds, patience_s)
    if pace and now.lag / pace > BEHIND_S:
        return State(
            StateKind.BEHIND,
            f"Behind by {several(now.lag, 'message')}, {duration(now.lag / pace)} of work; "
            f"{_trend(seconds, patience_s)}.",
            (*_bound(now), *_partitions(now, patience_s), *told),
        )
    if now.lag and not pace:
        return State(
            StateKind.ARRIVING,
            f"News is arriving: {several(now.lag, 'message waits', 'messages wait')}, and after "
            f"{duration(waits_s)} none has come out yet.",
            (*_partitions(now, patience_s), *told),
        )
    standing = _partitions(now, patience_s)
    if standing:
        return State(
            StateKind.STANDING,
            f"News is flowing, but not everywhere: {standing[0][0].lower()}{standing[0][1:]}",
            (*standing[1:], *told),
        )
    if not now.outcomes and not now.lag:
        since = "yet" if quiet_s is None else f"for {duration(quiet_s)}"
        said = "Nothing has come in" if quiet_s is None else "All caught up: nothing has come in"
        return State(StateKind.IDLE, f"{said} {since}.", told)
    latency = ""
    if now.p50_s is not None:
        latency = f", half of them within {duration(now.p50_s)}"
    return State(
        StateKind.FLOWING,
        f"News is flowing: {_messages(pace)} a second{latency}.",
        told,
    )


def _messages(number: float) -> str:
    told = rate(number)
    return f"{told} message" if told == "1" else f"{told} messages"


def _patience_s(seconds: Sequence[Point], commit_interval_s: float) -> float:
    """A large model on a small device takes longer for a batch, and does not stand.

    Args:
        seconds: as `apart` gives them; so everywhere below.
    """
    batch_s = longest_unit_s("tag", seconds)
    if batch_s is None:
        return (FIRST_STANDS_S if seconds[0].in_flight else STANDS_S) + commit_interval_s
    return max(STANDS_S, 3 * batch_s + commit_interval_s)


def _quiet_s(seconds: Sequence[Point]) -> float | None:
    """Seconds since an outcome was last seen; None where none is known."""
    now = seconds[0].at
    return next((now - point.at for point in seconds if point.outcomes), None)


def _pace(seconds: Sequence[Point], least_s: float) -> float:
    """Outcomes a second, from one outcome to another with so many seconds between them at least.

    The latest seconds without any belong to what is worked on, unless they are many; and those from
    when the worker had nothing to do say nothing of its pace.
    """
    outcomes = over_s = silent_s = 0.0
    for number, point in enumerate(seconds):
        if number and not point.lag:
            break
        if over_s >= least_s and (point.outcomes or over_s >= 1.5 * least_s):
            break
        if not outcomes and not point.outcomes and silent_s + point.seconds <= least_s / 2:
            silent_s += point.seconds
            continue
        outcomes += point.outcomes * point.seconds
        over_s += point.seconds
    return outcomes / over_s if over_s else 0.0


def _trend(seconds: Sequence[Point], least_s: float) -> str:
    now = earlier = seconds[0]
    for point in seconds:
        # Of other partitions, or of some that were not looked at yet, the lag is another one.
        known = (point.partitions, len(point.lags)) == (now.partitions, len(now.lags))
        if not known or point.at < now.at - max(TREND_S, 2 * least_s):
            break
        earlier = point
    over_s = now.at - earlier.at
    if over_s < least_s:
        return "whether it catches up is not known yet"
    shrinks = (earlier.lag - now.lag) / over_s
    if shrinks > 0:
        return f"caught up in about {duration(now.lag / shrinks)} at this pace"
    if shrinks < 0:
        return f"falling further behind, by {rate(-shrinks)} a second"
    return "neither catching up nor falling further behind"


def _bound(now: Point) -> tuple[str, ...]:
    """The stage that the others wait for."""
    if not now.busy:
        return ()
    stage = max(now.busy, key=lambda one: now.busy[one])
    share = now.busy[stage]
    if share < _BOUND:
        return ()
    remedy = (
        "more workers or a faster device would help"
        if stage == "tag"
        else (
            "Kafka is what it waits for"
            if stage in ("publish", "commit")
            else "it is the bottleneck"
        )
    )
    return (f"The stage {stage} works {share:.0%} of the time: {remedy}.",)


def _why_standing(now: Point) -> tuple[str, ...]:
    reasons = []
    if now.blocked:
        reasons.append(
            f"A transaction upstream is open on {several(now.blocked, 'partition')}: what was "
            "written after its first message cannot be read."
        )
    if now.paused:
        reasons.append(
            f"Reading is paused: {several(now.in_flight, 'message is', 'messages are')} in flight, "
            "as many as may be."
        )
    if now.in_flight and not now.paused:
        reasons.append(
            f"{several(now.in_flight, 'message is', 'messages are')} between poll and commit."
        )
    return tuple(reasons)


def _partitions(now: Point, patience_s: float) -> tuple[str, ...]:
    """Those that stand although others move."""
    standing = [
        one
        for one, lag in now.lags.items()
        if lag > 0 and now.ages.get(one, 0.0) >= max(PARTITION_STANDS_S, patience_s)
    ]
    if not standing:
        return ()
    standing.sort(key=lambda one: -now.ages[one])
    first = standing[0]
    told = (
        f"Partition {first.topic}/{first.partition} has stood for {duration(now.ages[first])} with "
        f"{several(now.lags[first], 'message')} waiting."
    )
    if len(standing) == 1:
        return (told,)
    return (
        told,
        f"{several(len(standing) - 1, 'other partition stands', 'other partitions stand')} too.",
    )


def _told(seconds: Sequence[Point]) -> tuple[str, ...]:
    """What happened in the last quarter of an hour that is not as it should be."""
    told = []
    if aborted := sum(point.aborted for point in seconds):
        told.append(
            f"{several(aborted, 'transaction was', 'transactions were')} aborted and begun again "
            "in the last 15 minutes."
        )
    if missed := sum(point.missed for point in seconds):
        told.append(
            f"{several(missed, 'message was', 'messages were')} removed from an input topic before "
            f"{'it was' if missed == 1 else 'they were'} read."
        )
    # Of what came to its end: what was released is read again, and would count twice.
    outcomes = sum(point.outcomes * point.seconds for point in seconds)
    rejected = sum(sum(point.rejected.values()) for point in seconds)
    if outcomes and rejected / outcomes > 0.01:
        share = rejected / outcomes
        told.append(f"{share:.0%} of the messages of the last 15 minutes were rejected.")
    return tuple(told)


def _as_sentence(reason: str, capital: bool = True) -> str:
    told = reason.strip() or "no reason is known"
    if capital:
        told = told[0].upper() + told[1:]
    return told if told.endswith((".", "!", "?")) else f"{told}."
