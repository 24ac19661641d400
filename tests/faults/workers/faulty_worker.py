"""The light worker with a fault in it: `python -m tests.faults.workers.faulty_worker FLAGS`.

`FAULT=point:pass:action` has it do `action` when it comes by `point` for the so-many-th time:
`kill` (SIGKILL itself), `stop` (SIGSTOP itself), `sleep=SECONDS`. `SABOTAGE=name` breaks the
worker on purpose, to see that the checker notices. The product knows nothing of either: both are
put around its classes here.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from consumer.codec.article_codec import Codec
from consumer.kafka.sink import output as output_module
from consumer.kafka.sink.acknowledged_sink import AcknowledgedSink
from consumer.kafka.sink.output import Output
from consumer.kafka.sink.transactional_sink import TransactionalSink
from consumer.kafka.source.source import KafkaSource
from consumer.pipeline.poll import PollStage
from consumer.worker import Worker
from tests.faults.checker import accounts
from tests.faults.workers import light_worker, sabotage
from tests.faults.workers.fault_points import Fault, around
from tests.faults.workers.light_tagger import LightTagger

#: Every step boundary of a worker, in the order in which a message comes by them. At `x.before`
#: the step has not begun, at `x.after` it has ended.
POINTS = (
    "assigned.before",
    "assigned.after",
    "poll.after",
    "decode.before",
    "tag.before",
    "tag.after",
    "begin.before",
    "begin.after",
    "send.before",
    "send.after",
    "flush.before",
    "flush.after",
    "offsets.before",
    "offsets.after",
    "end.before",
    "end.after",
    "commit.after",
    "revoked.before",
    "revoked.after",
    "drain.before",
    "leave.before",
)

#: Steps of a transaction, which at_least_once does not have.
TRANSACTIONAL = frozenset({"offsets.before", "offsets.after"})


def put_in(reach: Callable[[str], None]) -> None:
    """Tell of every point."""

    class ToldProducer(Producer):  # type: ignore[misc]
        """The client's methods cannot be replaced, only inherited."""

        def send_offsets_to_transaction(self, *arguments: Any) -> None:
            reach("offsets.before")
            super().send_offsets_to_transaction(*arguments)
            reach("offsets.after")

        def commit_transaction(self, *arguments: Any) -> None:
            reach("end.before")
            super().commit_transaction(*arguments)
            reach("end.after")

    vars(output_module)["Producer"] = ToldProducer
    around(PollStage, "on_assigned", "assigned", reach)
    around(PollStage, "on_revoked", "revoked", reach)
    around(KafkaSource, "poll", "poll", reach)
    # What ends a transaction without there being one.
    around(KafkaSource, "commit", "end", reach)
    around(KafkaSource, "close", "leave", reach)
    around(Codec, "decode", "decode", reach)
    around(LightTagger, "tag", "tag", reach)
    for sink in (TransactionalSink, AcknowledgedSink):
        around(sink, "begin", "begin", reach)
        around(sink, "send", "send", reach)
        around(sink, "commit", "commit", reach)
    around(Output, "flush", "flush", reach)
    around(Worker, "stop", "drain", reach)


def main() -> int:
    """The exit code of the command."""
    faulthandler.register(accounts.STACKS_SIGNAL)
    fault = os.environ.get("FAULT")
    if fault:
        put_in(Fault(fault, POINTS))
    broken = os.environ.get("SABOTAGE")
    if broken:
        sabotage.SABOTAGES[broken]()
    return light_worker.main()


if __name__ == "__main__":
    sys.exit(main())
