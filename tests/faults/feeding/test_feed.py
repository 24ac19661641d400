"""What is fed: every shape reaches every partition, and stands where its outcome is looked for."""

from __future__ import annotations

import operator
from collections import Counter

import pytest

from tests.faults.feeding import inputs
from tests.faults.feeding.feed import Feed, Shape
from tests.faults.feeding.wires import JsonWire
from tests.faults.rows.row import AT_LEAST_ONCE, EXACTLY_ONCE, Row
from tests.faults.rows.table import ROWS
from tests.integration.rigs.murmur2 import partition_of

SEEDS = range(8)


@pytest.mark.parametrize("shape", Shape)
def test_every_partition_is_fed_all_the_while(shape: Shape) -> None:
    for seed in SEEDS:
        feed = Feed("in", shape, seed)
        for begin in (0, 5_000):
            fed = {feed.place(number) for number in range(begin, begin + 400)}
            assert fed == set(feed.partitions), f"seed {seed}"


def test_shapes_are_what_they_say() -> None:
    numbers = range(600)

    def keyed(feed: Feed) -> int:
        return sum(feed.key(number) is not None for number in numbers)

    def moved(feed: Feed) -> int:
        return sum(feed.place(one).partition != feed.output_partition(one) for one in numbers)

    feeds = {shape: Feed("in", shape, 1) for shape in Shape}
    assert {shape: keyed(feed) for shape, feed in feeds.items()} == {
        Shape.KEYLESS: 0,
        Shape.KEYED: 600,
        Shape.MOVED: 600,
        Shape.TRANSACTIONAL: 600,
        Shape.SEVERAL: 300,
    }
    assert [moved(feeds[one]) for one in (Shape.KEYLESS, Shape.KEYED)] == [0, 0]
    assert moved(feeds[Shape.MOVED]) > 300
    assert moved(feeds[Shape.SEVERAL]) > 100
    there = [partition_of(feeds[Shape.MOVED].key(one) or b"", 6) for one in numbers]
    elsewhere = [feeds[Shape.MOVED].place(one).partition for one in numbers]
    assert sum(map(operator.ne, there, elsewhere)) > 300
    assert [len(feed.topics) for feed in feeds.values()] == [1, 1, 1, 1, 2]


def test_a_seed_moves_keys_sizes_and_what_is_odd() -> None:
    feeds = [Feed("in", Shape.KEYED, seed, JsonWire(seed)) for seed in (1, 2, 3)]
    numbers = range(1_200)
    assert len({tuple(map(feed.key, numbers)) for feed in feeds}) == 3
    odd = {
        tuple(number for number in numbers if feed.wire.expected(number).rejected) for feed in feeds
    }
    assert len(odd) == 3
    longest = set()
    for feed in feeds:
        values = [feed.record(number).value or b"" for number in numbers]
        assert values == [feed.record(number).value or b"" for number in numbers]
        longest.add(max(len(one) for n, one in enumerate(values) if not feed.wire.is_long(n)))
        kinds = Counter(feed.wire.expected(number).rejected for number in numbers)
        assert len(kinds) == 8
        assert any(feed.wire.is_long(number) for number in numbers)
    assert len(longest) == 3


def test_only_long_articles_are_too_large_once_enriched() -> None:
    for seed in SEEDS:
        wire = JsonWire(seed)
        for number in range(1_100):
            right, value = wire.expected(number), wire.record(number).value
            if right.entities is None or value is None:
                continue
            # What the worker adds beside the entities has some 300 bytes.
            size = len(value) + 300 + sum(len(str(one._asdict())) for one in right.entities)
            assert (size > inputs.LONG_BYTES) == wire.is_long(number), f"{seed}, {number}: {size}"


def test_a_row_in_both_modes_meets_every_shape_within_three_seeds() -> None:
    row = Row("some", "worker", "", lambda _: None)
    met = {row.shape(mode, seed) for mode in row.deliveries for seed in (1, 2, 3)}
    assert met == set(Shape)


def test_over_all_rows_no_shape_is_rare() -> None:
    met = Counter(
        row.shape(mode, seed)
        for row in ROWS
        for mode in row.deliveries
        for seed in (1, 2, 3)
        if row.shapes
    )
    assert set(met) == set(Shape)
    assert min(met.values()) > sum(met.values()) / 8, met


def test_a_row_with_a_feed_of_its_own_has_no_shape() -> None:
    row = Row("some", "replay", "", lambda _: None, shapes=())
    assert row.shape(EXACTLY_ONCE, 1) is None
    assert Row("some", "worker", "", lambda _: None).shape(AT_LEAST_ONCE, 0) is Shape.KEYLESS
