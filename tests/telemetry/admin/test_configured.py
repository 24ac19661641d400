"""The admin port as the settings have it, and the warning to those who leave it open."""

from __future__ import annotations

import http.client
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from consumer.contracts.errors import SettingsError
from consumer.settings.schema import Settings
from consumer.telemetry.admin.configured import admin_from, exposure
from tests.support.rigs.admin_rig import GOOD


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST."])
def test_this_machine_alone_is_no_exposure(host: str) -> None:
    assert exposure(host, has_tls=False, has_credentials=False) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "worker.example", "fe80::1%eth0"])
def test_an_open_door_is_told(host: str) -> None:
    warning = exposure(host, has_tls=True, has_credentials=False)
    assert warning is not None
    assert host in warning
    assert "admin_credentials_file" in warning
    warning = exposure(host, has_tls=False, has_credentials=True)
    assert warning is not None
    assert "unencrypted" in warning
    assert exposure(host, has_tls=True, has_credentials=True) is None


def test_it_listens_on_this_machine_alone_unless_told(caplog: pytest.LogCaptureFixture) -> None:
    assert Settings().admin_host == "127.0.0.1"
    admin_from(Settings(admin_port=0), CollectorRegistry(), lambda: GOOD).close()
    assert not caplog.records
    everywhere = Settings(admin_port=0, admin_host="0.0.0.0")
    admin_from(everywhere, CollectorRegistry(), lambda: GOOD).close()
    assert "everybody who reaches 0.0.0.0 can read the admin port" in caplog.text


def test_credentials_of_the_settings_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("a-token-of-some-length")
    settings = Settings(admin_port=0, admin_credentials_file=str(file))
    server = admin_from(settings, CollectorRegistry(), lambda: GOOD)
    server.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.request("GET", "/metrics")
        assert connection.getresponse().status == 401
        connection.close()
    finally:
        server.close()


def test_files_that_are_not_there_are_named() -> None:
    for settings, name in (
        (Settings(admin_credentials_file="/no/such"), "admin_credentials_file"),
        (Settings(admin_tls_cert="/no/such", admin_tls_key="/no/key"), "admin_tls_cert"),
    ):
        with pytest.raises(SettingsError) as raised:
            admin_from(settings, CollectorRegistry(), lambda: GOOD)
        assert raised.value.setting == name
        assert "/no/such cannot be read" in raised.value.problem


def test_half_of_tls_is_refused() -> None:
    for settings, missing in (
        (Settings(admin_tls_cert="/some/cert"), "admin_tls_key"),
        (Settings(admin_tls_key="/some/key"), "admin_tls_cert"),
    ):
        with pytest.raises(SettingsError) as raised:
            admin_from(settings, CollectorRegistry(), lambda: GOOD)
        assert raised.value.setting == missing
