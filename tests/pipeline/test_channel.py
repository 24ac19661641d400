"""Channel: bounded, in order, closable; commands overtake."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from consumer.pipeline.channel import Channel, ChannelAborted, ChannelClosed
from tests.support.fakes import PATIENCE_S, eventually, in_thread


def test_items_come_out_in_order() -> None:
    channel: Channel[int] = Channel(None)
    for item in range(5):
        channel.put(item)
    assert len(channel) == 5
    assert [channel.get() for _ in range(5)] == list(range(5))
    assert len(channel) == 0


def test_put_blocks_while_full_and_goes_on() -> None:
    channel: Channel[int] = Channel(2)
    assert channel.has_room
    channel.put(0)
    channel.put(1)
    assert not channel.has_room
    blocked = in_thread(channel.put, 2)
    with pytest.raises(TimeoutError):
        blocked.result(0.05)
    assert len(channel) == 2
    assert channel.get() == 0
    blocked.result(PATIENCE_S)
    assert [channel.get(), channel.get()] == [1, 2]


def test_a_blocked_put_goes_on_when_the_channel_is_half_empty() -> None:
    channel: Channel[int] = Channel(4)
    for item in range(4):
        channel.put(item)
    blocked = in_thread(channel.put, 4)
    assert channel.get() == 0
    with pytest.raises(TimeoutError):
        blocked.result(0.05)
    assert channel.get() == 1
    blocked.result(PATIENCE_S)
    channel.put(5)
    assert channel.get_many(9) == [2, 3, 4, 5]


def test_a_larger_channel_lets_a_blocked_put_go_on_and_a_smaller_one_keeps_what_waits() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(0)
    blocked = in_thread(channel.put, 1)
    channel.resize(2)
    blocked.result(PATIENCE_S)
    channel.resize(1)
    blocked = in_thread(channel.put, 2)
    assert channel.get() == 0
    with pytest.raises(TimeoutError):
        blocked.result(0.05)
    assert channel.get() == 1
    blocked.result(PATIENCE_S)
    assert channel.get() == 2


@pytest.mark.parametrize(
    ("end", "error"), [(Channel.close, ChannelClosed), (Channel.abort, ChannelAborted)]
)
def test_a_blocked_put_ends_with_the_channel(
    end: Callable[[Channel[int]], None], error: type[Exception]
) -> None:
    channel: Channel[int] = Channel(1)
    channel.put(0)
    blocked = in_thread(channel.put, 1)
    end(channel)
    with pytest.raises(error):
        blocked.result(PATIENCE_S)


@pytest.mark.parametrize(
    ("end", "error"), [(Channel.close, ChannelClosed), (Channel.abort, ChannelAborted)]
)
def test_a_waiting_get_ends_with_the_channel(
    end: Callable[[Channel[int]], None], error: type[Exception]
) -> None:
    channel: Channel[int] = Channel(1)
    waiting = in_thread(channel.get)
    eventually(lambda: channel.reader_waits, "the reader waits")
    end(channel)
    with pytest.raises(error):
        waiting.result(PATIENCE_S)


def test_close_drains_and_then_raises() -> None:
    channel: Channel[int] = Channel(None)
    channel.put(0)
    channel.close()
    with pytest.raises(ChannelClosed):
        channel.put(1)
    assert channel.get() == 0
    with pytest.raises(ChannelClosed) as caught:
        channel.get()
    assert not isinstance(caught.value, ChannelAborted)


def test_abort_throws_away_what_waits() -> None:
    channel: Channel[int] = Channel(None)
    channel.put(0)
    channel.put_urgent(1)
    channel.abort()
    assert len(channel) == 0
    with pytest.raises(ChannelAborted):
        channel.get()
    channel.put_urgent(2)
    with pytest.raises(ChannelAborted):
        channel.get()
    with pytest.raises(ChannelAborted):
        channel.put(3)


def test_a_command_overtakes_and_ignores_the_bound() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(0)
    channel.put_urgent(10)
    channel.put_urgent(11)
    assert len(channel) == 1
    assert [channel.get(), channel.get(), channel.get()] == [10, 11, 0]


def test_a_command_comes_alone() -> None:
    channel: Channel[int] = Channel(None)
    channel.put(0)
    channel.put_urgent(10)
    channel.put_urgent(11)
    assert [channel.get_many(5), channel.get_many(5), channel.get_many(5)] == [[10], [11], [0]]


def test_a_command_gets_through_a_closed_channel() -> None:
    channel: Channel[int] = Channel(None)
    channel.close()
    channel.put_urgent(10)
    assert channel.get() == 10
    with pytest.raises(ChannelClosed):
        channel.get()


def test_get_gives_up_after_its_timeout() -> None:
    channel: Channel[int] = Channel(None)
    assert channel.get(timeout_s=0.01) is None
    assert channel.get(timeout_s=0) is None
    assert channel.get_many(3, timeout_s=0.01) == []
    assert not channel.reader_waits


def test_wake_lets_a_waiting_get_return_once() -> None:
    channel: Channel[int] = Channel(None)
    waiting = in_thread(channel.get)
    eventually(lambda: channel.reader_waits, "the reader waits")
    channel.wake()
    assert waiting.result(PATIENCE_S) is None
    again = in_thread(channel.get)
    with pytest.raises(TimeoutError):
        again.result(0.05)
    channel.put(7)
    assert again.result(PATIENCE_S) == 7


def test_a_wake_before_the_wait_is_not_lost() -> None:
    channel: Channel[int] = Channel(None)
    channel.wake()
    assert in_thread(channel.get).result(PATIENCE_S) is None


def test_get_many_takes_what_waits_up_to_the_limit() -> None:
    channel: Channel[int] = Channel(None)
    for item in range(5):
        channel.put(item)
    assert channel.get_many(3) == [0, 1, 2]
    assert channel.get_many(3) == [3, 4]


def test_get_many_stops_at_the_weight_but_takes_the_first() -> None:
    channel: Channel[int] = Channel(None)
    for item in (50, 3, 4, 4):
        channel.put(item)

    def take() -> list[int]:
        return channel.get_many(10, weigh=lambda item: item, max_weight=7)

    assert [take(), take(), take()] == [[50], [3, 4], [4]]


def test_clear_takes_all_but_the_commands_and_lets_a_blocked_put_go_on() -> None:
    channel: Channel[int] = Channel(2)
    channel.put(0)
    channel.put(1)
    blocked = in_thread(channel.put, 2)
    channel.put_urgent(10)
    assert channel.clear() == [0, 1]
    blocked.result(PATIENCE_S)
    assert [channel.get(), channel.get()] == [10, 2]
    channel.close()
    assert channel.clear() == []


def test_get_ready_never_waits_and_never_passes_a_command() -> None:
    channel: Channel[int] = Channel(1)
    assert channel.get_ready() is None
    channel.put_urgent(10)
    channel.put(0)
    assert channel.get_ready() is None
    assert channel.get() == 10
    assert channel.get_ready() == 0
    assert channel.has_room


def test_get_ready_lets_a_blocked_put_go_on() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(0)
    blocked = in_thread(channel.put, 1)
    assert channel.get_ready() == 0
    blocked.result(PATIENCE_S)
    assert channel.get_ready() == 1


def test_demand_is_told_when_something_was_taken_or_the_reader_waits() -> None:
    demands: list[tuple[int, bool]] = []
    channel: Channel[int] = Channel(
        1, on_demand=lambda: demands.append((len(channel), channel.reader_waits))
    )
    channel.put(0)
    assert demands == []
    channel.get()
    assert demands == [(0, False)]
    channel.get(timeout_s=0)
    assert demands == [(0, False), (0, True)]
    channel.put(1)
    channel.get_ready()
    channel.get_ready()
    assert len(demands) == 3


def test_demand_may_use_the_channel_itself() -> None:
    channel: Channel[int] = Channel(1, on_demand=lambda: channel.put(1) if not channel else None)
    assert channel.get() == 1


def test_nothing_is_lost_between_many_threads() -> None:
    channel: Channel[int] = Channel(3)
    count = 2_000
    taken: list[int] = []
    finished = threading.Event()

    def read() -> None:
        try:
            while True:
                taken.extend(channel.get_many(2, timeout_s=PATIENCE_S))
        except ChannelClosed:
            finished.set()

    in_thread(read)
    for item in range(count):
        channel.put(item)
    channel.close()
    assert finished.wait(PATIENCE_S)
    assert taken == list(range(count))


def test_many_items_come_in_their_order_and_not_after_the_end() -> None:
    channel: Channel[int] = Channel(None)
    channel.put_many([1, 2, 3])
    channel.put(4)
    assert channel.get_many(10) == [1, 2, 3, 4]
    channel.close()
    with pytest.raises(ChannelClosed):
        channel.put_many([5])
    with pytest.raises(AssertionError):
        Channel[int](1).put_many([1])
