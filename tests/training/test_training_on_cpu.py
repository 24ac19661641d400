"""What makes training on a CPU faster must not change what is learned."""

from __future__ import annotations

import copy
import sys

import torch
from torch import nn
from transformers import BertConfig, BertForTokenClassification

from consumer.tagging.model.processor import keep_freed_memory
from consumer.training.byte_dropout import DropoutMasks, use_byte_dropout
from consumer.training.row_gradients import RowGradientEmbedding, use_row_gradients
from tests.support.models.tiny_families import loaded

IDS = torch.tensor([[1, 5, 9, 5], [1, 7, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])


def bert(dropout: float) -> BertForTokenClassification:
    torch.manual_seed(1)
    return BertForTokenClassification(
        BertConfig(
            vocab_size=12,
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=8,
            num_labels=3,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
    )


def gradients(model: BertForTokenClassification) -> dict[str, torch.Tensor]:
    model.train()
    model(input_ids=IDS, attention_mask=MASK).logits.square().sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_a_mask_drops_its_share_and_keeps_the_mean() -> None:
    masks = DropoutMasks()
    masks.seed(3)
    mask = masks.draw(torch.ones(200_000), 0.1)
    kept = mask[mask != 0]
    # 0.1 is 26 of 256.
    torch.testing.assert_close(kept, torch.full_like(kept, 256 / 230))
    assert abs(float((mask == 0).float().mean()) - 26 / 256) < 0.005
    assert abs(float(mask.mean()) - 1) < 0.005
    assert not torch.equal(mask, masks.draw(torch.ones(200_000), 0.1))
    masks.seed(3)
    assert torch.equal(mask, masks.draw(torch.ones(200_000), 0.1))
    assert masks.draw(torch.ones(2, 3, dtype=torch.bfloat16), 0.5).dtype == torch.bfloat16


def test_dropout_falls_on_hidden_states_and_attention_in_training_only() -> None:
    model = bert(0.5)
    plain = model.eval()(input_ids=IDS, attention_mask=MASK).logits
    masks = use_byte_dropout(model)
    assert not any(type(module) is nn.Dropout for module in model.modules())
    drawn: list[tuple[int, ...]] = []
    draw = masks.draw

    def record(like: torch.Tensor, probability: float) -> torch.Tensor:
        drawn.append(tuple(like.shape))
        return draw(like, probability)

    masks.draw = record  # type: ignore[method-assign]
    torch.testing.assert_close(model(input_ids=IDS, attention_mask=MASK).logits, plain)
    assert drawn == []
    model.train()(input_ids=IDS, attention_mask=MASK)
    # Embeddings, then in both layers attention, its output and the feed-forward part; the head.
    layer = [(2, 2, 4, 4), (2, 4, 16), (2, 4, 16)]
    assert drawn == [(2, 4, 16), *layer, *layer, (2, 4, 16)]


def test_without_dropout_the_gradients_are_those_of_the_plain_model() -> None:
    expected = gradients(bert(0.0))
    model = bert(0.0)
    use_byte_dropout(model)
    embedding = use_row_gradients(model)
    assert embedding is not None
    found = gradients(model)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)
    used = embedding.weight.grad
    assert used is not None
    assert used[5].abs().sum() > 0
    embedding.clear(IDS)
    assert not used.any()


def test_a_copy_of_the_model_shares_nothing_that_is_trained() -> None:
    model = bert(0.1)
    use_byte_dropout(model)
    use_row_gradients(model)
    other = copy.deepcopy(model)
    assert isinstance(other.get_input_embeddings(), RowGradientEmbedding)
    assert other.get_input_embeddings().weight is not model.get_input_embeddings().weight
    assert other.state_dict().keys() == bert(0.1).state_dict().keys()


def test_a_table_of_another_kind_stays_as_it_is() -> None:
    """I-BERT's is quantized: it has no `num_embeddings`, and gives two tensors."""
    model = loaded("IBert").network
    own = model.get_input_embeddings()
    assert use_row_gradients(model) is None
    assert model.get_input_embeddings() is own


def test_the_allocator_is_told_where_it_listens() -> None:
    assert keep_freed_memory() is (sys.platform == "linux")
