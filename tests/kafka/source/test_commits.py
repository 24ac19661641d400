"""Commits, and whoever waits for their answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.contracts.errors import AbortableError
from consumer.contracts.messages import Position, TopicPartition
from consumer.kafka.source.rebalance import client_offsets
from consumer.kafka.source.source import KafkaSource
from consumer.settings.schema import Settings
from tests.integration.rigs.reading import Heard
from tests.support.fakes import eventually
from tests.support.memory.client_message import Message
from tests.support.memory.fake_client import ONE, TWO, Client, makes


def committing(
    source: KafkaSource, offset: int = 8
) -> tuple[threading.Thread, list[BaseException | None]]:
    """A thread that commits, and what came of it."""
    outcome: list[BaseException | None] = []

    def commit() -> None:
        try:
            source.commit(client_offsets({ONE: offset}))
        except BaseException as failed:
            outcome.append(failed)
        else:
            outcome.append(None)

    thread = threading.Thread(target=commit, daemon=True)
    thread.start()
    return thread, outcome


def served_until(source: KafkaSource, holds: Callable[[], bool]) -> Callable[[], bool]:
    """Whether it holds, once the source has been served again."""

    def served_once() -> bool:
        source.serve()
        return holds()

    return served_once


def served(source: KafkaSource, client: Client, commits: int) -> None:
    """Serve the source until the client has got so many commits."""
    made = served_until(source, lambda: len(client.commits) == commits)
    eventually(made, "commits are made")


def test_an_answer_to_a_commit_comes_while_the_source_polls(
    client: Client, source: KafkaSource
) -> None:
    thread, outcome = committing(source)
    served(source, client, 1)
    assert thread.is_alive()
    client.play = [client.answers(0)]
    source.poll(1, 0)
    thread.join(60)
    assert outcome == [None]


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "of_a_partition"])
def test_a_commit_that_is_refused_says_so(client: Client, source: KafkaSource, whole: bool) -> None:
    refused = KafkaError(KafkaError.ILLEGAL_GENERATION)
    thread, outcome = committing(source)
    served(source, client, 1)
    client.play = [client.answers(0, refused if whole else None, None if whole else refused)]
    source.poll(1, 0)
    thread.join(60)
    (failed,) = outcome
    assert isinstance(failed, KafkaException)
    assert failed.args[0].code() == KafkaError.ILLEGAL_GENERATION


def test_what_comes_while_an_answer_is_waited_for_is_not_lost(
    client: Client, source: KafkaSource
) -> None:
    """`serve` polls then: where reading waits for room, it is the commit that makes it."""
    thread, outcome = committing(source)
    served(source, client, 1)
    # One partition goes meanwhile, and its message with it.
    lost = client.happens("on_lost", TWO)
    client.play = [Message(7), Message(3, 1), lost, client.answers(0)]
    answered = served_until(source, lambda: not thread.is_alive())
    eventually(answered, "the commit is answered")
    assert outcome == [None]
    client.play = [Message(8)]
    taken = [raw.position for _ in range(3) for raw in source.poll(10, 0)]
    assert taken == [Position(ONE, 7), Position(ONE, 8)]


def test_a_commit_under_way_is_made_again_in_a_revoke(client: Client) -> None:
    """The client answers nothing there, and the worker waits for the commit."""

    class Waits(Heard):
        def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
            assert thread.is_alive()
            source.serve()
            thread.join(60)
            super().on_revoked(partitions)

    heard = Waits()
    source = KafkaSource(Settings())
    source.open(heard)
    client.play = [client.happens("on_assign", ONE)]
    source.poll(1, 0)
    thread, outcome = committing(source)
    served(source, client, 1)
    client.play = [client.happens("on_revoke", ONE), client.answers(0)]
    source.poll(1, 0)
    assert outcome == [None]
    assert [asynchronous for _, asynchronous in client.commits] == [True, False]
    assert heard.of("revoked") == [ONE]


def test_a_commit_without_an_answer_is_given_up(client: Client) -> None:
    source = KafkaSource(Settings(kafka={"session.timeout.ms": "50"}))
    source.open(Heard())
    thread, outcome = committing(source)
    served(source, client, 1)
    thread.join(60)
    (failed,) = outcome
    assert isinstance(failed, AbortableError)
    assert "no answer in 0 s" in str(failed)


def test_no_commit_waits_for_a_consumer_that_is_given_up(
    client: Client, source: KafkaSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread, outcome = committing(source)
    served(source, client, 1)
    makes(monkeypatch, Client())
    client.strand()
    source.poll(1, 0)
    thread.join(60)
    (failed,) = outcome
    assert isinstance(failed, AbortableError)
    assert "the consumer is given up" in str(failed)


def test_whoever_polls_may_commit_too(client: Client, source: KafkaSource) -> None:
    source.commit(client_offsets({ONE: 8}))
    assert [asynchronous for _, asynchronous in client.commits] == [True, False]
