"""A consumer that does not close, or gives no sign of life."""

from __future__ import annotations

import threading
import time

import pytest

from consumer.contracts.errors import KafkaProblem, SettingsError
from consumer.contracts.messages import Position
from consumer.kafka.source.source import KafkaSource
from consumer.settings.schema import Settings
from tests.integration.rigs.reading import Heard
from tests.support.fakes import eventually
from tests.support.memory.client_message import Message
from tests.support.memory.fake_client import ONE, Client, makes


def test_a_consumer_that_does_not_close_is_left_behind(
    client: Client, source: KafkaSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.kafka.source.member._CLOSE_S", 0.05)
    never = threading.Event()
    monkeypatch.setattr(client, "close", never.wait)
    new = Client()
    makes(monkeypatch, new)
    client.strand()
    new.play = [new.happens("on_assign", ONE), Message(7)]
    assert [raw.position for raw in source.poll(1, 0)] == [Position(ONE, 7)]
    never.set()


def test_a_consumer_without_a_sign_of_life_ends_the_worker(client: Client) -> None:
    source = KafkaSource(Settings(kafka={"statistics.interval.ms": "20"}))
    source.open(Heard())
    alive = '{"brokers": {"a": {"source": "learned"}}}'
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        client.watch.statistics(alive)
        source.poll(1, 0.02)
    with pytest.raises(KafkaProblem, match=r"no sign of life; .*: start the worker again"):
        eventually(lambda: bool(source.poll(1, 0.02)), "it never comes to that")
    source.close()
    assert not client.closed


def test_time_in_a_callback_is_no_silence(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    source = KafkaSource(Settings(kafka={"statistics.interval.ms": "20"}))
    source.open(Heard())
    monkeypatch.setattr("consumer.kafka.source.source._POLL_S", 0.01)
    client.play = [client.happens("on_assign", ONE), lambda: time.sleep(0.5), Message(7)]
    assert len(source.poll(1, 0)) == 1
    assert source.poll(1, 0) == []


@pytest.mark.usefixtures("client")
def test_who_turns_reports_off_has_no_silence() -> None:
    source = KafkaSource(Settings(kafka={"statistics.interval.ms": "0"}))
    source.open(Heard())
    source.poll(1, 0.05)
    assert source.poll(1, 0.05) == []


def test_an_interval_that_is_no_number_is_a_wrong_setting() -> None:
    source = KafkaSource(Settings(kafka={"statistics.interval.ms": "often"}))
    with pytest.raises(SettingsError, match=r"kafka\.statistics\.interval\.ms"):
        source.open(Heard())
