"""Secrets: which properties are, how they are read from files, and that they are shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumer.contracts.errors import SettingsError
from consumer.settings.schema import Settings
from consumer.settings.secrets import (
    MASK,
    file_fault,
    is_secret,
    masked,
    secret_in_file,
    with_secrets,
    without_user,
)


def test_a_file_holds_a_secret_and_its_name_is_none() -> None:
    assert secret_in_file("sasl.password_file") == "sasl.password"
    assert secret_in_file("ssl.key.password_file") == "ssl.key.password"
    assert secret_in_file("sasl.username_file") is None
    assert secret_in_file("sasl.password") is None
    assert not is_secret("sasl.password_file")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"sesame", "sesame"),
        (b"sesame\n", "sesame"),
        (b"sesame\r\n", "sesame"),
        (b" with spaces \n\n", " with spaces \n"),
        ("gr\u00fc\u00df".encode(), "gr\u00fc\u00df"),
    ],
)
def test_the_line_break_at_the_end_is_no_part_of_it(
    tmp_path: Path, written: bytes, read: str
) -> None:
    file = tmp_path / "password"
    file.write_bytes(written)
    found = with_secrets("kafka", {"sasl.password_file": str(file), "sasl.username": "alice"})
    assert found == {"sasl.password": read, "sasl.username": "alice"}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (None, "cannot be read (No such file or directory); name a file that holds"),
        (b"", "is empty; write the secret into it"),
        (b"\n", "is empty; write the secret into it"),
        (b"a\0b", "has a NUL in it"),
        (b"\xff", "is not UTF-8; write the secret as text"),
        (b"x" * 65_537, "has more than 65,536 bytes; name a file that holds the secret alone"),
    ],
)
def test_a_file_without_a_secret_is_a_wrong_setting(
    tmp_path: Path, written: bytes | None, said: str
) -> None:
    file = tmp_path / "password"
    if written is not None:
        file.write_bytes(written)
    with pytest.raises(SettingsError) as raised:
        with_secrets("kafka", {"sasl.password_file": str(file)})
    assert str(raised.value).startswith(f"kafka.sasl.password_file: {file} {said}")
    assert raised.value.__cause__ is None


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        with_secrets("kafka", {"sasl.password_file": str(tmp_path)})


def test_only_a_secret_is_read_from_a_file_and_only_once_given() -> None:
    both = {"sasl.password": "a", "sasl.password_file": "b"}
    assert file_fault("sasl.password_file", both) == (
        "sasl.password is given too",
        "give one of the two",
    )
    assert file_fault("sasl.password", both) is None
    assert file_fault("sasl.username_file", {}) == (
        "sasl.username is no secret, so no file is read for it",
        "give sasl.username itself",
    )


def test_no_text_of_the_settings_shows_a_secret() -> None:
    settings = Settings(
        kafka={"sasl.password": "hunter2", "sasl.username": "alice"},
        traces_endpoint="http://me:hunter2@collector",
        registry={"url": "https://me:hunter2@a/x,http://b", "basic.auth.user.info": "me:hunter2"},
    )
    again = settings.model_copy(update={"group_id": "other"})
    for text in (repr(settings), str(settings), repr(again.kafka), f"{again.registry}"):
        assert "hunter2" not in text
    assert "alice" in repr(settings)
    assert settings.kafka["sasl.password"] == "hunter2"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://me:p@ss/wo?rd@host:1/x", f"https://{MASK}@host:1/x"),
        ("http://a,https://b:c@d", f"http://a,https://{MASK}@d"),
        ("https://host/x", "https://host/x"),
        ("me@example.org", "me@example.org"),
    ],
)
def test_an_address_is_shown_without_its_user(value: str, shown: str) -> None:
    assert masked({"url": value}) == {"url": shown}
    assert without_user(shown, "") == shown.replace(f"{MASK}@", "")
