"""TLS on the admin port, with certificates of a day."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

import pytest

from consumer.contracts.errors import SettingsError
from consumer.telemetry.admin import changing_file
from consumer.telemetry.admin.wire import tls_context
from tests.support.rigs.admin_rig import admin_rig
from tests.support.servers.certificates import PASSWORD, Authority


class Files:
    """An authority, and the server's certificate and key by it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        authority = Authority(folder)
        self.ca = authority.file
        self.certificate, self.key = authority.issue("localhost")
        _, self.locked_key = authority.issue("locked", password=PASSWORD)

    def trusting(self) -> ssl.SSLContext:
        """A client's side that trusts this authority alone."""
        return ssl.create_default_context(cafile=str(self.ca))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "certificates")


def test_over_tls_and_kept_open(files: Files) -> None:
    with admin_rig(tls=(files.certificate, files.key)) as rig:
        context = files.trusting()
        assert rig.ask("/healthz", context=context).status == 200
        body = rig.ask("/metrics", context=context).body
        assert b"things_total 3.0" in body
        with rig.connect() as plain, context.wrap_socket(plain, server_hostname="localhost") as tls:
            for _ in range(3):
                tls.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert tls.recv(10_000).startswith(b"HTTP/1.1 200 OK")
            assert tls.version() in ("TLSv1.2", "TLSv1.3")


def test_what_is_no_tls_is_ended_and_served_nothing(files: Files) -> None:
    with admin_rig(tls=(files.certificate, files.key)) as rig:
        answer = rig.say(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"things" not in answer
        with pytest.raises(ssl.SSLCertVerificationError):
            rig.ask("/healthz", context=ssl.create_default_context())
        assert rig.ask("/healthz", context=files.trusting()).status == 200


def test_a_client_that_ends_tls_is_let_go(files: Files) -> None:
    with admin_rig(tls=(files.certificate, files.key)) as rig:
        plain = rig.connect()
        tls = files.trusting().wrap_socket(plain, server_hostname="localhost")
        # It waits for the server's own end.
        tls.unwrap().close()
        assert rig.ask("/healthz", context=files.trusting()).status == 200


def test_a_renewed_certificate_is_used(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changing_file, "LOOK_S", 0.0)
    other = Files(tmp_path / "renewed")
    with admin_rig(tls=(files.certificate, files.key)) as rig:
        assert rig.ask("/healthz", context=files.trusting()).status == 200
        # The certificate comes before its key: until both are there, the old ones serve.
        replace(other.certificate, files.certificate)
        assert rig.ask("/healthz", context=files.trusting()).status == 200
        replace(other.key, files.key)
        assert rig.ask("/healthz", context=other.trusting()).status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            rig.ask("/healthz", context=files.trusting())


def replace(source: Path, target: Path) -> None:
    new = target.with_suffix(".new")
    shutil.copyfile(source, new)
    new.replace(target)


def test_versions_that_are_broken_are_not_spoken(files: Files) -> None:
    context = tls_context(files.certificate, files.key)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION


def test_files_that_cannot_be_used_are_named(files: Files, tmp_path: Path) -> None:
    other = Files(tmp_path / "other")
    garbage = tmp_path / "garbage"
    garbage.write_text("no certificate")
    cases = [
        ((files.certificate, tmp_path / "none"), "admin_tls_key", "none cannot be read"),
        ((tmp_path / "none", files.key), "admin_tls_cert", "none cannot be read"),
        ((files.certificate, other.key), "admin_tls_cert", "cannot be used"),
        ((garbage, files.key), "admin_tls_cert", "cannot be used"),
        ((files.certificate, garbage), "admin_tls_cert", "cannot be used"),
        ((files.certificate, files.locked_key), "admin_tls_key", "is locked with a password"),
    ]
    for (certificate, key), setting, problem in cases:
        with pytest.raises(SettingsError) as raised:
            tls_context(certificate, key)
        assert raised.value.setting == setting
        assert problem in raised.value.problem
