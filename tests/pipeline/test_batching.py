"""BatchBuilder: what closes a batch, and that nothing is lost or moved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.contracts.choices import RejectCode, RejectStage
from consumer.contracts.messages import Batch, BatchItem, PreparedArticle, Rejected, Tombstone
from consumer.pipeline.batching import BatchBuilder
from tests.support.fakes import prepared, raw


def rejected(offset: int) -> Rejected:
    return Rejected(raw(offset), RejectCode.INVALID_JSON, "no", RejectStage.PREPARE)


def build(builder: BatchBuilder, items: list[BatchItem]) -> list[tuple[BatchItem, ...]]:
    batches = [builder.add(item, 0.0) for item in items]
    closed = [batch for batch in batches if batch is not None]
    if len(builder):
        closed.append(builder.close(0.0))
    return [batch.items for batch in closed]


def test_closes_before_the_tokens_would_pass_the_budget() -> None:
    builder = BatchBuilder(max_tokens=10, max_articles=100, wait_s=1.0)
    first, second, third = prepared(0, 6), prepared(1, 4), prepared(2, 1)
    assert builder.add(first, 5.0) is None
    assert not builder.full
    assert builder.add(second, 6.0) is None
    assert builder.full
    assert builder.add(third, 7.0) == Batch((first, second), 10, opened_at=5.0, closed_at=7.0)
    assert len(builder) == 1
    assert builder.close(8.0) == Batch((third,), 1, opened_at=7.0, closed_at=8.0)
    assert len(builder) == 0


def test_closes_at_the_number_of_articles() -> None:
    builder = BatchBuilder(max_tokens=100, max_articles=2, wait_s=1.0)
    items = [prepared(offset) for offset in range(5)]
    assert build(builder, list(items)) == [
        (items[0], items[1]),
        (items[2], items[3]),
        (items[4],),
    ]


def test_the_deadline_is_that_of_the_first_item() -> None:
    builder = BatchBuilder(max_tokens=100, max_articles=100, wait_s=0.25)
    assert builder.deadline is None
    builder.add(prepared(0), 10.0)
    builder.add(prepared(1), 10.2)
    assert builder.deadline == 10.25
    builder.close(10.25)
    assert builder.deadline is None
    builder.add(prepared(2), 20.0)
    assert builder.deadline == 20.25


@pytest.mark.parametrize("position", [0, 1, 2])
def test_an_article_over_the_budget_is_a_batch_of_its_own(position: int) -> None:
    items = [prepared(0, 2), prepared(1, 2), prepared(2, 2)]
    items[position] = prepared(position, 11)
    batches = build(BatchBuilder(10, 100, 1.0), list(items))
    assert (items[position],) in batches
    assert [item for batch in batches for item in batch] == items


def test_two_articles_over_the_budget_are_two_batches() -> None:
    items = [prepared(0, 11), prepared(1, 12)]
    assert build(BatchBuilder(10, 100, 1.0), list(items)) == [(items[0],), (items[1],)]


def test_rejected_and_null_messages_keep_their_place_and_count_as_articles() -> None:
    items: list[BatchItem] = [prepared(0, 10), rejected(1), Tombstone(raw(2)), prepared(3, 10)]
    assert build(BatchBuilder(100, 3, 1.0), items) == [tuple(items[:3]), (items[3],)]


def test_an_empty_batch_is_a_defect() -> None:
    with pytest.raises(AssertionError, match="empty batch"):
        BatchBuilder(10, 10, 1.0).close(0.0)


@given(
    sizes=st.lists(st.one_of(st.none(), st.integers(1, 30)), max_size=60),
    max_tokens=st.integers(1, 20),
    max_articles=st.integers(1, 8),
)
def test_batches_are_the_input_in_order_and_within_budget(
    sizes: list[int | None], max_tokens: int, max_articles: int
) -> None:
    items: list[BatchItem] = [
        rejected(offset) if size is None else prepared(offset, size)
        for offset, size in enumerate(sizes)
    ]
    batches = build(BatchBuilder(max_tokens, max_articles, 1.0), items)
    assert [item for batch in batches for item in batch] == items
    for batch in batches:
        tokens = sum(item.encoding.tokens for item in batch if isinstance(item, PreparedArticle))
        assert 1 <= len(batch) <= max_articles
        assert tokens <= max_tokens or len(batch) == 1
