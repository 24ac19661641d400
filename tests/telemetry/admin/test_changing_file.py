"""Files that are read again when they have changed."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from consumer.contracts.errors import SettingsError
from consumer.telemetry.admin.changing_file import LOOK_S, ChangingFile


class Number:
    """A number in a file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.made = 0

    def __call__(self) -> int:
        self.made += 1
        try:
            return int(self.file.read_text())
        except (OSError, ValueError):
            raise SettingsError("number", "is none", "write one") from None


@pytest.fixture
def number(tmp_path: Path) -> Number:
    file = tmp_path / "number"
    file.write_text("1")
    return Number(file)


def test_it_is_made_once_and_again_when_it_changed(number: Number) -> None:
    changing = ChangingFile([number.file], number, 0.0)
    assert [changing.value(at) for at in (0.0, LOOK_S, 5 * LOOK_S)] == [1, 1, 1]
    assert number.made == 1
    number.file.write_text("22")
    assert changing.value(5.5 * LOOK_S) == 1
    assert changing.value(6 * LOOK_S) == 22


def test_a_link_that_is_swapped_is_a_change(number: Number, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("2")
    link, new = tmp_path / "link", tmp_path / "new"
    link.symlink_to(number.file)
    changing = ChangingFile([link], lambda: int(link.read_text()), 0.0)
    new.symlink_to(other)
    new.replace(link)
    assert changing.value(LOOK_S) == 2


def test_what_cannot_be_used_is_told_once_and_tried_again(
    number: Number, caplog: pytest.LogCaptureFixture
) -> None:
    changing = ChangingFile([number.file], number, 0.0)
    number.file.write_text("none")
    with caplog.at_level(logging.INFO):
        assert [changing.value(at * LOOK_S) for at in (1, 2, 3)] == [1, 1, 1]
        assert number.made == 4
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "cannot be used; the old one stays: number: is none" in caplog.text
        number.file.unlink()
        assert changing.value(4 * LOOK_S) == 1
        number.file.write_text("333")
        assert changing.value(5 * LOOK_S) == 333
    assert "changed and is in use" in caplog.text


def test_at_the_start_it_must_be_usable(number: Number) -> None:
    number.file.write_text("none")
    with pytest.raises(SettingsError):
        ChangingFile([number.file], number, 0.0)
