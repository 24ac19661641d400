"""Files that cannot be read without harm."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from consumer.contracts.errors import ModelError
from consumer.tagging.model.guard.folder_files import MOST_BYTES, check_files, pickled_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_text("{}")
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as raised:
        check_files("M", folder)
    return str(raised.value)


def test_ordinary_files_are_read(folder: Path) -> None:
    check_files("M", folder)
    # What is not read may be anything.
    (folder / "link.md").symlink_to("/etc/passwd")
    (folder / "onnx").mkdir()
    check_files("M", folder)


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "model-2" / "config.json"
    outside.parent.mkdir()
    outside.write_text("{}")
    for target in (outside, Path("../model-2/config.json")):
        (folder / "config.json").unlink()
        (folder / "config.json").symlink_to(target)
        assert f"its config.json is a link out of the folder, to {outside}" in refusal(folder)


def test_links_inside_are_followed_as_kubernetes_has_them(folder: Path) -> None:
    hidden = folder / "..2026"
    hidden.mkdir()
    (folder / "config.json").rename(hidden / "config.json")
    (folder / "..data").symlink_to("..2026")
    (folder / "config.json").symlink_to("..data/config.json")
    check_files("M", folder)


def test_the_folder_may_be_a_link_itself(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(folder)
    check_files("M", tmp_path / "current")


def test_a_snapshot_of_the_hubs_cache_leads_to_its_blobs_and_no_further(tmp_path: Path) -> None:
    repository = tmp_path / "models--some--tagger"
    snapshot, blobs = repository / "snapshots" / "abc", repository / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "123").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/123")
    check_files("M", snapshot)
    (tmp_path / "secret").write_text("{}")
    (snapshot / "vocab.txt").symlink_to(tmp_path / "secret")
    assert "its vocab.txt is a link out of the folder" in refusal(snapshot)


def test_what_is_no_file_is_refused_and_never_opened(folder: Path) -> None:
    path = folder / "vocab.txt"
    os.mkfifo(path)
    assert "its vocab.txt is a pipe and no file" in refusal(folder)
    path.unlink()
    path.mkdir()
    assert "its vocab.txt is a folder and no file" in refusal(folder)
    path.rmdir()
    path.symlink_to("vocab.txt")
    assert "its vocab.txt leads to nothing" in refusal(folder)


def test_a_socket_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("vocab.txt")
        assert "its vocab.txt is a socket and no file" in refusal(folder)


def test_a_file_larger_than_any_is_refused(folder: Path) -> None:
    with (folder / "tokenizer.json").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    assert f"its tokenizer.json has {MOST_BYTES + 1:,} bytes" in refusal(folder)
    (folder / "tokenizer.json").unlink()
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    check_files("M", folder)


def test_pickled_weights_are_named(folder: Path) -> None:
    for name in ("pytorch_model.bin", "best.ckpt", "a.pt", "tf_model.h5", "notes.md"):
        (folder / name).write_text("")
    assert pickled_in(folder) == ["a.pt", "best.ckpt", "pytorch_model.bin", "tf_model.h5"]
