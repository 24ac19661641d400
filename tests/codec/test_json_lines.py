"""A file of JSON lines that an argument names."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumer.codec.json_lines import json_lines_of
from consumer.contracts.errors import SettingsError


def test_a_file_gives_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"id":"1"}\n\n{"id":"2"}\n')
    assert json_lines_of(file, "--articles") == [b'{"id":"1"}', b'{"id":"2"}']


def test_a_byte_order_mark_belongs_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"id":"1"}\n')
    assert json_lines_of(file, "--articles") == [b'{"id":"1"}']


@pytest.mark.parametrize("content", [None, b"\n\n"])
def test_a_file_without_articles_is_told(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "a.jsonl"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match="--articles"):
        json_lines_of(file, "--articles")
