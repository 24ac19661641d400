"""Weights of models as people have them: wrapped, in parts, cut off, of something else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.support.models.spoiled_folders import (
    BROKEN,
    POINTER,
    change,
    load,
    refusal,
    rewrite,
    spoil,
    tagger_of,
)
from tests.support.models.tiny_models import (
    SENTENCES,
    entities_of,
    tiny_folder,
    tiny_tagger,
)


def rename_weights(folder: Path, rename: Callable[[str], str]) -> None:
    path = folder / "model.safetensors"
    save_file({rename(k): v for k, v in load_file(path).items()}, path, {"format": "pt"})


@pytest.mark.parametrize("family", ["bert-cased", "distilbert", "roberta", "deberta-v3"])
@pytest.mark.parametrize(
    "rename",
    [
        lambda key: f"_orig_mod.{key}",
        lambda key: f"module.{key}",
        lambda key: f"module._orig_mod.{key}",
        lambda key: f"model.{key}",
        lambda key: key.replace(".", "._orig_mod.", 1),
        lambda key: "_orig_mod." + key.replace("layer.0.", "layer.0._orig_mod."),
    ],
)
def test_weights_of_a_wrapped_model_are_read(
    make: Callable[..., Path], family: str, rename: Callable[[str], str]
) -> None:
    folder = make(family)
    rename_weights(folder, rename)
    text = " ".join(SENTENCES[:2])
    expected = entities_of(tagger_of(tiny_folder(family)), text)
    assert len(expected) > 3
    assert entities_of(tagger_of(folder), text) == expected


def shard(folder: Path) -> None:
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")


def test_weights_in_several_files_are_read_and_a_missing_one_is_named(
    make: Callable[..., Path],
) -> None:
    folder = make()
    shard(folder)
    assert load(folder).info.types == ("LOC", "MISC", "ORG", "PER")
    second = sorted(folder.glob("model-*"))[1]
    second.write_bytes(POINTER)
    assert refusal(folder).startswith(f"its {second.name} is a Git LFS pointer")
    second.unlink()
    assert refusal(folder).startswith(f"{second.name} is missing, of the 6 files of weights that")
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    assert "weight_map in its model.safetensors.index.json must name" in refusal(folder)


def test_an_index_whose_files_are_all_missing_is_named(make: Callable[..., Path]) -> None:
    folder = make()
    shard(folder)
    for path in folder.glob("model-*"):
        path.unlink()
    assert refusal(folder) == (
        "all files of weights that its model.safetensors.index.json names are missing; copy or "
        "download them"
    )


@pytest.mark.parametrize(
    ("data", "says"),
    [
        *BROKEN.values(),
        (lambda data: data[:-1], "is cut off: it has 153,211 bytes and should have at least"),
        (lambda data: data[:300], "is cut off: it has 300 bytes and should have at least 4,"),
        (lambda data: data[:5], "is not in the form of safetensors"),
        (
            lambda _: b"PK\x03\x04" + bytes(900),
            "is a pickle by another name, and unpickling can run",
        ),
        (lambda _: (2).to_bytes(8, "little") + b"{}", "holds no weights"),
        (lambda _: (4).to_bytes(8, "little") + b"{]]}", "is not in the form of safetensors"),
    ],
)
def test_weights_that_are_no_weights_are_named(
    make: Callable[..., Path], data: Callable[[bytes], bytes], says: str
) -> None:
    folder = make()
    spoil("model.safetensors", data)(folder)
    assert refusal(folder).startswith(f"its model.safetensors {says}")


@pytest.mark.parametrize(
    ("change_weights", "says"),
    [
        (
            lambda all_: {k: v.to(torch.int8) for k, v in all_.items()},
            "its weights are not floating-point numbers (bert.embeddings.LayerNorm.bias is of type",
        ),
        (
            lambda all_: all_ | {"classifier.weight": all_["classifier.weight"] * torch.nan},
            "its weights hold what is no finite number (in classifier.weight), as a training that",
        ),
        (
            lambda all_: all_ | {"classifier.bias": torch.full((9,), torch.inf)},
            "its weights hold what is no finite number (in classifier.bias)",
        ),
        (
            lambda all_: (
                all_
                | {k.replace(".1.", ".2."): v.clone() for k, v in all_.items() if "layer.1." in k}
            ),
            "its config.json is of another model than its weights: it says 2 layers (num_hidden_l",
        ),
        (
            lambda all_: all_ | {"bert.encoder.layer.0.query.lora_A.weight": torch.zeros(4, 32)},
            "its weights hold an adapter that was not merged into them (bert.encoder.layer.0.query",
        ),
        (
            lambda all_: all_ | {"classifier.dense.weight": torch.zeros(32, 32)},
            "its weights have a part that no token classifier of transformers has (classifier.den",
        ),
    ],
)
def test_weights_that_would_be_left_out_or_are_none_are_refused(
    make: Callable[..., Path], change_weights: Callable[..., Any], says: str
) -> None:
    folder = make()
    rewrite(folder, change_weights)
    assert refusal(folder).startswith(says)


def test_weights_of_another_family_that_are_not_finite_are_refused(
    make: Callable[..., Path],
) -> None:
    folder = make("roberta")
    rewrite(folder, lambda all_: all_ | {"classifier.bias": torch.full((9,), torch.nan)})
    assert "hold what is no finite number (in classifier.bias)" in refusal(folder)


@pytest.mark.parametrize(
    "values",
    [{"shape": "12"}, {"shape": [-1]}, {"data_offsets": ["a", "b"]}, {"data_offsets": [-5, 3]}],
)
def test_a_header_that_does_not_describe_weights_is_named(
    make: Callable[..., Path], values: dict[str, Any]
) -> None:
    folder = make()

    def change_header(data: bytes) -> bytes:
        end = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:end])
        header["classifier.bias"] |= values
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data[end:]

    spoil("model.safetensors", change_header)(folder)
    assert refusal(folder).startswith("its model.safetensors is not in the form of safetensors")


def test_bytes_behind_the_weights_are_named(make: Callable[..., Path]) -> None:
    folder = make()
    spoil("model.safetensors", lambda data: data + b"xx")(folder)
    assert refusal(folder).startswith("its model.safetensors has 2 bytes more than its header")


@pytest.mark.parametrize("file", [1, None, ["x"], "", "../model.safetensors", "/etc/passwd"])
def test_an_index_that_names_no_file_is_named(make: Callable[..., Path], file: Any) -> None:
    folder = make()
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = {"metadata": {}, "weight_map": {"a": file, "b": "model-1.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    says = f"has {json.dumps(file)} in place of the name of a file beside it"
    assert says in refusal(folder)


def test_an_index_without_metadata_is_named(make: Callable[..., Path]) -> None:
    folder = make()
    shard(folder)
    change(folder, "model.safetensors.index.json", metadata=...)
    assert "has no metadata, which transformers wants" in refusal(folder)


def test_a_link_to_weights_that_are_gone_is_named(make: Callable[..., Path]) -> None:
    folder = make()
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(folder / "gone")
    assert refusal(folder).startswith("its model.safetensors leads to nothing; copy or")


def test_weights_under_another_name_are_named(make: Callable[..., Path]) -> None:
    folder = make()
    (folder / "model.safetensors").rename(folder / "model.fp16.safetensors")
    says = refusal(folder)
    assert says.startswith("its weights must be in model.safetensors, or in the files that")
    assert "it has model.fp16.safetensors; rename the file" in says


@pytest.mark.parametrize("has_config", [False, True])
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_an_adapter_is_told_how_to_become_a_model(
    make: Callable[..., Path], has_config: bool, suffix: str
) -> None:
    folder = make()
    (folder / "model.safetensors").rename(folder / f"adapter_model.{suffix}")
    if not has_config:
        (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": "bert-base-cased"})
    )
    says = refusal(folder)
    assert says.startswith("it is a PEFT adapter of bert-base-cased, not a whole model; merge it")
    assert "model.merge_and_unload().save_pretrained(FOLDER)" in says


def test_a_merged_model_may_still_have_its_adapter_beside_it(make: Callable[..., Path]) -> None:
    folder = make()
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": "bert-base-cased"})
    )
    assert load(folder).info.types == ("LOC", "MISC", "ORG", "PER")


@pytest.mark.parametrize(
    "part",
    [
        *("transitions", "crf_layer.transitions", "my_crf.start_transitions"),
        *("lstm.weight_ih_l0", "bilstm.weight_ih_l0", "bi_gru.weight_hh_l0", "rnn1.weight_ih_l0"),
        *("start_fc.weight", "biaffine.weight", "span_classifier.weight"),
        "bert.encoder.layer.0.attention.self.distance_embedding.weight",
    ],
)
def test_weights_of_a_part_that_would_be_left_out_are_refused(
    make: Callable[..., Path], part: str
) -> None:
    path = make() / "model.safetensors"
    save_file({**load_file(path), part: torch.zeros(9, 9)}, path, {"format": "pt"})
    assert refusal(path.parent).startswith(
        f"its weights have a part that no token classifier of transformers has ({part}), so"
    )


def test_weights_of_a_head_from_before_the_training_may_be_left_out(
    make: Callable[..., Path],
) -> None:
    path = make() / "model.safetensors"
    parts = ("bert.pooler.dense.bias", "cls.predictions.bias", "loss_fct.weight")
    more = {part: torch.zeros(9) for part in parts}
    save_file({**load_file(path), **more}, path, {"format": "pt"})
    assert entities_of(tagger_of(path.parent), SENTENCES[0]) == entities_of(
        tiny_tagger(), SENTENCES[0]
    )
