"""What a replay has done, for a person."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from consumer.dead_letters.refusals import Refusals
from consumer.dead_letters.survey import Tally


@dataclass(slots=True)
class Report:
    """What a replay has done.

    Attributes:
        sent: by topic, for good.
        tally: of all that was meant, when sending began; what is in `tally.to_send` or
            `tally.barred` and neither sent, refused nor gone is left.
        refusals: those that cannot be sent.
        gone: those that retention took before they were sent.
        is_stopped: whether a signal ended it; has_begun: whether that was after it knew what is to
            be sent.
    """

    sent: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)
    refusals: Refusals = field(default_factory=Refusals)
    gone: int = 0
    is_stopped: bool = False
    has_begun: bool = False

    @property
    def left(self) -> int | None:
        """Letters that were meant and are still to be sent; None where that is not known yet."""
        if not self.has_begun:
            return None
        done = self.sent.total() + self.refusals.letters + self.gone
        return sum(self.tally.to_send.values()) + self.tally.barred.letters - done
