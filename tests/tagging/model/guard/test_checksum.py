"""The checksum of a model, and what is refused by it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from consumer.contracts.errors import ModelError
from consumer.tagging.model.folder import find_model_folder
from consumer.tagging.model.guard.checksum import Pins, check_is_fixed, checksum

#: As the documentation has it.
_COMMAND = r"LC_ALL=C ls | grep -E '\.(json|txt|model|safetensors)$' | xargs sha256sum | sha256sum"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("config.json", "Vocab.txt", "vocab.txt", "model.safetensors", "README.md"):
        (tmp_path / name).write_text(name)
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "config.json").write_text("other")
    return tmp_path


def test_it_is_that_of_the_command(folder: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", _COMMAND], cwd=folder, capture_output=True, text=True, check=True
    )
    assert checksum("M", folder) == done.stdout.split()[0]


def test_each_file_that_is_read_counts_and_no_other(folder: Path) -> None:
    before = checksum("M", folder)
    (folder / "README.md").write_text("changed")
    (folder / "onnx" / "config.json").write_text("changed")
    assert checksum("M", folder) == before
    found = {before}
    for name in ("config.json", "vocab.txt", "model.safetensors"):
        (folder / name).write_text("changed")
        found.add(checksum("M", folder))
    (folder / "added_tokens.json").write_text("{}")
    found.add(checksum("M", folder))
    assert len(found) == 5


def test_a_folder_of_another_checksum_is_refused(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    right, wrong = checksum("M", folder), "0" * 64
    caplog.set_level("INFO")
    for pins in (Pins(), Pins((right,)), Pins((wrong, right)), Pins((right,), required=True)):
        find_model_folder(str(folder), "", pins)
    assert f"have the checksum {right}" in caplog.text
    with pytest.raises(ModelError) as raised:
        find_model_folder(str(folder), "", Pins((wrong,)))
    assert f"have the checksum {right}, and model_sha256 is {wrong}" in str(raised.value)


def test_what_may_be_another_tomorrow_is_refused_where_asked(folder: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    pins = Pins(required=True)
    check_is_fixed("M", commit, pins, is_on_hub=True)
    check_is_fixed("M", "main", Pins(("0" * 64,), required=True), is_on_hub=True)
    check_is_fixed("M", "main", Pins(), is_on_hub=True)
    with pytest.raises(ModelError, match="give the commit as revision, or give model_sha256"):
        check_is_fixed("M", "main", pins, is_on_hub=True)
    with pytest.raises(ModelError, match="nothing fixes what this model is; give model_sha256"):
        find_model_folder(str(folder), commit, pins)
    with pytest.raises(ModelError, match="give the commit as revision"):
        find_model_folder("some/tagger", "main", pins)
    find_model_folder("bundled", "", pins)
