"""Fine-tuning a token-classification checkpoint on labelled articles.

The labels of sub-words: a word's first sub-word has the word's label, the
others the ``I-`` of its type, so that whole words, read from their first
sub-word, and sub-words read one by one both give the same entities.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from consumer.evaluation.conll import LabelledArticle
from consumer.tagging.model.processor import keep_freed_memory
from consumer.training.byte_dropout import DropoutMasks, use_byte_dropout
from consumer.training.data import Example, collate, encode_articles, make_batches
from consumer.training.distillation import Teachers, distillation_loss
from consumer.training.example_source import ExampleSource
from consumer.training.progress import EpochReport, Progress
from consumer.training.recipe import Recipe
from consumer.training.row_gradients import RowGradientEmbedding, use_row_gradients
from consumer.training.whole_articles import score_articles


class Trainer:
    """Owns a model while it is trained. Not safe for use from several threads.

    The outcome depends on the recipe, the data, the device and its number of
    threads only: each epoch seeds its draws from the recipe's seed and its own
    number, so that a resumed run goes on exactly as one that was never stopped.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        recipe: Recipe,
        device: torch.device,
        teachers: Teachers | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._recipe = recipe
        self._device = device
        self._teachers = teachers
        self._masks: DropoutMasks | None = None
        self._embedding: RowGradientEmbedding | None = None
        if device.type == "cpu":
            keep_freed_memory()
            self._masks = use_byte_dropout(model)
            self._embedding = use_row_gradients(model)
        self._model = model.to(device)
        self._optimizer = torch.optim.AdamW(
            # Biases and layer norms are not decayed, as in BERT's published code.
            [
                {
                    "params": [p for p in model.parameters() if p.ndim > 1],
                    "weight_decay": recipe.weight_decay,
                },
                {
                    "params": [p for p in model.parameters() if p.ndim <= 1],
                    "weight_decay": 0.0,
                },
            ],
            lr=recipe.learning_rate,
            fused=True,
        )
        self._average = AveragedModel(model, multi_avg_fn=_moving_average(recipe.ema_decay))
        self._finished_epochs = 0
        self._best_f1 = -1.0

    @property
    def finished_epochs(self) -> int:
        """Epochs behind this model, those before a resume included."""
        return self._finished_epochs

    @property
    def averaged_model(self) -> PreTrainedModel:
        """The model that is scored and saved."""
        return self._average.module

    def train(
        self,
        train: Sequence[LabelledArticle],
        dev: Sequence[LabelledArticle],
        on_progress: Callable[[Progress], None],
        on_epoch: Callable[[EpochReport], None],
    ) -> None:
        """Runs the epochs that are left; blocks for all of them.

        Raises:
            FloatingPointError: the loss is no longer a finite number.
        """
        encoded_dev = encode_articles(self._tokenizer, dev)
        source = ExampleSource(
            self._tokenizer, self._recipe, dict(self._model.config.label2id), train
        )
        for epoch in range(self._finished_epochs, self._recipe.epochs):
            started = time.monotonic()
            batches = self._draw_batches(epoch, source)
            loss = self._train_epoch(epoch, batches, on_progress)
            trained = time.monotonic()
            with self._autocast():
                scores = score_articles(
                    self.averaged_model, self._tokenizer, encoded_dev, self._recipe.max_length
                )
            is_best = scores.overall.f1 > self._best_f1
            self._best_f1 = max(self._best_f1, scores.overall.f1)
            self._finished_epochs = epoch + 1
            on_epoch(
                EpochReport(
                    epoch=epoch + 1,
                    loss=loss,
                    scores=scores,
                    training_s=trained - started,
                    scoring_s=time.monotonic() - trained,
                    is_best=is_best,
                )
            )

    def save_state(self, path: Path) -> None:
        """Writes what `resume` needs; an interrupted write leaves the old file."""
        state = {
            "model": self._model.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "finished_epochs": self._finished_epochs,
            "best_f1": self._best_f1,
            "recipe": asdict(self._recipe),
        }
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(path)

    def resume(self, path: Path) -> None:
        """Takes up the state that `save_state` left.

        The recipe may have another number of epochs; the learning rate goes on
        from where a run of that length would be.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it was made with another recipe.
        """
        state = torch.load(path, map_location=self._device, weights_only=True)
        recipe = asdict(self._recipe)
        changed = [
            name
            for name in recipe
            if name != "epochs" and state["recipe"].get(name) != recipe[name]
        ]
        if changed:
            raise ValueError(
                "begun with " + ", ".join(f"{name}={state['recipe'].get(name)}" for name in changed)
            )
        self._model.load_state_dict(state["model"])
        self._average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._finished_epochs = state["finished_epochs"]
        self._best_f1 = state["best_f1"]

    def _draw_batches(self, epoch: int, source: ExampleSource) -> list[list[Example]]:
        """This epoch's chunks of the articles; also seeds what draws for dropout."""
        draw = random.Random(f"{self._recipe.seed}/{epoch}")
        seed = draw.getrandbits(63)
        torch.manual_seed(seed)
        if self._masks is not None:
            self._masks.seed(seed)
        return make_batches(source.draw(draw), self._recipe.batch_tokens, draw)

    def _train_epoch(
        self, epoch: int, batches: list[list[Example]], on_progress: Callable[[Progress], None]
    ) -> float:
        self._model.train()
        total = 0.0
        for index, batch in enumerate(batches):
            share = (epoch + (index + 1) / (len(batches) + 1)) / self._recipe.epochs
            for group in self._optimizer.param_groups:
                group["lr"] = self._recipe.learning_rate_at(share)
            value = self._step(batch)
            if not math.isfinite(value):
                raise FloatingPointError(f"the loss is {value} in epoch {epoch + 1}")
            total += value
            on_progress(Progress(epoch + 1, index + 1, len(batches), value))
        return total / len(batches)

    def _step(self, batch: Sequence[Example]) -> float:
        """One update of the weights; the batch's loss, before it."""
        ids, mask, labels = collate(batch, self._tokenizer, self._device)
        with self._autocast():
            logits = self._model(input_ids=ids, attention_mask=mask).logits
            taught = None if self._teachers is None else self._teachers(ids, mask)
        loss = distillation_loss(logits, labels, taught, self._recipe.distillation)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._model.parameters(), self._recipe.max_gradient_norm)
        self._optimizer.step()
        self._clear_gradients(ids)
        self._average.update_parameters(self._model)
        return float(loss.detach())

    def _clear_gradients(self, ids: torch.Tensor) -> None:
        if self._embedding is None:
            self._optimizer.zero_grad()
            return
        for parameter in self._model.parameters():
            if parameter is not self._embedding.weight:
                parameter.grad = None
        self._embedding.clear(ids)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self._device.type, dtype=torch.bfloat16, enabled=self._recipe.bfloat16
        )


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """An update for AveragedModel whose average starts short and grows long.

    Until ``decay`` is reached the window grows with the steps, so that the early
    average does not hang on to weights that know nothing. (TensorFlow's
    ExponentialMovingAverage with ``num_updates`` has the same formula.)
    """

    @torch.no_grad()
    def update(averaged: Any, current: Any, steps: torch.Tensor) -> None:
        count = int(steps)
        now = min(decay, (1 + count) / (10 + count))
        torch._foreach_lerp_(averaged, current, 1 - now)

    return update
