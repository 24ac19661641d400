"""What other runtimes are given of a model."""

from __future__ import annotations

from consumer.bench.model.exporting import example_inputs
from consumer.tagging.model.loaded_model import count_tokens
from tests.support.models.tiny_families import loaded


def test_example_inputs_are_tokens_that_the_model_knows() -> None:
    """Also I-BERT, whose table of tokens is no `torch.nn.Embedding`."""
    model = loaded("IBert")
    ids, mask = example_inputs(model)
    assert ids.shape == mask.shape == (2, 12)
    assert int(ids.max()) < count_tokens(model.network)
    assert mask.sum(dim=1).tolist() == [12, 8]
