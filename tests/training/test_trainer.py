from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertModel,
)

from consumer.commands.train.command import add_arguments, run
from consumer.contracts.errors import ModelError, SettingsError
from tests.support.models.training_base import LABELS, TEXT, weights


@pytest.fixture
def train(base_model: Path, tmp_path: Path) -> Callable[..., Path]:
    """Runs the command into a folder of the test and returns that folder."""
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(TEXT, encoding="utf-8")

    def command(folder: str, *options: str, base: Path = base_model) -> Path:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        output = tmp_path / folder
        arguments = parser.parse_args(
            [
                *("--base-model", str(base), "--train", str(corpus), "--dev", str(corpus)),
                *("--output", str(output), "--device", "cpu", "--threads", "1"),
                *("--max-length", "64", "--batch-tokens", "16", "--epochs", "2"),
                *("--learning-rate", "1e-2", "--ema-decay", "0.5"),
                *options,
            ]
        )
        assert run(arguments) == 0
        return output

    return command


def epoch_lines(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "training" / "epochs.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )


def test_the_saved_folder_loads_and_says_what_it_is(
    train: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = train("model", "--json")
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert summary["output"] == str(folder)
    assert summary["overall"]["gold"] == 6
    assert captured.err.count("F1") == 2

    model = AutoModelForTokenClassification.from_pretrained(folder, dtype=torch.float32)
    assert [model.config.id2label[index] for index in range(5)] == list(LABELS)
    assert model.config.label2id == {label: index for index, label in enumerate(LABELS)}
    saved = AutoTokenizer.from_pretrained(folder)
    assert saved.is_fast
    assert saved.model_max_length == 64
    assert len(saved("Maria sings in Oslo and in Bergen")["input_ids"]) == 29
    on_disk = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert on_disk["truncation"] is None
    assert on_disk["padding"] is None
    config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert not {"max_length", "stride", "is_local"} & config.keys()
    # The name that all versions of transformers read.
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == 0o644
    assert {tensor.dtype for tensor in weights(folder).values()} == {torch.float16}
    assert "_name_or_path" not in (folder / "config.json").read_text(encoding="utf-8")


def test_the_model_learns(train: Callable[..., Path]) -> None:
    folder = train("model", "--epochs", "60", "--dropout", "0", "--attention-dropout", "0")
    epochs = epoch_lines(folder)
    assert epochs[-1]["loss"] < 0.2 * epochs[0]["loss"]
    assert max(epoch["overall"]["f1"] for epoch in epochs) > 0.8


def test_the_card_gives_scores_command_and_notes(
    train: Callable[..., Path], tmp_path: Path
) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("Made up by hand; free to use.", encoding="utf-8")
    folder = train("model", "--card-notes", str(notes))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "| train | 2 | 4 | 16 | 3 LOC, 3 PER |" in card
    assert "Made up by hand; free to use." in card
    assert "--train corpus.txt" in card
    assert "--learning-rate 0.01" in card
    assert "--weight-decay" not in card
    assert card.count("| 2 |") >= 1


def test_a_seed_gives_the_same_weights_again(train: Callable[..., Path]) -> None:
    options = ("--mention-replacement", "0.5")
    one = train("one", *options, "--seed", "7")
    assert same(one, train("two", *options, "--seed", "7"))
    assert not same(one, train("three", *options, "--seed", "8"))


def test_a_resumed_run_ends_as_one_that_was_never_stopped(
    train: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train("whole", "--epochs", "3")

    from consumer.training.trainer import Trainer

    save_state = Trainer.save_state

    def stop_after_the_second(self: Trainer, path: Path) -> None:
        if self.finished_epochs == 2:
            raise KeyboardInterrupt
        save_state(self, path)

    monkeypatch.setattr(Trainer, "save_state", stop_after_the_second)
    with pytest.raises(KeyboardInterrupt):
        train("stopped", "--epochs", "3")
    monkeypatch.undo()
    resumed = train("stopped", "--epochs", "3", "--resume")

    assert same(whole, resumed)
    # The folder has the best epoch's weights, which may be from before the stop.
    states = [
        torch.load(folder / "training" / "state.pt", weights_only=True)
        for folder in (whole, resumed)
    ]
    for part in ("model", "average"):
        for name, tensor in states[0][part].items():
            assert torch.equal(tensor, states[1][part][name]), (part, name)
    assert [line["epoch"] for line in epoch_lines(resumed)] == [1, 2, 3]
    assert [line["loss"] for line in epoch_lines(whole)] == [
        line["loss"] for line in epoch_lines(resumed)
    ]


def test_a_run_may_be_made_longer(train: Callable[..., Path]) -> None:
    folder = train("model", "--epochs", "1")
    train("model", "--epochs", "3", "--resume")
    assert [line["epoch"] for line in epoch_lines(folder)] == [1, 2, 3]


def test_resume_refuses_another_recipe_and_a_folder_without_a_run(
    train: Callable[..., Path],
) -> None:
    train("model")
    with pytest.raises(SettingsError, match=r"begun with learning_rate=0\.01"):
        train("model", "--resume", "--learning-rate", "1e-3")
    with pytest.raises(SettingsError, match=r"--resume: .*state.pt is missing"):
        train("nothing", "--resume")
    with pytest.raises(SettingsError, match=r"--output: .* add --resume"):
        train("model")


def test_a_checkpoint_with_the_same_labels_keeps_its_head(
    train: Callable[..., Path], base_model: Path
) -> None:
    first = train("first")
    # So small a rate leaves the weights as they were.
    second = train("second", "--learning-rate", "1e-8", "--weight-decay", "0", base=first)
    before, after = weights(first)["classifier.weight"], weights(second)["classifier.weight"]
    assert torch.allclose(before, after, atol=1e-3)
    fresh = train("fresh", "--learning-rate", "1e-8", "--weight-decay", "0", base=base_model)
    assert not torch.allclose(before, weights(fresh)["classifier.weight"], atol=1e-3)


def test_teachers_are_learned_from(train: Callable[..., Path], tmp_path: Path) -> None:
    options = ("--learning-rate", "1e-2", "--epochs", "40")
    teacher = train("teacher", *options)
    alone = train("alone", "--seed", "2")
    # A student of the teacher's probabilities only, beside one of the labels only.
    taught = train("taught", "--seed", "2", "--teachers", str(teacher), "--distillation", "1")
    ignored = train("ignored", "--seed", "2", "--teachers", str(teacher), "--distillation", "0")
    assert not same(alone, taught)
    assert same(alone, ignored)
    card = (taught / "README.md").read_text(encoding="utf-8")
    assert "--teachers teacher \\\n" in card
    assert str(tmp_path) not in card


def test_a_teacher_of_other_sub_words_or_labels_is_refused(
    train: Callable[..., Path], base_model: Path
) -> None:
    teacher = train("teacher")
    with pytest.raises(ModelError, match=r"cannot learn from .*teacher: its sub-words are not"):
        train("student", "--teachers", str(teacher), "--case-marks", base=with_room(base_model))
    with pytest.raises(ModelError, match=r"its labels are LABEL_0, LABEL_1, not O, B-LOC"):
        train("student", "--teachers", str(base_model))
    with pytest.raises(ModelError, match="cannot learn from /none"):
        train("student", "--teachers", "/none")


def test_several_files_are_learned_from(train: Callable[..., Path], tmp_path: Path) -> None:
    more = tmp_path / "more.txt"
    more.write_text("Rome B-LOC\n", encoding="utf-8")
    corpus = tmp_path / "corpus.txt"
    folder = train("model", "--train", str(corpus), str(more))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "| train | 3 | 5 | 17 | 4 LOC, 3 PER |" in card
    assert "--train corpus.txt more.txt" in card


def with_room(base: Path) -> Path:
    """The base model with reserved pieces in its vocabulary."""
    folder = base.parent / "with-room"
    shutil.copytree(base, folder, dirs_exist_ok=True)
    file = folder / "tokenizer.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    vocabulary = document["model"]["vocab"]
    for number, piece in enumerate(("##x", "##y", "##z")):
        vocabulary[f"[unused{number}]"] = vocabulary.pop(piece)
    file.write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_a_marked_model_says_what_case_its_words_have(
    train: Callable[..., Path], base_model: Path
) -> None:
    options = ("--recased-chunks", "0.5", "--masked-words", "0.2", "--joined-articles", "0.5")
    folder = train("marked", "--case-marks", *options, base=with_room(base_model))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.tokenize("Al al") == ["a", "##l", "##\u02c4", "a", "##l"]
    assert "nerstream" not in (folder / "config.json").read_text(encoding="utf-8")
    # A second run on it keeps the marks as they are.
    again = train("again", "--case-marks", *options, base=folder)
    assert AutoTokenizer.from_pretrained(again).get_vocab() == tokenizer.get_vocab()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            ("--recased-chunks", "0.1"),
            SettingsError,
            "--recased-chunks: the tokenizer of .* writes no marks of case; add --case-marks",
        ),
        (("--case-marks",), ModelError, "0 reserved pieces .* fewer than the 3 marks"),
        (("--epochs", "0"), SettingsError, "--epochs: 0 is out of range"),
        (("--learning-rate", "nan"), SettingsError, "--learning-rate: nan is out of range"),
        (("--dropout", "1"), SettingsError, "--dropout: 1.0 is out of range"),
        (("--threads", "0"), SettingsError, "--threads: 0 is out of range"),
        (("--train", "/none.txt"), SettingsError, "--train: /none.txt cannot be read .No such"),
        (("--card-notes", "/none.md"), SettingsError, "--card-notes: cannot read /none.md"),
        (("--device", "abacus"), ModelError, "cannot use the device abacus"),
        (("--max-length", "65"), ModelError, "takes 64 sub-words at most"),
        (("--base-model", "/none"), ModelError, "cannot fine-tune /none"),
    ],
)
def test_wrong_arguments(
    train: Callable[..., Path], options: tuple[str, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        train("model", *options)


def test_a_corpus_at_fault_names_file_and_line(train: Callable[..., Path], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("Oslo LOC\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"--dev: .*wrong.txt:1: the last column is 'LOC'"):
        train("model", "--dev", str(wrong))


def test_diverged_training_is_an_error(
    train: Callable[..., Path], base_model: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(base_model, broken)
    model = BertModel.from_pretrained(broken)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight.fill_(float("nan"))
    model.save_pretrained(broken)
    with pytest.raises(ModelError, match="the loss is nan in epoch 1"):
        train("model", base=broken)
