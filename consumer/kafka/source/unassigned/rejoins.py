"""Rejoins: decides when a worker has its group share out the partitions once more."""

from __future__ import annotations

from consumer.contracts.messages import TopicPartition
from consumer.kafka.source.unassigned.group_view import GroupView

#: Seconds between two looks where something may be wrong, and at most where none tells anything.
LOOK_S, LONGEST_LOOK_S = 5.0, 60.0

#: Seconds that a partition may belong to nobody beyond the time that a worker may take to give it
#: up: it goes from one to the other in two rounds.
GRACE_S = 5.0

#: Seconds that each member leaves to the one before it.
TURN_S = 10.0

#: Seconds from one rejoin to the next; they double up to the longest.
PAUSE_S, LONGEST_PAUSE_S = 60.0, 900.0


class Rejoins:
    """A plain decider: no thread, no clock. Times are seconds, monotonic.

    Members take their turns by their ids, so that one of them acts, and the next one if it does
    not. A worker that has rejoined waits ever longer before it does so again.

    Args:
        revoke_timeout_s: how long a worker may take to give a partition up.

    Attributes:
        left: partitions that have belonged to nobody for too long.
    """

    def __init__(self, revoke_timeout_s: float) -> None:
        self._patience_s = revoke_timeout_s + GRACE_S
        self._doubted_at: float | None = None
        self._look_at = 0.0
        self._every_s = LOOK_S
        self._since: dict[TopicPartition, float] = {}
        self._allowed_at = 0.0
        self._pause_s = PAUSE_S
        self.left: frozenset[TopicPartition] = frozenset()

    def doubt(self, now: float) -> None:
        """The group has shared out its partitions, or a topic has come or gone."""
        self._doubted_at, self._every_s, self._look_at = now, LOOK_S, now + LOOK_S

    def wants_look(self, now: float) -> bool:
        """Whether to look at the group; never once all is well, until `doubt`."""
        return self._doubted_at is not None and now >= self._look_at

    def saw(self, view: GroupView | None, member_id: str, asked_at: float, now: float) -> bool:
        """What a look has shown; None where nothing can be told.

        Args:
            member_id: of this worker.
            asked_at: when the look began.

        Returns:
            Whether this worker should leave the group and join it again.
        """
        self._look_at = now + self._every_s
        if view is None:
            self._since, self.left = {}, frozenset()
            self._every_s = min(2 * self._every_s, LONGEST_LOOK_S)
            return False
        self._every_s = LOOK_S
        self._since = {one: self._since.get(one, now) for one in view.unassigned}
        self.left = frozenset(
            one for one, since in self._since.items() if now - since >= self._patience_s
        )
        if not view.unassigned:
            if self._doubted_at is not None and asked_at >= self._doubted_at + LOOK_S:
                self._doubted_at = None
            if now >= self._allowed_at + LONGEST_PAUSE_S:
                self._pause_s = PAUSE_S
            return False
        if not self.left or member_id not in view.members or now < self._allowed_at:
            return False
        turn = self._patience_s + view.members.index(member_id) * TURN_S
        return now - min(self._since[one] for one in self.left) >= turn

    def rejoined(self, now: float) -> None:
        """This worker leaves and joins again."""
        self._allowed_at = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._since, self.left = {}, frozenset()
        self.doubt(now)
