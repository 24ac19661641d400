"""Passwords and tokens from a file."""

from __future__ import annotations

import base64
import hmac
from pathlib import Path

import pytest

from consumer.contracts.errors import SettingsError
from consumer.telemetry.admin.credentials import Credentials, read_credentials

TOKEN = "a-token-of-some-length=="


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


CREDENTIALS = Credentials(
    ["# who may", "", "prometheus:pass:wörter-long", f"  {TOKEN} ", "ops:another-long-one"]
)


@pytest.mark.parametrize(
    "authorization",
    [
        basic("prometheus:pass:wörter-long"),
        basic("ops:another-long-one").replace("Basic ", "bAsIc   "),
        f"Bearer {TOKEN}",
        f"bearer {TOKEN}",
    ],
)
def test_let_in(authorization: str) -> None:
    assert CREDENTIALS.admit(authorization)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Bearer ",
        TOKEN,
        f"Bearer {TOKEN}=",
        f"Bearer {TOKEN[:-1]}",
        f"Digest {TOKEN}",
        basic(TOKEN),
        "Bearer prometheus:pass:wörter-long",
        basic("prometheus:pass:wörter-lon"),
        basic("Prometheus:pass:wörter-long"),
        basic("ops:pass:wörter-long"),
        basic(":"),
        "Basic !!!!",
        "Basic ä",
        "Bearer \udcff",
        basic("prometheus:pass:wörter-long") + " x",
    ],
)
def test_kept_out(authorization: str) -> None:
    assert not CREDENTIALS.admit(authorization)


def test_each_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    original = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return original(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert CREDENTIALS.admit(basic("prometheus:pass:wörter-long"))
    assert not CREDENTIALS.admit("Bearer x")
    assert compared == [(32, 32)] * 6


def test_the_challenges_name_what_is_taken() -> None:
    assert len(CREDENTIALS.challenges) == 2
    assert Credentials([TOKEN]).challenges == ['Bearer realm="nerstream"']
    assert Credentials(["user:long-enough-1"]).challenges == [
        'Basic realm="nerstream", charset="UTF-8"'
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it holds no credentials"),
        (b"# nobody\n\n", "it holds no credentials"),
        (b"# x\nuser:hunter2\n", "line 2 is shorter than 12 characters and can be guessed"),
        (b"hunter2", "line 1 is shorter than 12 characters and can be guessed"),
        (b":a-long-password", "line 1 has a password without a user"),
        (b"a token with blanks", "line 1 is no token, which is of letters, digits and -._~+/=, "),
        (b"user:p\xff\xffssword-long", "is not UTF-8"),
        (b"x" * 70_000, "has more than 65,536 bytes"),
    ],
)
def test_a_file_of_something_else_is_told_without_its_secrets(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    file = tmp_path / "credentials"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        read_credentials(file)
    assert problem in str(raised.value)
    assert raised.value.setting == "admin_credentials_file"
    assert str(file) in raised.value.problem
    assert "hunter2" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nothing cannot be read"):
        read_credentials(tmp_path / "nothing")
    with pytest.raises(SettingsError, match="Is a directory"):
        read_credentials(tmp_path)


def test_lines_may_end_as_on_windows_and_begin_with_a_mark(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_bytes(b"\xef\xbb\xbfuser:long-enough-1\r\n")
    assert read_credentials(file).admit(basic("user:long-enough-1"))
