"""CapturePolicy: what comes back is captured, what fails is not, and memory comes first."""

from __future__ import annotations

from consumer.tagging.engine.cuda.capture_policy import CapturePolicy, Way
from consumer.tagging.engine.cuda.pass_layout import PassShape


def shape(tokens: int) -> PassShape:
    return PassShape(tokens, 16, 64)


def ways(policy: CapturePolicy, *tokens: int) -> list[Way]:
    """What is done with passes, when each capture works."""
    found = []
    for size in tokens:
        found.append(policy.way(shape(size)))
        if found[-1] is Way.CAPTURE:
            policy.captured(shape(size))
    return found


def test_a_shape_is_captured_when_it_comes_back() -> None:
    policy = CapturePolicy()
    assert ways(policy, 256, 512, 256, 256, 256) == [
        Way.EAGER,
        Way.EAGER,
        Way.CAPTURE,
        Way.REPLAY,
        Way.REPLAY,
    ]


def test_shapes_differ_in_each_of_their_sizes() -> None:
    policy = CapturePolicy(sightings=1)
    policy.captured(PassShape(256, 16, 64))
    for other in (PassShape(512, 16, 64), PassShape(256, 32, 64), PassShape(256, 16, 128)):
        assert policy.way(other) is Way.CAPTURE


def test_the_graph_that_was_used_longest_ago_goes() -> None:
    policy = CapturePolicy(sightings=1, most_graphs=2)
    assert policy.captured(shape(1)) == []
    assert policy.captured(shape(2)) == []
    assert policy.way(shape(1)) is Way.REPLAY
    assert policy.captured(shape(3)) == [shape(2)]
    assert policy.way(shape(1)) is Way.REPLAY
    assert policy.way(shape(3)) is Way.REPLAY
    assert policy.way(shape(2)) is Way.CAPTURE


def test_a_shape_without_memory_to_capture_it_runs_eagerly_and_alone() -> None:
    policy = CapturePolicy()
    ways(policy, 512, 512)
    policy.way(shape(256))
    assert policy.way(shape(256)) is Way.CAPTURE
    policy.refused(shape(256))
    assert ways(policy, 256, 256, 512) == [Way.EAGER, Way.EAGER, Way.REPLAY]


def test_after_memory_ran_out_a_shape_must_come_back_twice_as_often() -> None:
    policy = CapturePolicy()
    ways(policy, 256, 256)
    policy.refused(shape(512))
    policy.memory_ran_out()
    assert ways(policy, *[256] * 5) == [Way.EAGER] * 3 + [Way.CAPTURE, Way.REPLAY]
    assert ways(policy, *[512] * 4)[-1] is Way.CAPTURE
    policy.memory_ran_out()
    assert ways(policy, *[256] * 8) == [Way.EAGER] * 7 + [Way.CAPTURE]


def test_where_capturing_does_not_work_it_is_not_tried_again() -> None:
    policy = CapturePolicy()
    ways(policy, 256, 256)
    policy.gave_up()
    assert ways(policy, 512, 512, 512, 256) == [Way.EAGER] * 3 + [Way.REPLAY]
    policy.memory_ran_out()
    assert set(ways(policy, *[256] * 20)) == {Way.EAGER}
