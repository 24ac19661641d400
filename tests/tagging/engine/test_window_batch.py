"""WindowBatch: which tokens go to the device, and where the answers belong."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from consumer.tagging.engine.window_batch import WindowBatch
from consumer.tagging.tokenize.encoding import ArticleEncoding, FieldEncoding
from consumer.tagging.tokenize.windows import cut_windows

PREFIX, SUFFIX = np.array([1], dtype=np.int32), np.array([2, 3], dtype=np.int32)


def field(first: int, count: int, capacity: int) -> FieldEncoding:
    """Tokens `first`, `first` + 1 and so on; each is a word, but those that end in 5 or 6 go on
    with the one before."""
    ids = np.arange(first, first + count, dtype=np.int32)
    begins = ~np.isin(ids % 10, (5, 6))
    begins[:1] = True
    return FieldEncoding(ids, ids, ids, begins, cut_windows(begins, capacity, capacity // 2))


def batch(
    *articles: tuple[int, ...],
    capacity: int = 6,
    longest_first: bool = False,
    reads_all: bool = True,
) -> WindowBatch:
    """Of articles whose fields have so many tokens; ids go on from field to field, from 100."""
    ids, encodings = 100, []
    for counts in articles:
        fields = []
        for count in counts:
            fields.append(field(ids, count, capacity))
            ids += count
        encodings.append(ArticleEncoding(tuple(fields), 0))
    return WindowBatch(encodings, PREFIX, SUFFIX, longest_first, reads_all)


def test_windows_have_special_tokens_and_follow_the_articles() -> None:
    windows = batch((2, 0), (), (3,))
    assert (windows.tokens, windows.articles, windows.lengths) == (5, [0, 2], [5, 6])
    first, second = windows.ids([0, 1])
    assert first.tolist() == [1, 100, 101, 2, 3]
    assert second.tolist() == [1, 102, 103, 104, 2, 3]
    assert windows.begins([0, 1]).tolist() == [0, 5]
    source, target = windows.places([0, 1])
    assert source.tolist() == [1, 2, 6, 7, 8]
    assert target.tolist() == [0, 1, 2, 3, 4]


def test_long_windows_come_first_where_they_are_filled_up_and_like_ones_keep_their_order() -> None:
    windows = batch((1, 3), (3, 5), longest_first=True)
    assert windows.lengths == [8, 6, 6, 4]
    assert windows.articles == [1, 0, 1, 0]
    assert [ids[1] for ids in windows.ids([0, 1, 2, 3])] == [107, 101, 104, 100]


@pytest.mark.parametrize("longest_first", [False, True])
@pytest.mark.parametrize("windows_a_pass", [1, 3, 100])
def test_every_token_is_kept_once_from_the_window_that_owns_it(
    longest_first: bool, windows_a_pass: int
) -> None:
    windows = batch((3, 40), (0, 7, 6), (19,), longest_first=longest_first)
    kept = np.zeros(windows.tokens, dtype=np.int32)
    times = np.zeros(windows.tokens, dtype=np.int32)
    numbers = list(range(len(windows.lengths)))
    for begin in range(0, len(numbers), windows_a_pass):
        group = numbers[begin : begin + windows_a_pass]
        answer: NDArray[np.int32] = np.concatenate(windows.ids(group))
        assert len(answer) == sum(windows.lengths[window] for window in group)
        source, target = windows.places(group)
        kept[target] = answer[source]
        times[target] += 1
    assert kept.tolist() == list(range(100, 100 + windows.tokens))
    assert (times == 1).all()


def test_where_the_tokens_of_an_article_stand() -> None:
    windows = batch((2, 3), (), (0,), (40, 1), (2,))
    spans = [windows.tokens_of(article) for article in range(5)]
    assert [(one.start, one.stop) for one in spans] == [(0, 5), (5, 5), (5, 5), (5, 46), (46, 48)]


def test_a_batch_without_windows() -> None:
    for windows in (batch(), batch((), (0, 0))):
        assert (windows.tokens, windows.articles, windows.lengths) == (0, [], [])


@pytest.mark.parametrize("longest_first", [False, True])
@pytest.mark.parametrize("reads_all", [False, True])
def test_what_is_read_are_owned_tokens_and_of_a_unit_the_first(
    reads_all: bool, longest_first: bool
) -> None:
    windows = batch((3, 40), (), (7, 16), longest_first=longest_first, reads_all=reads_all)
    numbers = list(range(len(windows.lengths)))
    read: list[int] = []
    for group in (numbers[:4], numbers[4:5], numbers[5:]):
        flags = windows.is_read(group)
        ids: NDArray[np.int32] = np.concatenate(windows.ids(group))
        assert flags.shape == ids.shape
        read += ids[flags].tolist()
    words = [
        number
        for begin, count in ((100, 3), (103, 40), (143, 7), (150, 16))
        for number in range(begin, begin + count)
        if reads_all or number == begin or number % 10 not in (5, 6)
    ]
    assert sorted(read) == words
