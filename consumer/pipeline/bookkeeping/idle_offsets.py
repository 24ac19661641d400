"""IdleOffsets: decides which committed offsets move past what no message shows."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from consumer.contracts.messages import TopicPartition
from consumer.pipeline.bookkeeping.ownership import Finished

#: Seconds between two such moves, of all partitions together: light on the brokers, however often
#: transactions end upstream.
INTERVAL_S = 5.0

#: Seconds after which the committed offset of a partition that has become idle is committed once
#: more. Longer than a request may hang in a broker that answers again.
CONFIRM_S = 30.0


class IdleOffsets:
    """Markers of transactions, and messages of aborted ones, take offsets and are never delivered.

    The committed offset stays before them until the next message. Whoever subtracts it from the
    end sees a lag where nothing waits. No thread, no clock.

    A commit without a transaction may also be taken back: by an earlier one that hung in the
    network, and arrives after it. Nothing fences it, as it is of the same member and generation.
    Where no message follows, the offset would stay there.

    Args:
        confirms: commit the last offset of an idle partition once more.
    """

    def __init__(self, *, confirms: bool = False) -> None:
        self._confirms = confirms
        self._noted: dict[TopicPartition, Finished] = {}
        #: Where idle partitions are committed to the end, and when they are confirmed.
        self._settled: dict[TopicPartition, tuple[Finished, float]] = {}
        self._moved_at: float | None = None

    def due(
        self,
        finished: Mapping[TopicPartition, Finished],
        ends: Mapping[TopicPartition, int],
        committed: Mapping[TopicPartition, int],
        now: float,
    ) -> dict[TopicPartition, Finished]:
        """The offsets to commit now, mostly none. To be called about once a second.

        Args:
            finished: where reading stands in each partition of which nothing is in flight.
            ends: the last stable offsets, as the brokers told another client at times. An offset
                is committed only once they confirm it. Until then it is kept, since reading may
                move on meanwhile.
            committed: what the group has, as far as it is known.
            now: clock reading, in seconds.
        """
        sure = self._to_confirm(finished, committed, now) if self._confirms else {}
        noted: dict[TopicPartition, Finished] = {}
        for one, newest in finished.items():
            done, end = committed.get(one, -1), ends.get(one, -1)
            if newest.offset <= done:
                continue
            before = self._noted.get(one, newest)
            if before.assignment != newest.assignment or before.offset <= done:
                before = newest
            noted[one] = newest
            if newest.offset <= end:
                sure[one] = newest
            elif before.offset <= end:
                sure[one] = before
            else:
                noted[one] = before
        self._noted = noted
        if not sure or (self._moved_at is not None and now - self._moved_at < INTERVAL_S):
            return {}
        self._moved_at = now
        for one in sure.keys() & self._settled.keys():
            self._settled[one] = (sure[one], inf)
        return sure

    def _to_confirm(
        self,
        finished: Mapping[TopicPartition, Finished],
        committed: Mapping[TopicPartition, int],
        now: float,
    ) -> dict[TopicPartition, Finished]:
        """What has stood for long enough and was not confirmed yet."""
        self._settled = {
            one: known
            if (known := self._settled.get(one)) is not None and known[0] == newest
            else (newest, now + CONFIRM_S)
            for one, newest in finished.items()
            if committed.get(one) == newest.offset
        }
        return {one: newest for one, (newest, at) in self._settled.items() if now >= at}
