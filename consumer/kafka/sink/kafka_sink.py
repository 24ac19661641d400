"""KafkaSink: what both delivery modes do alike."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import AbortableError, GroupMoved, KafkaProblem
from consumer.contracts.headers import with_source
from consumer.contracts.messages import Outgoing, Position, TopicPartition
from consumer.kafka.sink.output import Output
from consumer.kafka.source.source import KafkaSource
from consumer.kafka.source.topics.vouching import Vouching
from consumer.settings.schema import Settings

_log = logging.getLogger(__name__)


class KafkaSink(ABC):
    """`consumer.contracts.ports.Sink` on Kafka; its docstrings are the contract.

    This class keeps the order of the steps. A delivery mode says how a producer is made ready,
    how offsets become final, and how an abort throws away what was sent.

    Args:
        settings: the brokers, the topics, `transaction_timeout_ms`.
        source: reads the inputs; it knows the group membership and the topics.
    """

    def __init__(self, settings: Settings, source: KafkaSource) -> None:
        self._settings = settings
        self._source = source
        self._timeout_s = settings.transaction_timeout_ms / 1000
        self._output: Output | None = None
        self._open = False
        #: The topics to which something was sent since `begin`.
        self._written: set[str] = set()
        #: Whether a new producer must take over before the next `begin`.
        self._renew = False
        #: The ids of the output topics at the last `begin`. In one that is made again a message may
        #: be acknowledged without being there: the brokers take it for a repetition.
        self._output_ids: Mapping[str, str] = {}

    def open(self) -> None:
        self._output = self._make_output()
        self._output.start()
        self._output.check_topics()

    def obstacle(self) -> str:
        return ""  # `open` raises within seconds whatever is in its way

    def begin(self) -> None:
        if self._ready.begin() or self._renew:
            # Stays set until the new producer is ready: a failed try must not count as done.
            self._renew = True
            self._ready.start()
            self._make_ready_again()
            self._renew = False
        self._output_ids = self._source.output_ids()
        self._begin()
        self._open, self._written = True, set()

    def send(self, message: Outgoing) -> None:
        self._written.add(message.topic)
        headers = with_source(message.headers, message.position)
        # Past the property, since there is one of these a message.
        (self._output or self._ready).send(message, self._timeout_s, headers)

    def commit(
        self, offsets: Mapping[TopicPartition, int], still_owned: Callable[[], bool]
    ) -> None:
        self._ready.flush(self._timeout_s, self._why_doomed)
        # In this order: a partition that is revoked after the question has changed the generation
        # that the membership names, and the coordinator refuses the offsets.
        membership = self._membership()
        vouching = self._source.vouch(offsets, self._written_ids())
        if not still_owned():
            raise GroupMoved("a partition was revoked before its offsets were committed")
        self._commit(offsets, vouching, membership)
        self._open = False
        self._ready.settle(offsets, self._source.assignments())

    def _written_ids(self) -> Mapping[str, str]:
        """The ids, at the last `begin`, of the topics to which something was sent since."""
        return {one: known for one, known in self._output_ids.items() if one in self._written}

    def _why_doomed(self) -> str:
        """Why nothing of what was sent may be committed; the question at the commit would say so
        too. A client whose topic was made again may wait for it for as long as it is let."""
        now = self._source.output_ids()
        others = [one for one, known in self._written_ids().items() if now.get(one, known) != known]
        return f"the topic {', '.join(others)} was deleted and made again" if others else ""

    def abort(self) -> None:
        if not self._open:
            return
        self._open = False
        # What an abort throws away leaves gaps in the sequence numbers of its producer. librdkafka
        # has been seen to stumble over them, and to lose messages that it acknowledged after them.
        self._renew = True
        self._abort()

    def refused(self, topic: str, position: Position) -> RejectCode | None:
        return None if self._output is None else self._output.refusals.refused(topic, position)

    def partition_count(self, topic: str) -> int:
        return self._ready.partition_count(topic)

    def close(self) -> None:
        if self._output is None:
            return
        try:
            self.abort()
        except (AbortableError, KafkaProblem) as failed:
            _log.warning("what is open is left to the brokers: %s", failed)
        self._output.stop()
        self._output = None

    @property
    def _ready(self) -> Output:
        """The producer's side.

        Raises:
            KafkaProblem: the sink is not open.
        """
        if self._output is None:
            raise KafkaProblem("the sink is not open")
        return self._output

    @abstractmethod
    def _make_output(self) -> Output:
        """The output with the properties of this delivery mode; not started yet."""

    @abstractmethod
    def _make_ready_again(self) -> None:
        """Make a new producer ready that follows an earlier one.

        Raises:
            AbortableError: no answer; the next `begin` tries again.
            KafkaProblem: stop.
        """

    @abstractmethod
    def _begin(self) -> None:
        """Begin with a producer that is ready. Raises as `begin`."""

    @abstractmethod
    def _membership(self) -> Any:
        """What the commit names to prove the group membership; taken before `still_owned`."""

    @abstractmethod
    def _commit(
        self, offsets: Mapping[TopicPartition, int], vouching: Vouching, membership: Any
    ) -> None:
        """Make offsets final; every message is acknowledged. Raises as `commit`.

        Args:
            vouching: the offsets as the client takes them, and whether their topics still stand.
        """

    @abstractmethod
    def _abort(self) -> None:
        """Throw away what was sent since `begin`. Raises as `abort`."""
