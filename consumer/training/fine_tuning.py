"""One fine-tuning run and its folder: checkpoint, state, scores, model card."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import transformers
from transformers import PreTrainedModel

from consumer import __version__
from consumer.contracts.errors import ModelError, SettingsError
from consumer.contracts.schemes import OUTSIDE
from consumer.evaluation.conll import LabelledArticle, corpus_statistics
from consumer.evaluation.scoring import Scores
from consumer.training.case_marks import mark_ids, with_case_marks
from consumer.training.checkpoint import (
    load_alike,
    load_model,
    load_tokenizer,
    require_positions,
    save_checkpoint,
)
from consumer.training.data import encode_articles
from consumer.training.distillation import Teachers
from consumer.training.model_card import TrainingRun, model_card
from consumer.training.progress import (
    EpochReport,
    Progress,
    append_report,
    read_reports,
)
from consumer.training.recipe import Recipe
from consumer.training.trainer import Trainer
from consumer.training.whole_articles import score_articles


class FineTuning:
    """A run on given articles, begun anew or taken up where it was stopped.

    Raises:
        ModelError: the checkpoint or a teacher cannot be loaded or has no fast
            tokenizer, or the device is not there.
        SettingsError: the recipe asks for what the checkpoint does not have.
    """

    def __init__(
        self,
        base_model: str,
        output: Path,
        recipe: Recipe,
        train: Sequence[LabelledArticle],
        dev: Sequence[LabelledArticle],
        device: str = "auto",
        threads: int | None = None,
        teachers: Sequence[str] = (),
    ) -> None:
        self._base_model = base_model
        self._output = output
        self._recipe = recipe
        self._train = train
        self._dev = dev
        self._reports: list[EpochReport] = []
        self._scores: Scores | None = None
        self._train_statistics = corpus_statistics(train)
        labels = [OUTSIDE]
        for name, _ in self._train_statistics.entities:
            labels += [f"B-{name}", f"I-{name}"]
        self._labels = labels
        self._device = _select_device(device, threads)
        # Its report of the weights left out and its bars would tear our progress
        # apart; a head that is new is what fine-tuning is for.
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        try:
            self._tokenizer = load_tokenizer(base_model, recipe.max_length)
            model = load_model(
                base_model,
                labels,
                seed=recipe.seed,
                dropout=recipe.dropout,
                attention_dropout=recipe.attention_dropout,
            )
            require_positions(model, recipe.max_length)
            if recipe.case_marks and not mark_ids(self._tokenizer):
                self._tokenizer = with_case_marks(model, self._tokenizer, recipe.seed)
        except (OSError, ValueError) as error:
            raise ModelError(f"cannot fine-tune {base_model}: {error}") from error
        self._check_recipe()
        taught = [self._teacher(name) for name in teachers]
        self._trainer = Trainer(
            model,
            self._tokenizer,
            recipe,
            self._device,
            Teachers(taught, self._device) if taught else None,
        )

    def _check_recipe(self) -> None:
        if self._recipe.recased_chunks and not mark_ids(self._tokenizer):
            raise SettingsError(
                "--recased-chunks",
                f"the tokenizer of {self._base_model} writes no marks of case",
                "add --case-marks, or leave it out",
            )
        if self._recipe.masked_words and self._tokenizer.mask_token_id is None:
            raise SettingsError(
                "--masked-words",
                f"the tokenizer of {self._base_model} has no mask token",
                "leave it out",
            )

    def _teacher(self, name: str) -> PreTrainedModel:
        """A teacher with the student's sub-words and labels, in the student's order."""
        try:
            return load_alike(name, self._recipe.max_length, self._tokenizer, self._labels)
        except (OSError, ValueError) as error:
            raise ModelError(f"cannot learn from {name}: {error}") from error

    @property
    def state_path(self) -> Path:
        """The file from which a stopped run goes on; there once an epoch is done."""
        return self._output / "training" / "state.pt"

    @property
    def _reports_path(self) -> Path:
        return self._output / "training" / "epochs.jsonl"

    def resume(self) -> None:
        """Takes up the run in the output folder.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it was begun with another recipe.
        """
        self._trainer.resume(self.state_path)
        self._reports = read_reports(self._reports_path, self._trainer.finished_epochs)

    def run(
        self, on_progress: Callable[[Progress], None], on_epoch: Callable[[EpochReport], None]
    ) -> Scores:
        """Trains the epochs that are left, each saved as it ends; then loads what was
        saved and scores it. Blocks for all of that.

        Raises:
            ModelError: the loss is no longer a finite number.
        """
        self.state_path.parent.mkdir(parents=True, exist_ok=True)
        # Lines of an epoch whose state was not saved any more, or of an older run.
        self._reports_path.write_text("", encoding="utf-8")
        for report in self._reports:
            append_report(self._reports_path, report)

        def end_epoch(report: EpochReport) -> None:
            if report.is_best:
                save_checkpoint(self._trainer.averaged_model, self._tokenizer, self._output)
            append_report(self._reports_path, report)
            # Last, so that a run that is stopped here trains this epoch again.
            self._trainer.save_state(self.state_path)
            self._reports.append(report)
            on_epoch(report)

        try:
            self._trainer.train(self._train, self._dev, on_progress, end_epoch)
        except FloatingPointError as error:
            raise ModelError(f"{error}; a lower --learning-rate may help") from error
        self._scores = score_checkpoint(
            self._output, self._dev, self._recipe.max_length, self._device
        )
        return self._scores

    def write_card(self, command: str, notes: str) -> None:
        """Writes the model card of a finished run to README.md in the output folder."""
        assert self._scores is not None, "the card is written after the run"
        card = model_card(
            TrainingRun(
                name=self._output.resolve().name,
                base_model=self._base_model,
                command=command,
                versions=versions(),
                machine=self._describe_device(),
                recipe=self._recipe,
                train=self._train_statistics,
                dev=corpus_statistics(self._dev),
                reports=self._reports,
                scores=self._scores,
                notes=notes,
            )
        )
        (self._output / "README.md").write_text(card, encoding="utf-8")

    def _describe_device(self) -> str:
        if self._device.type == "cuda":
            return f"one {torch.cuda.get_device_name(self._device)}"
        return f"a CPU with {torch.get_num_threads()} threads"


def versions() -> tuple[tuple[str, str], ...]:
    """(package, version) of what a card's outcome depends on."""
    return (
        ("nerstream", __version__),
        ("torch", torch.__version__),
        ("transformers", transformers.__version__),
        ("Python", platform.python_version()),
    )


def score_checkpoint(
    folder: Path, dev: Sequence[LabelledArticle], max_length: int, device: torch.device
) -> Scores:
    """Scores of a saved checkpoint in float32 on whole articles."""
    tokenizer = load_tokenizer(str(folder), max_length)
    model = load_model(str(folder), [], seed=0, dropout=None, attention_dropout=None)
    return score_articles(model.to(device), tokenizer, encode_articles(tokenizer, dev), max_length)


def _select_device(name: str, threads: int | None) -> torch.device:
    """``auto`` is the first CUDA device, or else the CPU, with ``threads`` threads."""
    if threads is not None:
        torch.set_num_threads(threads)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    # An AssertionError is what a torch built without CUDA raises here.
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"cannot use the device {name}: {error}") from error
    return device
