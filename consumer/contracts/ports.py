"""What the pipeline needs from Kafka, the codec and the tagger, and no more.

`consumer.kafka`, `consumer.codec` and `consumer.tagging` fulfil these; the tests have small ones
of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from consumer.contracts.choices import JumpReason, RejectCode
from consumer.contracts.messages import (
    Article,
    Encoding,
    ModelInfo,
    Outcome,
    Outgoing,
    Position,
    PreparedArticle,
    RawMessage,
    TaggedArticle,
    TaggingResult,
    Tombstone,
    TopicPartition,
    Unchanged,
    Untagged,
)
from consumer.contracts.runs import RunState

#: A timestamp that no `Sink` writes: Kafka's client takes 0 for the present.
TAKEN_FOR_NOW_MS = 0


class MessageFormat(Protocol):
    """How messages are spelled: the half of the codec that knows JSON, Avro or Protobuf."""

    @property
    def keeps_document(self) -> bool:
        """Whether `write` needs `Article.document`."""
        ...

    def open(self) -> None:
        """As `Deserializer.open`."""

    def parse(self, value: bytes) -> Any:
        """What a message holds, as dicts, lists, strings, numbers, booleans and None, and bytes
        where JSON has none.

        Raises:
            RejectedMessage: it cannot be read.
            RegistryUnavailable, RegistryProblem: as `Deserializer.decode`.
        """
        ...

    def close(self) -> None:
        """As `Deserializer.close`."""

    def shared(self, addition: Mapping[str, Any]) -> Any:
        """An addition that many messages have, in the form in which `write` has least to do."""
        ...

    def write(self, article: Article, additions: Mapping[str, Any]) -> bytes:
        """The article's message with these additions in the place that the settings say.

        Args:
            additions: by name, as `parse` gives values, or as `shared` gave them.
        """
        ...


class Deserializer(Protocol):
    """Bytes to an article: the half of the codec that the prepare stage needs."""

    def open(self) -> None:
        """Find out whether what `decode` needs from elsewhere is there. Called first; may block for
        seconds.

        Raises:
            RegistryUnavailable: not now; to be called again.
            RegistryProblem: the worker must end.
        """

    def decode(self, raw: RawMessage) -> Article | Untagged | Unchanged | Tombstone:
        """Check a message; what passes without being tagged is `Untagged`, and what the model has
        tagged before and is to stay as it is, `Unchanged`.

        Raises:
            RejectedMessage: the message is not an article.
            RegistryUnavailable: nothing was found out about it; to be called again. May block for
                seconds.
            RegistryProblem: the worker must end.
        """
        ...

    def close(self) -> None:
        """Release what `open` and `decode` used."""


class Serializer(Protocol):
    """A tagged article to bytes: the half of the codec that the publish stage needs."""

    def encode(self, outcome: TaggedArticle | Untagged, tagged_at_ms: int) -> bytes:
        """The value of the enriched message."""
        ...


class Codec(Deserializer, Serializer, Protocol):
    """Both halves: reads articles from messages and writes their entities to others."""


class Comparison(Protocol):
    """How the values of outputs are held against those of inputs, by the format of both."""

    def kept(self, value: bytes) -> tuple[bytes, bool]:
        """What an output has to keep of these bytes, whether they are an input's or an output's:
        all but what an output adds or replaces; and whether that is there.

        An output has left its input unchanged if both give the same. Takes any bytes, also such as
        are no article, and gives the very object where nothing is to be left out.
        """
        ...

    def close(self) -> None:
        """Close the connections that it has, if any."""


class RebalanceListener(Protocol):
    """What the poll stage wants to hear from the source; called inside `Source.poll` or `close`."""

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """These partitions were added. Must not block."""

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """These partitions are about to be given up; may block to commit what is finished."""

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """These partitions already belong to someone else; nothing of them may be committed."""

    def on_jumped(self, reason: JumpReason, missed: int) -> None:
        """A partition could not be read on where it stood; so many offsets before the new place
        were never read."""

    def on_rejoined(self) -> None:
        """This worker has left the group and joins it again, since nobody had some partition."""


class GroupMetadata(Protocol):
    """The group membership as the broker knows it, opaque; fences transactions (KIP-447)."""


class Source(Protocol):
    """The input topics. Owned by the poll thread; what is marked so may be called from others."""

    def open(self, listener: RebalanceListener) -> None:
        """Subscribe. Does not wait for an assignment.

        Raises:
            KafkaProblem: no broker answers, a topic is missing, access is denied.
        """

    def poll(self, max_messages: int, timeout_s: float) -> list[RawMessage]:
        """Take what has arrived: waits up to `timeout_s` for the first message, never for more.

        Runs rebalance callbacks. Each message carries the assignment number of its partition.

        Raises:
            KafkaProblem: the consumer cannot go on (fenced, authorisation, a place in a topic that
                is gone where `auto_offset_reset` is `error`).
        """
        ...

    def obstacle(self) -> str:
        """Why no partition is assigned, for a person; empty where that is not known. Any thread."""
        ...

    def pause(self) -> None:
        """Fetch nothing more of any assigned partition, now or assigned later, until `resume`."""

    def resume(self) -> None:
        """Undo `pause`."""

    def rewind(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """Read these partitions again from these offsets; gives each its new assignment number.

        Partitions that are no longer assigned are left out of the answer.
        """
        ...

    def assignments(self) -> Mapping[TopicPartition, int]:
        """The assigned partitions with their current assignment numbers."""
        ...

    def serve(self, wait_s: float = 0.0) -> None:
        """Do what other threads wait for, such as `group_metadata`. `poll` does this by itself; who
        waits for another thread, as a `RebalanceListener` may, must call it meanwhile.

        Args:
            wait_s: how long to wait for some of it to come.
        """

    def group_metadata(self) -> GroupMetadata:
        """The current membership. Any thread; blocks until the poll thread comes by.

        Raises:
            AbortableError: the source is closed, or the poll thread does not come by.
        """
        ...

    def end_offsets(self) -> Mapping[TopicPartition, int]:
        """Last stable offset of each assigned partition: as far as this reader gets.

        Never blocks; partitions whose end is not yet known are left out.
        """
        ...

    def high_watermarks(self) -> Mapping[TopicPartition, int]:
        """The end of each, behind all messages; above the last stable offset while a transaction of
        a producer upstream is open. Otherwise as `end_offsets`.
        """
        ...

    def read_offsets(self) -> Mapping[TopicPartition, int]:
        """Where reading stands: the offset after the last message or marker that was passed."""
        ...

    def last_stable(self) -> Mapping[TopicPartition, int]:
        """The last stable offsets just as the brokers told them, wherever reading stands."""
        ...

    def group_offsets(self) -> Mapping[TopicPartition, int]:
        """What the group had committed in each assigned partition when it was assigned; below 0
        where there was nothing, left out where it is not known."""
        ...

    def run_ends(self) -> Mapping[TopicPartition, int]:
        """Of each assigned partition of a bounded run the offset at which it ends; no message at or
        after it is delivered. Empty where reading goes on for ever.
        """
        ...

    def finish(self, partitions: Sequence[TopicPartition]) -> None:
        """All that these deliver before their ends is committed: commit the ends themselves, which
        may stand behind markers. Never blocks; to be called until `run_state` shows it.
        """

    def run_state(self) -> RunState | None:
        """How far the bounded run is, by what the group has committed; None where there is no run,
        or nothing is known yet.
        """
        ...

    def troubles(self) -> Sequence[str]:
        """What keeps topics from being read until a person does something, for that person. Any
        thread."""
        ...

    def close(self) -> None:
        """Leave the group. Blocks for a few seconds at most."""


class Sink(Protocol):
    """The output and dead-letter topics, and the offsets. Owned by the publish thread.

    The order of calls is `open (begin send* (commit | abort))* close`. Every error leaves the
    sink so that `abort` and `close` may follow.
    """

    def open(self) -> None:
        """Make the producer ready; with transactions, fence an earlier worker of this name.

        Raises:
            KafkaProblem: no broker answers, a topic is missing, access is denied.
        """

    def obstacle(self) -> str:
        """What `open` waits for, for a person; empty where that is not known. Any thread."""
        ...

    def begin(self) -> None:
        """Open a transaction (exactly_once), or begin what is committed together (at_least_once).

        A commit may follow at once, of offsets alone.
        """

    def send(self, message: Outgoing) -> None:
        """Queue one message, with a header more that names its input; `contracts.headers` has it.
        Blocks while the client's buffer is full.

        Raises:
            RejectedMessage: the client cannot write it: `too_large`, or `timestamp_refused`.
            AbortableError, KafkaProblem: as `commit`.
        """

    def commit(
        self, offsets: Mapping[TopicPartition, int], still_owned: Callable[[], bool]
    ) -> None:
        """Make the messages and the offsets final: both or neither under exactly_once; the
        offsets after every message is acknowledged under at_least_once.

        Takes the group metadata first and asks `still_owned` second, so that a partition which
        is revoked in between fences the commit.

        Args:
            offsets: for each partition the last resolved offset plus one.
            still_owned: whether every partition of `offsets` is still assigned to this worker.

        Raises:
            AbortableError: call `abort`, rewind the inputs, go on. It is a `GroupMoved` where a
                partition is not owned any more.
            KafkaProblem: stop.
        """

    def abort(self) -> None:
        """Throw away what was sent since `begin`; does nothing when nothing is open.

        Raises:
            KafkaProblem: the producer is fenced or broken; stop.
        """

    def refused(self, topic: str, position: Position) -> RejectCode | None:
        """Why the broker has refused this input's message to this topic, where no other message
        was to blame: too_large, timestamp_refused, record_refused; None if it has not. After
        the abort and the rewind the input comes by again and must go elsewhere; it is forgotten
        once its offset is committed.
        """
        ...

    def partition_count(self, topic: str) -> int:
        """Partitions of an output topic."""
        ...

    def close(self) -> None:
        """Release the producer; what was sent since `begin` is thrown away as by `abort`."""


class Shadow(Protocol):
    """A second model beside the one that serves. It never touches an outcome."""

    def offer(self, outcomes: Sequence[Outcome], more_waits: bool) -> None:
        """The outcomes of a batch, of which it may tag some too. Never blocks or raises.

        Args:
            more_waits: whether another batch waits for the tagger.
        """


class Tagger(Protocol):
    """Finds the entities. `encode` belongs to the prepare thread and its helpers, `begin` and what
    it gives to the tag thread."""

    @property
    def models(self) -> tuple[ModelInfo, ...]:
        """The models that answer, each once; all on one device."""
        ...

    @property
    def overlaps(self) -> bool:
        """Whether articles that were begun are computed while the tag thread does something else:
        whether it is worth while to begin a batch before the one before is asked for."""
        ...

    def await_room(self) -> None:
        """Where batches overlap, block until another one would be computed as soon as it is begun.

        Raises:
            DeviceFailed: as `begin`.
        """
        ...

    @property
    def encodings_at_once(self) -> int:
        """Calls of `encode` that are worth having under way at once, each from a thread."""
        ...

    def encode(self, articles: Sequence[Article]) -> Sequence[Encoding]:
        """Tokenise articles; releases the interpreter lock.

        Memory is bounded by the tokens of the articles, whatever the length of their text.

        Raises:
            NerstreamError: it says nothing about these articles; the process must end.
        """
        ...

    def begin(
        self, articles: Sequence[PreparedArticle], progress: Callable[[], None]
    ) -> Callable[[], TaggingResult]:
        """Begin to run the model.

        Args:
            articles: any number; the tagger keeps the device's memory bounded by itself.
            progress: called after every forward pass, for the liveness check.

        Returns:
            What gives the answers; to be called once, after those of batches begun before. It
            blocks until they are here.

        Raises:
            DeviceFailed: nothing was found out about these articles; the process must end. What is
                returned raises it too.
        """
        ...
