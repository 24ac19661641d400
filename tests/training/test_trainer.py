from __future__ import annotations

import argparse
import json
import random
import shutil
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import BPE, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel
from tokenizers.processors import ByteLevel as ByteLevelProcessor
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    BertConfig,
    BertModel,
    DistilBertConfig,
    PreTrainedTokenizerFast,
)

from consumer.commands.train.command import add_arguments, run
from consumer.contracts.errors import ModelError, SettingsError
from consumer.evaluation.conll import LabelledArticle, parse_conll
from consumer.training.checkpoint import (
    _HIDDEN_DROPOUT,
    _set_dropout,
    load_tokenizer,
    save_checkpoint,
)
from consumer.training.checkpoint import load_model as load_checkpoint
from consumer.training.data import (
    IGNORED,
    Example,
    encode_articles,
    labelled_example,
    make_batches,
)
from consumer.training.recipe import Recipe
from consumer.training.whole_articles import cut_windows, predict_articles

TEXT = """-DOCSTART- O

Maria B-PER
Lund I-PER
sings O
in O
Oslo B-LOC
. O

Lund B-PER
waves O

-DOCSTART- O

Rain O
in O
Bergen B-LOC
. O

Ivar B-PER
Moe I-PER
left O
Oslo B-LOC
"""
LABELS = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")


def articles() -> list[LabelledArticle]:
    return list(parse_conll(TEXT.split("\n"), "made-up.txt"))


@pytest.fixture(scope="module")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of one layer whose sub-words are letters, and whose tokenizer
    cuts at 16 and pads, as those of sentence-transformers do."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [*string.ascii_lowercase, "."]
    vocabulary = [*special, *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(
        WordPiece({token: index for index, token in enumerate(vocabulary)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=64,
        )
    )
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(base_model: Path) -> PreTrainedTokenizerFast:
    return load_tokenizer(str(base_model), 64)


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


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


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


def test_sub_words_of_a_word_are_labelled_inside(tokenizer: PreTrainedTokenizerFast) -> None:
    (encoded,) = encode_articles(
        tokenizer, list(parse_conll(["Moe B-PER", "Al I-PER", "in O"], "made-up.txt"))
    )
    label_ids = {label: index for index, label in enumerate(LABELS)}
    words = [word for sentence in encoded for word in sentence]
    example = labelled_example(words, label_ids, tokenizer, 64)
    assert tokenizer.convert_ids_to_tokens(example.ids) == [
        *("[CLS]", "m", "##o", "##e", "a", "##l", "i", "##n", "[SEP]")
    ]
    inside = LABELS.index("I-PER")
    assert example.labels == (
        *(IGNORED, LABELS.index("B-PER"), inside, inside, inside, inside, 0, 0, IGNORED),
    )
    cut = labelled_example(words, label_ids, tokenizer, 6)
    assert (cut.ids, cut.labels) == (
        (*example.ids[:5], example.ids[-1]),
        (*example.labels[:5], IGNORED),
    )


def test_a_tokenizer_that_cuts_and_pads_no_longer_does(base_model: Path) -> None:
    truncation = Tokenizer.from_file(str(base_model / "tokenizer.json")).truncation
    assert truncation is not None
    assert truncation["max_length"] == 16
    backend = load_tokenizer(str(base_model), 64).backend_tokenizer
    assert backend.truncation is None
    assert backend.padding is None


def test_a_compiled_base_is_taken_up_by_its_weights_and_saved_without_its_wrapper(
    base_model: Path, tmp_path: Path
) -> None:
    """They would be drawn anew, without a word."""
    folder = Path(shutil.copytree(base_model, tmp_path / "compiled"))
    path = folder / "model.safetensors"
    weights = load_file(path)
    save_file({f"_orig_mod.{key}": value for key, value in weights.items()}, path)
    model = load_checkpoint(str(folder), ["O"], seed=1, dropout=None, attention_dropout=None)
    key = "embeddings.word_embeddings.weight"
    assert torch.equal(model.state_dict()[f"bert.{key}"], weights[key])
    save_checkpoint(model, load_tokenizer(str(folder), 64), tmp_path / "saved")
    saved = load_file(tmp_path / "saved" / "model.safetensors")
    assert torch.equal(saved[f"bert.{key}"], weights[key].half())
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelError, match=r"its model.safetensors is a Git LFS pointer"):
        load_checkpoint(str(folder), ["O"], seed=1, dropout=None, attention_dropout=None)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_base_with_a_broken_file_is_named(base_model: Path, tmp_path: Path, file: str) -> None:
    folder = Path(shutil.copytree(base_model, tmp_path / "broken"))
    (folder / file).write_text("{")
    with pytest.raises(ModelError, match=f"its {file} is cut off in line 1"):
        load_tokenizer(str(folder), 64)


def test_words_are_tokenized_as_the_running_text_is(tokenizer: PreTrainedTokenizerFast) -> None:
    article = articles()[0]
    (encoded,) = encode_articles(tokenizer, [article])
    ids = [token for sentence in encoded for word in sentence for token in word.ids]
    assert ids == tokenizer(article.text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("trim_offsets", [True, False])
def test_a_space_counts_to_the_word_after_it(trim_offsets: bool) -> None:
    # As in RoBERTa: the space is a letter of the next sub-word, here one of its own.
    vocabulary = {letter: index for index, letter in enumerate(ByteLevel.alphabet())}
    byte_level = Tokenizer(BPE(vocabulary, []))
    byte_level.pre_tokenizer = ByteLevel(add_prefix_space=False)
    byte_level.post_processor = ByteLevelProcessor(trim_offsets=trim_offsets)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=byte_level)
    (encoded,) = encode_articles(
        tokenizer, list(parse_conll(["Al B-PER", "in O", "Åre B-LOC"], "made-up.txt"))
    )
    assert [tokenizer.convert_ids_to_tokens(word.ids) for word in encoded[0]] == [
        ["A", "l"],
        ["Ġ", "i", "n"],
        ["Ġ", "Ã", "ħ", "r", "e"],
    ]


def test_a_dropout_that_the_model_does_not_know_is_refused() -> None:
    config = DistilBertConfig()
    _set_dropout(config, _HIDDEN_DROPOUT, 0.3)
    assert config.dropout == 0.3
    with pytest.raises(ValueError, match="has none of rate, so no dropout can be set"):
        _set_dropout(config, ("rate",), 0.3)


def test_a_word_without_sub_words_is_kept(tokenizer: PreTrainedTokenizerFast) -> None:
    # The normalizer takes zero-width characters away.
    lines = ["Moe B-PER", "\u200b O", "in O"]
    (encoded,) = encode_articles(tokenizer, list(parse_conll(lines, "made-up.txt")))
    assert [len(word.ids) for word in encoded[0]] == [3, 0, 2]


def test_batches_keep_to_the_budget_and_lose_nothing() -> None:
    draw = random.Random(5)
    examples = [Example((index,) * draw.randint(3, 60), ()) for index in range(200)]
    examples.append(Example((200,) * 500, ()))
    batches = make_batches(examples, 128, draw)
    assert sorted(e.ids[0] for batch in batches for e in batch) == list(range(201))
    for batch in batches:
        assert len(batch) == 1 or max(map(len, batch)) * len(batch) <= 128
    padded = sum(max(map(len, batch)) * len(batch) for batch in batches)
    assert padded < 1.2 * sum(map(len, examples))


@pytest.mark.parametrize("length", [0, 1, 62, 63, 100, 500])
def test_windows_give_each_sub_word_one_label_far_from_the_edge(length: int) -> None:
    windows = cut_windows(length, 62, 16)
    kept = [index for w in windows for index in range(w.keep_start, w.keep_end)]
    assert kept == list(range(length))
    for window in windows:
        assert window.end - window.start <= 62
        assert window.keep_start - window.start >= (8 if window.start else 0)
        assert window.end - window.keep_end >= (8 if window.end < length else 0)


def test_a_long_article_gets_a_label_for_each_word(
    base_model: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    model = AutoModelForTokenClassification.from_pretrained(base_model, num_labels=5)
    model.config.id2label = dict(enumerate(LABELS))
    first, second = encode_articles(tokenizer, articles())
    both = predict_articles(model.eval(), tokenizer, [second, first * 9], 64)
    assert [[len(labels) for labels in article] for article in both] == [[4, 4], [6, 2] * 9]
    # Which windows share a pass changes nothing.
    assert predict_articles(model, tokenizer, [first * 9], 64) == both[1:]


def test_the_learning_rate_rises_and_falls() -> None:
    recipe = Recipe(learning_rate=1e-3, warmup_ratio=0.2)
    assert recipe.learning_rate_at(0.1) == pytest.approx(5e-4)
    assert recipe.learning_rate_at(0.2) == pytest.approx(1e-3)
    assert recipe.learning_rate_at(0.6) == pytest.approx(5e-4)
    assert recipe.learning_rate_at(1.0) == 0.0
