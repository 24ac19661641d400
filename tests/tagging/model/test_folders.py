"""Model folders as people have them: what can be read is, the rest gets a sentence of its own."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from consumer.contracts.errors import ModelError
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import load_model
from consumer.tagging.tagger import Tagger
from tests.support.models.tiny_models import (
    LABELS,
    SENTENCES,
    entities_of,
    save_tiny_model,
    tiny_folder,
    tiny_tagger,
)

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 213450\n"
)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """Gives a copy of a tiny model of a family, that a test may spoil."""
    return lambda family="bert-cased": Path(shutil.copytree(tiny_folder(family), tmp_path / family))


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


def rename_weights(folder: Path, rename: Callable[[str], str]) -> None:
    path = folder / "model.safetensors"
    save_file({rename(k): v for k, v in load_file(path).items()}, path, {"format": "pt"})


def take_tokenizer(folder: Path) -> Mapping[str, Any]:
    """Remove the tokenizer's files; what its document said of its model."""
    found: Mapping[str, Any] = json.loads((folder / "tokenizer.json").read_text())["model"]
    for path in folder.glob("token*"):
        path.unlink()
    return found


def tokens(model: LoadedModel, text: str) -> list[str]:
    found: list[str] = model.tokenizer.encode(text, add_special_tokens=False).tokens
    return found


# --- Labels


SPELLINGS = {
    "BIO": LABELS,
    "B-O and I-O": ("B-O", *LABELS[1:]),
    "NONE": ("NONE", *LABELS[1:]),
    "underscores": tuple(name.replace("-", "_") for name in LABELS),
    "suffixes": tuple("-".join(reversed(name.split("-"))) for name in LABELS),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_same_labels_in_other_spellings_give_the_same_entities(
    make: Callable[..., Path], spelling: str
) -> None:
    expected = entities_of(tagger_of(tiny_folder()), SENTENCES[0])
    folder = make()
    label(folder, *SPELLINGS[spelling])
    tagger = tagger_of(folder)
    assert tagger.info.types == ("LOC", "MISC", "ORG", "PER")
    assert entities_of(tagger, SENTENCES[0]) == expected
    assert len(expected) > 3


@pytest.mark.parametrize(
    ("labels", "level", "says"),
    [
        (LABELS, logging.INFO, "labels read as IOB, outside O, types LOC, MISC, ORG, PER"),
        (("O", *(f"{x}-{y}" for x in "BIES" for y in ("A", "Z"))), logging.WARNING, "as BIOES"),
        (("none", *LABELS[1:]), logging.WARNING, "labels read as IOB, outside none, types LOC,"),
        (("O", *"ACDFGHJK"), logging.INFO, "labels read as IO, outside O, types A, C"),
    ],
)
def test_how_labels_were_read_is_said(
    make: Callable[..., Path],
    labels: tuple[str, ...],
    level: int,
    says: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Out of the ordinary aloud, so that `nerstream tag` says it too."""
    folder = make()
    label(folder, *labels)
    with caplog.at_level(logging.INFO):
        info = load(folder).info
    (record,) = [one for one in caplog.records if "labels" in one.getMessage()]
    assert record.levelno == level
    assert record.getMessage().startswith(f"model {folder.name}: ")
    assert says in record.getMessage()
    assert (info.scheme, *info.outside) == (
        "BIOES" if "as BIOES" in says else "IO" if "as IO," in says else "IOB",
        labels[0],
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"id2label": {"0": 0, "1": 1}},
            "has numbers in place of labels; it must give each",
        ),
        ({"id2label": None}, "its labels have no names, since its config.json has no id2label"),
        ({"id2label": ...}, "its labels have no names, since its config.json has no id2label"),
        ({"id2label": {}}, "its labels have no names, since its config.json has no id2label"),
        ({"id2label": list(LABELS)}, "id2label in its config.json is a list; it must give each"),
        ({"id2label": "O"}, "id2label in its config.json is a text; it must give each"),
        ({"id2label": {"O": 0, "B-PER": 1}}, "is the wrong way round, from label to output"),
        ({"id2label": {"0": "O", "B-PER": "1"}}, "has the key 'B-PER'"),
        ({"id2label": {"0": "O", "1": None}}, "gives output 1 null"),
        ({"id2label": {"0": "O", "2": "PER"}}, "must number the labels from 0 without gaps"),
        (
            {"id2label": {"0": "O", "1": "PER"}},
            "names 2 labels, its head has 9 outputs; name",
        ),
        ({"id2label": {"9" * 5000: "O"}}, "has the key '999999999999999999'; it must give"),
        ({"num_labels": 5}, "names 9 labels, num_labels says 5; remove"),
        ({"num_labels": "9"}, 'names 9 labels, num_labels says "9"; remove num_labels'),
    ],
)
def test_labels_in_another_form_are_refused(
    make: Callable[..., Path], changes: dict[str, Any], says: str
) -> None:
    folder = make()
    change(folder, **changes)
    assert says in refusal(folder)


# --- Other heads


@pytest.mark.parametrize("family", ["bert-cased", "distilbert", "deberta-v3", "roberta"])
@pytest.mark.parametrize("head", ["SequenceClassification", "QuestionAnswering", "MaskedLM"])
def test_a_model_with_another_head_is_refused(
    make: Callable[..., Path], family: str, head: str
) -> None:
    folder = make(family)
    config = transformers.AutoConfig.from_pretrained(folder)
    kind = config.architectures[0].replace("TokenClassification", head)
    if head == "QuestionAnswering":
        config.num_labels = 2
    # With the labels of a tagger, so that nothing but the head can tell.
    getattr(transformers, kind)(config).save_pretrained(folder)
    label(folder, *LABELS)
    assert f"its config.json names the architecture {kind}, which has no head" in refusal(folder)
    change(folder, architectures=...)
    if (family, head) != ("bert-cased", "SequenceClassification"):
        assert "another kind of model" in (says := refusal(folder)) or "no trained token" in says


def test_a_head_of_more_than_a_token_classifier_is_refused(make: Callable[..., Path]) -> None:
    folder = make()
    weights = load_file(folder / "model.safetensors")
    weights["crf.transitions"] = torch.zeros(9, 9)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "that no token classifier of transformers has (crf.transitions)" in refusal(folder)


@pytest.mark.parametrize("value", [None, "BertForTokenClassification", ...])
def test_an_architecture_may_be_missing_or_a_text(make: Callable[..., Path], value: Any) -> None:
    folder = make()
    change(folder, architectures=value)
    assert load(folder).info.types == ("LOC", "MISC", "ORG", "PER")


def test_an_architecture_that_is_no_name_is_refused(make: Callable[..., Path]) -> None:
    folder = make()
    change(folder, architectures={"0": "Bert"})
    assert "architectures in its config.json is an object; it must be a list" in refusal(folder)


# --- Configurations


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
BROKEN_JSON: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    **BROKEN,
    "mark": (
        lambda data: b"\xef\xbb\xbf" + data,
        "begins with a byte order mark; save",
    ),
    "cut": (lambda data: data[: len(data) // 2], "is cut off in line "),
    "cut word": (lambda _: b'{"a": tru', "is cut off in line 1"),
    "cut text": (lambda _: b'{"a": "tru', "is cut off in line 1"),
    "utf-16": (lambda data: data.decode().encode("utf-16"), "is not UTF-8 (byte 0); save it as"),
    "latin-1": (lambda _: b'{"a": "\xe9"}', "is not UTF-8 (byte 7); save it as UTF-8"),
    "comma": (lambda _: b'{"a": 1, }', "is not JSON ("),
    "digits": (lambda _: b'{"a": ' + b"9" * 5000 + b"}", "is not JSON as anyone writes it ("),
    "list": (lambda _: b"[]", "holds a list where an object is due"),
    "null": (lambda _: b"null", "holds null where an object is due"),
}


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "tokenizer.json"])
@pytest.mark.parametrize("kind", BROKEN_JSON)
def test_a_file_that_is_no_json_object_is_named(
    make: Callable[..., Path], file: str, kind: str
) -> None:
    data, says = BROKEN_JSON[kind]
    folder = make()
    spoil(file, data)(folder)
    assert refusal(folder).startswith(f"its {file} {says}")


def test_a_configuration_may_hold_what_json_does_not_know(make: Callable[..., Path]) -> None:
    folder = make()
    change(folder, layerdrop=float("nan"))
    assert load(folder).info.types == ("LOC", "MISC", "ORG", "PER")


@pytest.mark.parametrize(
    ("value", "shown"),
    [("512", '"512"'), (0, "0"), (-1, "-1"), (True, "true"), ([64], "a list"), (float("nan"), "N")],
)
def test_a_longest_input_that_is_no_number_is_refused(
    make: Callable[..., Path], value: Any, shown: str
) -> None:
    folder = make()
    change(folder, "tokenizer_config.json", model_max_length=value)
    says = refusal(folder)
    assert says.startswith(f"model_max_length in its tokenizer_config.json is {shown}")
    assert says.endswith("it must be a number of tokens without quotes, such as 512")


@pytest.mark.parametrize("value", [None, 64, 64.0, 1e30, float("inf"), ...])
def test_a_longest_input_may_be_missing_or_absurd(make: Callable[..., Path], value: Any) -> None:
    folder = make()
    change(folder, "tokenizer_config.json", model_max_length=value)
    assert load(folder).max_tokens == 64


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"model_type": ...}, "config.json must name the family of the model under model_type"),
        ({"model_type": 3}, 'such as "bert", not a number'),
        (
            {"model_type": "gliner"},
            "names the family 'gliner' under model_type, which",
        ),
        ({"hidden_size": "32"}, "cannot be used (Validation error for field 'hidden_size'"),
        ({"num_hidden_layers": 1}, "it says 1 layers (num_hidden_layers), and they are 2; put"),
        ({"num_hidden_layers": 0}, "it says 0 layers (num_hidden_layers), and they are 2; put"),
        ({"hidden_size": 64}, "its config.json is of another model than its weights: bert."),
        ({"vocab_size": 10}, "is of shape (553, 32), and would be (10, 32); put the config.json"),
    ],
)
def test_a_configuration_of_another_model_is_named(
    make: Callable[..., Path], changes: dict[str, Any], says: str
) -> None:
    folder = make()
    change(folder, **changes)
    assert says in refusal(folder)


@pytest.mark.parametrize("family", ["bert-cased", "deberta-v3"])
def test_an_activation_that_there_is_none_is_named(make: Callable[..., Path], family: str) -> None:
    folder = make(family)
    change(folder, hidden_act="nonsense")
    assert refusal(folder) == (
        "its config.json names 'nonsense', which transformers does not know; correct it, or copy "
        "or download it again"
    )


def test_an_attention_that_is_no_name_is_left_to_the_library(make: Callable[..., Path]) -> None:
    folder = make()
    change(folder, attn_implementation=["eager"])
    assert entities_of(tagger_of(folder), SENTENCES[0]) == entities_of(
        tagger_of(tiny_folder()), SENTENCES[0]
    )


# --- Weights


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


def rewrite(
    folder: Path, change_weights: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]
) -> None:
    path = folder / "model.safetensors"
    found = {key: weight.clone() for key, weight in load_file(path).items()}
    save_file(change_weights(found), path, {"format": "pt"})


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


# --- Tokenizers


def as_json(folder: Path) -> None:
    (folder / "vocab.json").write_text(json.dumps(take_tokenizer(folder)["vocab"]))


def as_lines(folder: Path) -> None:
    vocabulary = take_tokenizer(folder)["vocab"]
    names = [one if isinstance(one, str) else one[0] for one in vocabulary]
    (folder / "vocab.txt").write_text("\n".join(names), encoding="utf-8")


def as_merges(folder: Path, merges: str | None = None) -> None:
    model = take_tokenizer(folder)
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    lines = "\n".join(" ".join(pair) for pair in model["merges"])
    (folder / "merges.txt").write_text(f"#version: 0.2\n{lines}" if merges is None else merges)


@pytest.mark.parametrize(
    ("family", "spoil", "says"),
    [
        (
            "bert-cased",
            as_json,
            "of the family bert (BertTokenizer) is read from tokenizer.json or",
        ),
        ("distilbert", as_json, "is read from tokenizer.json or vocab.txt, and it has vocab.json;"),
        (
            "xlm-roberta",
            as_lines,
            "tokenizer.json or sentencepiece.bpe.model, and it has vocab.tx",
        ),
        (
            "xlm-roberta",
            as_json,
            "tokenizer.json or sentencepiece.bpe.model, and it has vocab.js",
        ),
        ("deberta-v3", as_lines, "is read from tokenizer.json or spm.model, and it has vocab.txt"),
        ("roberta", as_lines, "tokenizer.json or vocab.json and merges.txt, and it has vocab.txt;"),
        ("roberta", as_json, "tokenizer.json or vocab.json and merges.txt, and it has vocab.json;"),
        ("roberta", take_tokenizer, "vocab.json and merges.txt, and it has no tokenizer files;"),
        ("roberta", lambda folder: as_merges(folder, ""), "its merges.txt is empty"),
        (
            "roberta",
            lambda folder: as_merges(folder, "#version: 0.2\n"),
            "its merges.txt has no",
        ),
    ],
)
def test_a_tokenizer_that_lacks_a_file_of_its_family_is_refused(
    make: Callable[..., Path], family: str, spoil: Callable[[Path], object], says: str
) -> None:
    folder = make(family)
    spoil(folder)
    assert says in refusal(folder)


def test_vocabulary_and_merges_are_a_tokenizer(make: Callable[..., Path]) -> None:
    folder = make("roberta")
    as_merges(folder)
    expected = tokens(load(tiny_folder("roberta")), "Marta of Zürich")
    assert tokens(load(folder), "Marta of Zürich") == expected


def test_a_tokenizer_of_another_class_needs_the_files_of_that_class(
    make: Callable[..., Path],
) -> None:
    """As KLUE's RoBERTa has it: BERT's tokenizer."""
    folder = make("bert-cased")
    expected = tokens(load(folder), "Marta of Zürich")
    as_lines(folder)
    config = transformers.RobertaConfig(
        vocab_size=553, hidden_size=32, num_hidden_layers=1, num_attention_heads=4,
        intermediate_size=64, id2label=dict(enumerate(LABELS)), label2id={}, pad_token_id=0,
    )  # fmt: skip
    transformers.RobertaForTokenClassification(config).save_pretrained(folder)
    assert "RobertaTokenizer) is read from" in refusal(folder)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    assert tokens(load(folder), "Marta of Zürich") == expected


@pytest.mark.parametrize("data", [pair[0] for pair in BROKEN.values()])
def test_a_vocabulary_that_is_none_is_named(
    make: Callable[..., Path], data: Callable[[bytes], bytes]
) -> None:
    folder = make()
    as_lines(folder)
    spoil("vocab.txt", data)(folder)
    assert refusal(folder).startswith("its vocab.txt is ")


@pytest.mark.parametrize("is_told", [None, False, True])
def test_a_cased_vocabulary_keeps_its_case(make: Callable[..., Path], is_told: bool | None) -> None:
    """The library lowers it where tokenizer_config.json does not say; what that says is done."""
    folder = make()
    expected = tokens(load(folder), "Marta of Zürich")
    as_lines(folder)
    if is_told is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": is_told}))
    found = tokens(load(folder), "Marta of Zürich")
    assert (found == expected) == (is_told is not True)
    assert found[0] == ("mar" if is_told else "Mar")


def test_an_uncased_vocabulary_is_lowered(make: Callable[..., Path]) -> None:
    folder = make("bert-uncased")
    expected = tokens(load(folder), "Marta of Zürich")
    as_lines(folder)
    path = folder / "vocab.txt"
    names = path.read_text(encoding="utf-8").split("\n")
    # As in a vocabulary that was made of lowered text, every piece has its number.
    kept = [name if name.startswith("[") else name.lower() for name in names]
    unused = [f"[unused{place}]" for place in range(len(names))]
    lines = [n if n not in kept[:i] else unused[i] for i, n in enumerate(kept)]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert tokens(load(folder), "Marta of Zürich") == expected


@pytest.mark.parametrize("says", [None, {"tokenizer_class": "BertTokenizer"}])
def test_a_document_of_a_cased_tokenizer_keeps_its_case(
    make: Callable[..., Path], says: dict[str, str] | None
) -> None:
    folder = make()
    expected = tokens(load(folder), "Marta of Zürich")
    (folder / "tokenizer_config.json").unlink()
    if says is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(says))
    assert tokens(load(folder), "Marta of Zürich") == expected


def test_a_sentencepiece_model_alone_is_told_how_to_become_a_tokenizer(
    make: Callable[..., Path],
) -> None:
    folder = make("deberta-v3")
    take_tokenizer(folder)
    (folder / "spm.model").write_bytes(b"\x0a\x05\x0a\x01a")
    says = refusal(folder)
    assert says.startswith("its tokenizer is there as spm.model alone, which takes libraries")
    assert "does without; write a tokenizer.json beside it once, where sentencepiece and" in says
    assert "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)" in says
    (folder / "spm.model").write_bytes(POINTER)
    assert refusal(folder).startswith("its spm.model is a Git LFS pointer")
    (folder / "spm.model").write_bytes(b"\x0a\x05\x0a\x01a")
    (folder / "spm.model").rename(folder / "spiece.model")
    assert "does without; rename it to spm.model and write a tokenizer.json" in refusal(folder)


def test_a_pad_token_that_was_added_without_weights_is_fine(make: Callable[..., Path]) -> None:
    folder = make("deberta-v3")
    text = f"{SENTENCES[0]} [FILL] {SENTENCES[1]}"
    expected = entities_of(tagger_of(folder), text)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"pad_token": "[FILL]"})
    tokenizer.save_pretrained(folder)
    tagger = tagger_of(folder)
    assert tagger.tokenizer.token_to_id("[FILL]") == 298
    assert load(folder).pad_id == 0
    # Windows of many lengths, so that the short ones are filled up.
    assert entities_of(tagger, text) == expected
    texts = " ".join(SENTENCES) * 3
    assert entities_of(tagger, texts) == entities_of(tagger_of(tiny_folder("deberta-v3")), texts)


def test_weights_may_be_padded_to_a_round_number(tmp_path: Path) -> None:
    folder = save_tiny_model(tmp_path / "padded")
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    model.resize_token_embeddings(640)
    model.save_pretrained(folder)
    assert load(folder).network.get_input_embeddings().num_embeddings == 640


def test_a_tokenizer_of_few_pieces_is_not_that_of_the_weights(make: Callable[..., Path]) -> None:
    folder = make()
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    model.resize_token_embeddings(1_200)
    model.save_pretrained(folder)
    assert "its tokenizer knows 553 pieces, its weights 1200; put the tokenizer" in refusal(folder)


def test_a_tokenizer_of_another_kind_and_fewer_pieces_is_refused(
    make: Callable[..., Path],
) -> None:
    folder = make("bert-cased")
    for path in tiny_folder("roberta").glob("token*"):
        shutil.copy(path, folder)
    assert "its tokenizer knows 420 pieces, its weights 553; put the tokenizer" in refusal(folder)


def test_a_vocabulary_that_is_cut_off_is_refused(make: Callable[..., Path]) -> None:
    folder = make()
    as_lines(folder)
    names = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    (folder / "vocab.txt").write_text("\n".join(names[:330]), encoding="utf-8")
    assert "its tokenizer knows 330 pieces, its weights 553; put the tokenizer" in refusal(folder)


def test_a_tokenizer_to_which_all_is_unknown_is_refused(make: Callable[..., Path]) -> None:
    folder = make()
    as_lines(folder)
    names = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    (folder / "vocab.txt").write_text("\n".join(names[:5] + [f"q{n}" for n in range(548)]))
    assert refusal(folder).startswith("to its tokenizer 100% of a text are unknown, in")


def test_a_document_without_its_merges_is_refused(make: Callable[..., Path]) -> None:
    folder = make("roberta")
    document = json.loads((folder / "tokenizer.json").read_text())
    document["model"]["merges"] = []
    (folder / "tokenizer.json").write_text(json.dumps(document))
    assert refusal(folder).startswith("its tokenizer never uses most of its own pieces")
