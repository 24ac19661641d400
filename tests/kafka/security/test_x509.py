"""What a certificate says of its issuer and its times."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from consumer.kafka.security.x509 import Certificate, read_der, read_pem
from tests.support.servers.certificates import Authority


def test_issuer_and_times(tmp_path: Path) -> None:
    file, _ = Authority(tmp_path, "our-ca").issue("worker")
    found = read_pem("garbage\n" + file.read_text())
    assert found is not None
    assert found.issuer == "our-ca"
    assert found.ends - found.begins == timedelta(days=2)
    now = datetime.now(UTC)
    assert found.fault(now) == ""
    assert found.fault(now + timedelta(days=3)) == f"expired on {found.ends:%Y-%m-%d %H:%M} UTC"
    assert found.fault(now - timedelta(days=3)).startswith("is not valid before 20")


def test_years_of_four_digits() -> None:
    late = datetime(2051, 1, 2, 3, 4, 5, tzinfo=UTC)
    parts = [
        bytes((tag, len(text))) + text
        for tag, text in ((0x17, b"491231235959Z"), (0x18, b"20510102030405Z"))
    ]
    validity = b"".join(parts)
    signed = b"\x02\x01\x01" + b"\x30\x00" * 2 + bytes((0x30, len(validity))) + validity
    whole = bytes((0x30, len(signed))) + signed
    found = read_der(bytes((0x30, len(whole))) + whole)
    assert found == Certificate("", datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), late)


@given(st.binary(max_size=200))
def test_what_is_no_certificate(der: bytes) -> None:
    assert read_der(der) is None


def test_one_that_is_cut_or_altered_is_none_or_another(tmp_path: Path) -> None:
    file, _ = Authority(tmp_path).issue("worker")
    der = ssl.PEM_cert_to_DER_cert(file.read_text())
    assert all(read_der(der[:size]) is None for size in range(len(der)))
    for at in range(len(der)):
        read_der(der[:at] + bytes((der[at] ^ 0xFF,)) + der[at + 1 :])
    assert read_pem("-----BEGIN CERTIFICATE-----\n") is None
    assert read_pem("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----") is None
