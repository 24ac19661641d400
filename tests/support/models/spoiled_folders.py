"""Folders of tiny models, for tests to spoil, and why they are refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from consumer.contracts.errors import ModelError
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import load_model
from consumer.tagging.tagger import Tagger
from tests.support.models.tiny_models import (
    tiny_tagger,
)

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 213450\n"
)


def load(folder: Path) -> LoadedModel:
    return load_model(str(folder), "", "cpu", "float32", 0)


def tagger_of(folder: Path, **changes: Any) -> Tagger:
    return tiny_tagger(model=str(folder), **changes)


def refusal(folder: Path) -> str:
    """Why a folder is refused, without the part that names it; one line always."""
    with pytest.raises(ModelError) as caught:
        load(folder)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"model {folder}: ")
    return text.removeprefix(f"model {folder}: ")


def change(folder: Path, file: str = "config.json", **values: Any) -> None:
    """Set keys of a JSON file; an ellipsis removes one."""
    path = folder / file
    document = json.loads(path.read_text(encoding="utf-8")) | values
    kept = {key: value for key, value in document.items() if value is not ...}
    path.write_text(json.dumps(kept), encoding="utf-8")


def label(folder: Path, *labels: str) -> None:
    change(folder, id2label=dict(enumerate(labels)), label2id={})


def rewrite(
    folder: Path, change_weights: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> None:
    """Make other weights of those in a folder, by name."""
    path = folder / "model.safetensors"
    found = {key: weight.clone() for key, weight in load_file(path).items()}
    save_file(change_weights(found), path, {"format": "pt"})


def spoil(file: str, data: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def spoil_folder(folder: Path) -> None:
        path = folder / file
        path.write_bytes(data(path.read_bytes()))

    return spoil_folder


BROKEN: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "pointer": (lambda _: POINTER, "is a Git LFS pointer, not the file itself; run git lfs pull"),
    "empty": (lambda _: b"", "is empty; copy or download it again"),
    "page": (lambda _: b"\n<!DOCTYPE html><html>404</html>", "is a web page, as a download that"),
}
