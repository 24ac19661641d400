"""`nerstream dead-letters replay` with a fault in it.

`python -m tests.faults.workers.faulty_replay FLAGS`, with `FAULT=point:pass:action` as in
`tests.faults.workers.faulty_worker`. `SABOTAGE=name` breaks the replay on purpose, to see that the
check notices. Transactions are short, so that there are many.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from consumer import cli
from consumer.dead_letters import replay as replay_module
from consumer.dead_letters.marks import Sent
from consumer.dead_letters.replay import Replay
from consumer.kafka.sink import output as output_module
from consumer.kafka.sink.output import Output
from consumer.kafka.tools.bounded_reader import BoundedReader
from consumer.kafka.tools.transactional_writer import TransactionalWriter
from tests.faults.workers.fault_points import Fault, around

#: Letters of a transaction.
LETTERS = 60

#: Every step boundary of a replay, in the order in which a letter comes by them.
POINTS = (
    "fence.before",
    "fence.after",
    "look.before",
    "look.after",
    "begin.before",
    "begin.after",
    "send.before",
    "send.after",
    "mark.before",
    "mark.after",
    "flush.before",
    "flush.after",
    "end.before",
    "end.after",
    "commit.after",
    "close.before",
)


def put_in(reach: Callable[[str], None]) -> None:
    """Tell of every point."""

    class ToldProducer(Producer):  # type: ignore[misc]
        """The client's methods cannot be replaced, only inherited."""

        def init_transactions(self, *arguments: Any) -> None:
            reach("fence.before")
            super().init_transactions(*arguments)
            reach("fence.after")

        def commit_transaction(self, *arguments: Any) -> None:
            reach("end.before")
            super().commit_transaction(*arguments)
            reach("end.after")

    vars(output_module)["Producer"] = ToldProducer
    around(Replay, "_look", "look", reach)
    around(Replay, "_send_mark", "mark", reach)
    around(Output, "flush", "flush", reach)
    around(TransactionalWriter, "begin", "begin", reach)
    around(TransactionalWriter, "send", "send", reach)
    around(TransactionalWriter, "commit", "commit", reach)
    around(TransactionalWriter, "close", "close", reach)


def _forget_marks() -> None:
    """Send without a look at what was sent."""
    Sent.read = lambda *_: None  # type: ignore[method-assign]


def _look_short() -> None:
    """Read to the last stable offset, and not behind what others' transactions hold."""
    whole = BoundedReader.bounds

    def short(self: BoundedReader) -> Any:
        return {part: one._replace(end=one.stable_end) for part, one in whole(self).items()}

    BoundedReader.bounds = short  # type: ignore[method-assign]


def _no_marks() -> None:
    """Send, and keep nothing of it."""
    Replay._send_mark = lambda *_: None  # type: ignore[method-assign]


#: Ways to write a replay wrongly.
SABOTAGES: dict[str, Callable[[], None]] = {
    "forget_marks": _forget_marks,
    "look_short": _look_short,
    "no_marks": _no_marks,
}


def main() -> int:
    """The exit code of the command."""
    vars(replay_module)["_LETTERS"] = LETTERS
    fault = os.environ.get("FAULT")
    if fault:
        put_in(Fault(fault, POINTS))
    broken = os.environ.get("SABOTAGE")
    if broken:
        SABOTAGES[broken]()
    return cli.main(["dead-letters", "replay", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
