"""Learning from other models beside the labels."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import cross_entropy

from consumer.training.data import IGNORED
from consumer.training.distillation import Teachers, distillation_loss

LABELS = torch.tensor([[IGNORED, 0, 2, IGNORED]])


class Sure(torch.nn.Module):
    """Says the same of every token."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> SimpleNamespace:
        del attention_mask
        return SimpleNamespace(logits=self.logits.expand(*input_ids.shape, -1))


def test_the_mean_of_the_teachers_probabilities_is_taught() -> None:
    teachers = Teachers(
        [Sure(100.0, 0.0, 0.0), Sure(0.0, 100.0, 0.0)],
        torch.device("cpu"),
    )
    taught = teachers(torch.zeros(1, 4, dtype=torch.long), torch.ones(1, 4))
    torch.testing.assert_close(taught, torch.tensor([0.5, 0.5, 0.0]).expand(1, 4, 3))


def test_the_loss_is_shared_between_labels_and_teachers() -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 4, 3)
    taught = torch.softmax(torch.randn(1, 4, 3), dim=-1)
    gold = cross_entropy(logits[0, 1:3], torch.tensor([0, 2]))
    soft = cross_entropy(logits[0, 1:3], taught[0, 1:3])
    assert distillation_loss(logits, LABELS, None, 0.5) == pytest.approx(float(gold))
    assert float(distillation_loss(logits, LABELS, taught, 0.0)) == pytest.approx(float(gold))
    assert float(distillation_loss(logits, LABELS, taught, 1.0)) == pytest.approx(float(soft))
    mixed = distillation_loss(logits.requires_grad_(), LABELS, taught, 0.25)
    assert float(mixed.detach()) == pytest.approx(0.75 * float(gold) + 0.25 * float(soft))
    mixed.backward()
    assert logits.grad is not None
    assert not logits.grad[0, 0].any()
    assert not logits.grad[0, 3].any()
