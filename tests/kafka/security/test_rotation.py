"""A password that changes in its file reaches the client; what cannot is told."""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from pathlib import Path

import pytest

from consumer.kafka.security import rotation
from consumer.kafka.security.rotation import Rotation
from consumer.settings.schema import Settings
from tests.support.fakes import ManualClock
from tests.support.servers.certificates import Authority


class Client:
    """Takes passwords."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []

    def set_sasl_credentials(self, user: str, password: str) -> None:
        self.taken.append((user, password))


class Rig:
    """A rotation of one client, whose clock the test moves."""

    def __init__(self, kafka: dict[str, str], *, tells: bool = False) -> None:
        self.clock = ManualClock()
        self.client = Client()
        self._rotation = Rotation(Settings(kafka=kafka), tells=tells, clock=self.clock)

    def later(self, seconds: float = 3.0) -> list[tuple[str, str]]:
        self.clock.advance(seconds)
        self._rotation.look(self.client)
        return self.client.taken


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("old\n")
    return file


def kafka(file: Path) -> dict[str, str]:
    return {"sasl.password_file": str(file), "sasl.username": "alice"}


def test_a_password_that_changes_is_handed_over_once(file: Path) -> None:
    rig = Rig(kafka(file))
    assert rig.later() == []
    file.write_text("newer\n")
    assert rig.later(2.9) == []
    assert rig.later(0.1) == [("alice", "newer")]
    assert rig.later() == [("alice", "newer")]


def test_a_link_that_is_exchanged_as_kubernetes_does(tmp_path: Path, file: Path) -> None:
    link, new = tmp_path / "link", tmp_path / "new"
    new.write_text("new\n")
    stamp = file.stat().st_mtime_ns
    os.utime(new, ns=(stamp, stamp))
    link.symlink_to(file)
    rig = Rig(kafka(link))
    (tmp_path / "next").symlink_to(new)
    (tmp_path / "next").replace(link)
    assert rig.later() == [("alice", "new")]


def test_a_file_that_is_away_or_empty_changes_nothing(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(kafka(file))
    file.unlink()
    assert rig.later() == []
    file.write_text("")
    assert rig.later() == []
    assert "is empty; write the secret into it" in caplog.text
    assert "the password that was read before is used on" in caplog.text
    file.write_text("new")
    assert rig.later() == [("alice", "new")]


def test_what_a_client_reads_once_is_told_by_one_client(
    tmp_path: Path, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = tmp_path / "worker.pem"
    certificate.write_text("one")
    given = kafka(file) | {
        "ssl.certificate.location": str(certificate),
        "ssl.key.password_file": str(file),
    }
    quiet, loud = Rig(given), Rig(given, tells=True)
    certificate.write_text("another")
    quiet.later()
    assert caplog.text == ""
    loud.later()
    assert f"{certificate} (kafka.ssl.certificate.location) has changed; this worker" in caplog.text
    assert "ssl.key.password_file" not in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        file.write_text("newer")
        assert loud.later() == [("alice", "newer")]
    assert "(kafka.ssl.key.password_file) has changed" in caplog.text
    assert "newer" not in caplog.text


def test_without_files_nothing_is_looked_at() -> None:
    assert Rig({"sasl.password": "x", "sasl.username": "alice"}, tells=True).later() == []


def test_the_end_of_a_certificate_is_told_once_a_day_in_its_last_week(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # One of a day.
    certificate, _ = Authority(tmp_path).issue("worker")
    given = {"ssl.certificate.location": str(certificate)}
    Rig(given).later()
    assert caplog.text == ""
    rig = Rig(given, tells=True)
    rig.later()
    assert "the client's certificate ends on 20" in caplog.text
    assert "UTC; renew it, and start this worker again" in caplog.text
    rig.later(80_000)
    assert len(caplog.records) == 1
    rig.later(10_000)
    assert len(caplog.records) == 2
    Authority(tmp_path).issue("worker", expired=True)
    Rig(given, tells=True).later()
    assert "the client's certificate ended on 20" in caplog.text


def test_a_certificate_that_lasts_is_not_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, _ = Authority(tmp_path).issue("worker")
    monkeypatch.setattr(rotation, "_SOON", timedelta(hours=1))
    Rig({"ssl.certificate.location": str(certificate)}, tells=True).later()
    assert caplog.text == ""
