"""Folders without weights that can be read: each is told what it is, and where a model may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumer.contracts.errors import ModelError
from consumer.tagging.model.folder import find_model_folder
from consumer.tagging.model.guard.other_formats import no_weights

TAKE = "choose a model that is there as safetensors, or fine-tune one with nerstream train"


def put(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("{}")
    return folder


def said(folder: Path) -> str:
    with pytest.raises(ModelError) as refused:
        find_model_folder(str(folder), "")
    assert str(refused.value) == no_weights(str(folder), folder)
    return str(refused.value).removeprefix(f"model {folder}: ")


@pytest.mark.parametrize(
    ("file", "runtime"),
    [
        ("model.onnx", "ONNX"),
        ("onnx/model_quantized.onnx", "ONNX"),
        ("model-q4_k.gguf", "GGUF"),
        ("openvino_model.bin", "OpenVINO"),
        ("tf_model.h5", "TensorFlow"),
        ("saved_model.pb", "TensorFlow"),
        ("flax_model.msgpack", "Flax"),
        ("ner.mlmodel", "Core ML"),
        ("rust_model.ot", "rust-bert"),
    ],
)
def test_weights_of_another_runtime_are_named(tmp_path: Path, file: str, runtime: str) -> None:
    put(tmp_path, "config.json", "tokenizer.json", file)
    assert said(tmp_path) == (
        f"it has weights for {runtime} alone ({file}), and only safetensors are read; name the "
        f"model that it was made from, or {TAKE}"
    )


def test_pickled_weights_beside_those_of_a_runtime_can_be_saved_anew(tmp_path: Path) -> None:
    put(tmp_path, "config.json", "pytorch_model.bin", "tf_model.h5", "model.onnx")
    assert said(tmp_path).startswith(
        "it has no weights as safetensors (*.safetensors) but pytorch_model.bin, tf_model.h5, and "
        "no others are loaded, since unpickling can run code; save it once as such"
    )


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (("meta.json", "config.cfg"), "a pipeline of spaCy"),
        (("gliner_config.json", "pytorch_model.bin"), "a model of GLiNER"),
        (("training.log", "pytorch_model.bin"), "a model of Flair"),
        (("best-model.pt",), "a model of Flair"),
        (("modules.json",), "a model of sentence-transformers, which tags nothing"),
    ],
)
def test_a_folder_of_another_program_is_named(
    tmp_path: Path, files: tuple[str, ...], what: str
) -> None:
    assert said(put(tmp_path, *files)) == f"it is {what}, which only that runs; {TAKE}"


def test_a_log_of_a_training_does_not_make_it_another_program_s(tmp_path: Path) -> None:
    put(tmp_path, "training.log", "config.json")
    assert said(tmp_path).startswith("it has no weights (*.safetensors); copy or download them")


def test_a_model_below_is_named(tmp_path: Path) -> None:
    put(tmp_path, "final/config.json", "final/model.safetensors", "logs/config.json")
    assert said(tmp_path) == (
        f"it holds no weights itself, a model lies below it ({tmp_path}/final); name that folder"
    )


def test_the_cache_of_the_hub_has_its_model_below(tmp_path: Path) -> None:
    put(tmp_path, "refs/main", "snapshots/abc/config.json", "snapshots/abc/model.safetensors")
    assert f"({tmp_path}/snapshots/abc); name that folder" in said(tmp_path)


def test_of_many_checkpoints_a_few_are_named(tmp_path: Path) -> None:
    for number in range(1, 6):
        put(tmp_path, f"{number}/config.json", f"{number}/model.safetensors")
    assert said(tmp_path) == (
        f"it holds no weights itself, models lie below it ({tmp_path}/3, {tmp_path}/4, "
        f"{tmp_path}/5 and 2 others); name one of these folders"
    )


def test_a_folder_without_anything_is_told(tmp_path: Path) -> None:
    assert said(tmp_path) == "the folder is empty; name one that save_pretrained has written"
    put(tmp_path, "README.md")
    assert said(tmp_path) == (
        "it has no weights (*.safetensors); copy or download them, or name the folder that "
        "save_pretrained has written"
    )
