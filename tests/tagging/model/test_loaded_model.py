"""Loading a model: what it is called, and every reason to refuse one."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from consumer.contracts.errors import ModelError
from consumer.tagging.model import folder as model_folder
from consumer.tagging.model.folder import find_model_folder
from consumer.tagging.model.labels import Labels
from consumer.tagging.model.loaded_model import LoadedModel
from consumer.tagging.select import load_model
from tests.support.models.tiny_models import FAMILIES, save_tiny_model, tiny_folder
from tests.support.processes import warm_process
from tests.support.processes.warm_process import WarmTorch
from tests.support.servers.fake_hub import FakeHub, fake_hub


def load(name: Path | str, **changes: Any) -> LoadedModel:
    arguments = {"revision": "", "device": "cpu", "dtype": "float32", "threads": 0, **changes}
    return load_model(str(name), **arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of a tiny model that a test may spoil."""
    return Path(shutil.copytree(tiny_folder(), tmp_path / "tiny"))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_known_of_a_model(family: str) -> None:
    model = load(tiny_folder(family))
    is_roberta = family in ("roberta", "xlm-roberta")
    assert model.max_tokens == 64
    assert model.first_position == (2 if is_roberta else 0)
    assert model.special_tokens == 2
    assert model.info.name == tiny_folder(family).name
    assert re.fullmatch(r"sha256:[0-9a-f]{12}", model.info.revision)
    assert (model.info.device, model.info.dtype) == ("cpu", "float32")
    assert model.info.types == ("LOC", "MISC", "ORG", "PER")
    assert not model.network.training


def test_a_folder_is_called_by_its_own_name_however_it_is_reached(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.chdir(folder)
    inside = folder / "1_Pooling"
    inside.mkdir()
    for name in (str(folder), f"{folder}/", f"~/{folder.name}", ".", f"{inside}/.."):
        assert find_model_folder(name, "").name == folder.name, name
    (tmp_path / "current").symlink_to(folder)
    assert find_model_folder(str(tmp_path / "current"), "").name == "current"


def test_two_folders_of_one_name_differ_by_their_revision(tmp_path: Path) -> None:
    found = [
        find_model_folder(str(save_tiny_model(tmp_path / str(seed) / "ner", seed=seed)), "")
        for seed in (1, 2)
    ]
    assert [one.name for one in found] == ["ner", "ner"]
    assert found[0].revision != found[1].revision


@pytest.mark.parametrize(
    ("says", "problem"),
    [
        ("{", "its nerstream.json cannot be read: unexpected end of data"),
        ("[]", 'must hold an object whose "faithful_dtypes" is a list of some of bfloat16, '),
        ('{"faithful_dtypes": "int8"}', 'whose "faithful_dtypes" is a list'),
        ('{"faithful_dtypes": ["int4"]}', "a list of some of bfloat16, float16, int16, int8"),
        ('{"faithful_dtypes": [["int8"]]}', "a list of some of bfloat16, float16, int16, int8"),
    ],
)
def test_what_a_model_says_of_itself_wrongly_is_named(
    tmp_path: Path, says: str, problem: str
) -> None:
    folder = save_tiny_model(tmp_path / "ner")
    (folder / "nerstream.json").write_text(says)
    with pytest.raises(ModelError, match=re.escape(problem)):
        load(folder, device="cpu", dtype="auto")
    assert load(folder, device="cpu", dtype="float32").info.dtype == "float32"


def test_weights_of_another_precision_are_converted(folder: Path) -> None:
    path = folder / "model.safetensors"
    save_file({k: v.half() for k, v in load_file(path).items()}, path, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    assert load(folder).network.dtype == torch.float32
    assert load(folder, dtype="bfloat16").network.dtype == torch.bfloat16


def test_the_revision_of_a_folder_is_that_of_its_weights(folder: Path) -> None:
    before = load(folder).info.revision
    assert load(tiny_folder()).info.revision == before
    (folder / "README.md").write_text("a note")
    assert load(folder).info.revision == before
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][0] += 1
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert load(folder).info.revision != before


def test_a_tokenizer_without_a_limit_takes_that_of_the_positions(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    del config["model_max_length"]
    path.write_text(json.dumps(config))
    assert load(folder).max_tokens == 64


def test_truncation_saved_with_a_tokenizer_cuts_nothing(folder: Path) -> None:
    path = folder / "tokenizer.json"
    document = json.loads(path.read_text())
    document["truncation"] = {
        "direction": "Right",
        "max_length": 5,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    document["padding"] = {
        "strategy": {"Fixed": 128},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    path.write_text(json.dumps(document))
    assert len(load(folder).tokenizer.encode("of " * 30, add_special_tokens=False).ids) == 30


def test_a_vocabulary_in_place_of_a_tokenizer_file_is_enough(folder: Path) -> None:
    """As dslim/bert-base-NER has it: vocab.txt and tokenizer_config.json."""
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "tokenizer.json").unlink()
    names = sorted(vocabulary, key=vocabulary.__getitem__)
    (folder / "vocab.txt").write_text("\n".join(names), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"do_lower_case": False, "model_max_length": 64})
    )
    with_vocabulary = load(folder)
    text = "Marta of Zürich"
    expected = load(tiny_folder()).tokenizer.encode(text, add_special_tokens=False).ids
    assert with_vocabulary.tokenizer.encode(text, add_special_tokens=False).ids == expected
    assert (with_vocabulary.prefix_ids, with_vocabulary.suffix_ids) == ((2,), (3,))


def test_threads_are_set() -> None:
    before = torch.get_num_threads()
    try:
        load(tiny_folder(), threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_folder_that_is_not_there_is_named() -> None:
    for name in ("./no/such/model", "/no/such/model", "no such model"):
        with pytest.raises(ModelError, match=f"model {name}: no such folder; --model takes a"):
            load(name)


def without_weights(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def without_a_head(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "classifier" not in name}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def without_a_layer(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["bert.encoder.layer.1.output.dense.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def without_a_tokenizer(folder: Path) -> None:
    for path in folder.glob("token*"):
        path.unlink()


def with_a_tokenizer_of_another_model(folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["Vesna", "Orle"])
    tokenizer.save_pretrained(folder)


def with_nameless_labels(folder: Path) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    nameless = [f"LABEL_{index}" for index in range(9)]
    config["id2label"] = {str(index): label for index, label in enumerate(nameless)}
    path.write_text(json.dumps(config))


def with_names_nowhere(folder: Path) -> None:
    with_nameless_labels(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["label2id"] = {label: int(index) for index, label in config["id2label"].items()}
    path.write_text(json.dumps(config))


def with_a_broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def without_a_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def with_cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def with_no_room(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": 2}))


def as_another_kind(folder: Path) -> None:
    labels = json.loads((folder / "config.json").read_text())["id2label"]
    transformers.ViTConfig(id2label=labels).save_pretrained(folder)


def meaning(labels: Labels) -> tuple[object, ...]:
    return labels.types, labels.scheme, labels.type_ids.tolist(), labels.begins.tolist()


def test_names_that_only_label2id_has_are_those_of_the_outputs(folder: Path) -> None:
    """As the library saves a model that was trained with `label2id` alone."""
    before = meaning(load(folder).labels)
    with_nameless_labels(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    assert config["label2id"]["B-PER"] > 0
    assert meaning(load(folder).labels) == before
    # One output would have two names, or none.
    wrongs: list[Any] = [{**config["label2id"], "B-PER": 0}, {"O": 0}, {"O": "0"}, [], None]
    for wrong in wrongs:
        path.write_text(json.dumps({**config, "label2id": wrong}))
        with pytest.raises(ModelError, match="its labels have no names"):
            load(folder)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (without_weights, "no weights as safetensors .* but pytorch_model.bin, .*save_pretrained"),
        (without_a_head, "no trained token-classification head; choose a model .* nerstream train"),
        (without_a_layer, "its weights lack 1 tensors, bert.encoder.layer.1.output.dense.weight"),
        (
            without_a_tokenizer,
            "is read from tokenizer.json or vocab.txt, and it has no tokenizer files",
        ),
        (with_a_tokenizer_of_another_model, "its tokenizer counts to token .* put the tokenizer"),
        (with_names_nowhere, r"its labels have no names \(LABEL_0, ...\); name them"),
        (with_a_broken_config, "its config.json is cut off in line 1; copy or download it again"),
        (without_a_config, "it has no config.json; name the folder that save_pretrained has"),
        (with_cut_weights, "its model.safetensors is cut off: it has .* and should have at least"),
        (with_no_room, "its longest input is 2 tokens"),
        (as_another_kind, "no trained token-classification head"),
    ],
)
def test_a_folder_that_is_no_token_classifier_is_refused(
    folder: Path, spoil: Callable[[Path], None], says: str
) -> None:
    spoil(folder)
    with pytest.raises(ModelError, match=says) as caught:
        load(folder)
    assert str(caught.value).startswith(f"model {folder}: ")
    assert "\n" not in str(caught.value)


def test_a_base_model_is_refused(tmp_path: Path) -> None:
    """An encoder without any head, as most of the hub is."""
    save_tiny_model(tmp_path)
    transformers.BertModel.from_pretrained(tmp_path).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="the architecture BertModel, which has no head that tags"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"device": "cuda"}, "finds no CUDA device here; use --device cpu or --device auto"),
        ({"device": "cuda:1"}, "finds no CUDA device here"),
        ({"device": "tpu"}, "unknown device 'tpu'; --device takes auto, cpu, cuda or cuda:N"),
        ({"device": "mps"}, "unknown device 'mps'"),
        ({"device": "cuda:-1"}, "unknown device 'cuda:-1'"),
        ({"device": "cuda:12345"}, "unknown device 'cuda:12345'"),
        ({"dtype": "float8"}, "unknown dtype 'float8'; --dtype takes auto, float32, bfloat16"),
    ],
)
def test_a_device_or_precision_that_is_not_there_is_named(
    changes: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match=says):
        load(tiny_folder(), **changes)


def test_a_device_beyond_the_last_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ModelError, match="no device cuda:2; this machine has cuda:0 to cuda:1"):
        load(tiny_folder(), device="cuda:2")


def test_the_bundled_model_is_taken_from_the_package(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(model_folder, "BUNDLED_FOLDER", folder)
    model = load("bundled")
    assert model.info.name == "bundled"
    assert model.info.revision == load(folder).info.revision
    monkeypatch.setattr(model_folder, "BUNDLED_FOLDER", folder / "absent")
    with pytest.raises(ModelError, match=r"model bundled: .* is missing from this installation"):
        load("bundled")


def load_in_a_process(name: str, revision: str, **environment: str) -> tuple[str, float, str]:
    """What was printed, seconds that were slept, and standard error.

    In a process of its own, since the hub's address is read when its library is imported; torch,
    which takes most of its time, is there already.
    """
    done = warm_process.run(
        [sys.executable, "-m", "tests.support.models.model_loader", name, revision],
        kind=WarmTorch,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    answer, slept = done.stdout.splitlines()
    return answer, float(slept), done.stderr


@pytest.mark.parametrize("environment", [{"HF_HUB_OFFLINE": "1"}, {}])
def test_a_hub_that_cannot_be_reached_is_said_at_once(
    environment: dict[str, str], tmp_path: Path
) -> None:
    answer, slept_s, stderr = load_in_a_process(
        "dslim/bert-base-NER",
        "",
        HF_HOME=str(tmp_path),
        # The discard port: nothing listens there, and the connection is refused.
        HF_ENDPOINT="http://127.0.0.1:9",
        **environment,
    )
    assert answer.startswith("model dslim/bert-base-NER: the Hugging Face hub cannot be reached")
    assert "point --model at a local folder" in answer
    assert "--model bundled" in answer
    assert stderr == ""
    # Retries would pause for 23 seconds.
    assert slept_s == 0


def test_a_cached_commit_needs_no_hub(tmp_path: Path) -> None:
    """The cache as the hub's library lays it out, found by its commit and by its branch."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "hub" / "models--some--tagger"
    shutil.copytree(tiny_folder(), repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    for revision, environment in ((commit, {}), ("", {"HF_HUB_OFFLINE": "1"}), ("", {})):
        answer, _, stderr = load_in_a_process(
            "some/tagger",
            revision,
            HF_HOME=str(tmp_path),
            HF_ENDPOINT="http://127.0.0.1:9",
            **environment,
        )
        assert (answer, stderr) == (commit, "")


@pytest.fixture
def hub() -> Iterator[str]:
    """The address of a hub that has some/tagger."""
    with fake_hub() as address:
        yield address


def test_a_model_of_the_hub_is_fetched_and_named_by_its_commit(hub: str, tmp_path: Path) -> None:
    environment = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": hub, "HF_HUB_DISABLE_XET": "1"}
    answer, _, stderr = load_in_a_process("some/tagger", "", **environment)
    assert (answer, stderr) == (FakeHub.COMMIT, "")
    fetched = {path.rpartition("/")[2] for path in FakeHub.asked if "/resolve/" in path}
    assert fetched == {file.name for file in tiny_folder().iterdir()}
    assert not any(name in path for path in FakeHub.asked for name in FakeHub.EXTRA)
    # The second time it is here, and only the branch is asked for.
    FakeHub.asked.clear()
    assert load_in_a_process("some/tagger", "", **environment)[0] == FakeHub.COMMIT
    of_the_model = [path for path in FakeHub.asked if "some/tagger" in path]
    assert of_the_model == ["/api/models/some/tagger/revision/main"]


def test_a_model_that_the_hub_does_not_have_is_named(hub: str, tmp_path: Path) -> None:
    answer, _, stderr = load_in_a_process(
        "other/tagger", "", HF_HOME=str(tmp_path), HF_ENDPOINT=hub
    )
    assert answer.startswith("model other/tagger: neither a local folder nor a model on the")
    assert stderr == ""
