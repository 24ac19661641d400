"""Learning from other models' probabilities beside the labels (Hinton, Vinyals & Dean 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import cross_entropy, softmax
from transformers import PreTrainedModel

from consumer.training.data import IGNORED


class Teachers:
    """Models that say what they think of a batch; the mean of their probabilities is taught.

    They see each chunk as the student does, exchanged and masked words included: of the plain
    training text they know the labels by heart.

    Args:
        models: with the student's sub-words and labels, in the student's order; moved to `device`.
    """

    def __init__(self, models: Sequence[PreTrainedModel], device: torch.device) -> None:
        self._models = [model.eval().to(device) for model in models]

    @torch.inference_mode()
    def __call__(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Probabilities of shape (rows, tokens, labels), float32."""
        answers = [
            softmax(model(input_ids=ids, attention_mask=mask).logits.float(), dim=-1)
            for model in self._models
        ]
        return torch.stack(answers).mean(dim=0)


def distillation_loss(
    logits: torch.Tensor, labels: torch.Tensor, taught: torch.Tensor | None, share: float
) -> torch.Tensor:
    """Mean cross entropy over the labelled sub-words, against labels and what is taught.

    Args:
        logits: shape (rows, tokens, labels).
        labels: shape (rows, tokens); `IGNORED` counts nowhere.
        taught: probabilities of the shape of `logits`, or None for the labels alone.
        share: of the taught probabilities in the loss.
    """
    flat, gold = logits.float().flatten(0, 1), labels.flatten()
    loss = cross_entropy(flat, gold, ignore_index=IGNORED)
    if taught is None:
        return loss
    counted = gold != IGNORED
    # Out of inference mode, in which they may not take part in a graph.
    target = taught.flatten(0, 1)[counted].clone()
    return (1 - share) * loss + share * cross_entropy(flat[counted], target)
