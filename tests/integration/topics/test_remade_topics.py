"""Input topics that become others, or lose a part, while a worker reads them or is away."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from tests.conftest import TopicFactory
from tests.integration.rigs import helpers
from tests.integration.rigs.remade import Remade, said

pytestmark = pytest.mark.kafka

DELIVERIES = pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
PROTOCOLS = pytest.mark.parametrize("protocol", ["classic", "consumer"])


@pytest.fixture
def ground(kafka: str, topics: TopicFactory, group: str) -> Remade:
    return Remade(kafka, topics("in"), topics("out"), topics("dead"), group)


@DELIVERIES
@PROTOCOLS
def test_a_topic_that_is_made_again_is_read_from_its_beginning(
    ground: Remade, tmp_path: Path, delivery: str, protocol: str
) -> None:
    """Once with messages past where the first one was read, once with fewer."""
    first, more, fewer = range(20), range(100, 140), range(200, 205)
    ground.feed(first)
    with ground.worker(tmp_path, delivery=delivery, group_protocol=protocol) as worker:
        ground.wait_for(first)
        ground.make_again()
        ground.feed(more)
        ground.wait_for(more)
        ground.make_again()
        ground.feed(fewer)
        seen = ground.wait_for(fewer)
        assert said(worker, f"{ground.input} [0] was deleted and made again", "from its beginning")
        assert worker.metric('nerstream_position_jumps_total{reason="recreated"}') == 2
        assert worker.terminate() == 0, worker.log.read_text()
    if delivery == "exactly_once":
        assert seen == [*first, *more, *fewer]
    else:
        assert list(dict.fromkeys(seen)) == [*first, *more, *fewer]
    assert ground.committed() == {0: len(fewer)}


@PROTOCOLS
def test_an_offset_of_a_topic_that_is_gone_is_none_of_its_successor(
    ground: Remade, tmp_path: Path, protocol: str
) -> None:
    """The topic was made again while no worker was there, and a late commit, as of a worker that
    did not know it, brought the old offset back."""
    first, second = range(20), range(100, 140)
    ground.feed(first)
    with ground.worker(tmp_path, group_protocol=protocol) as worker:
        ground.wait_for(first)
        assert worker.terminate() == 0, worker.log.read_text()
    stamped = ground.stamped_offset()
    assert stamped.offset == len(first)
    assert stamped.metadata == f"nerstream topic-id={ground.topic_id()}"
    assert stamped.leader_epoch == 0
    ground.make_again()
    ground.feed(second)
    ground.commit(stamped)
    with ground.worker(tmp_path, group_protocol=protocol) as worker:
        seen = ground.wait_for(second)
        assert worker.terminate() == 0, worker.log.read_text()
    assert seen == [*first, *second]
    assert ground.committed() == {0: len(second)}
    assert ground.stamped_offset().metadata == f"nerstream topic-id={ground.topic_id()}"


def test_a_topic_that_is_made_again_stops_a_worker_that_is_told_so(
    ground: Remade, tmp_path: Path
) -> None:
    first = range(20)
    ground.feed(first)
    with ground.worker(tmp_path) as worker:
        ground.wait_for(first)
        assert worker.terminate() == 0
    with ground.worker(tmp_path, auto_offset_reset="error") as worker:
        ground.make_again()
        ground.feed(range(100, 140))
        assert worker.wait() == 1
        (error,) = [line for line in worker.log.read_text().splitlines() if "nerstream: er" in line]
        assert f"{ground.input} [0] was deleted and made again" in error
        assert "set auto_offset_reset to earliest or latest" in error
        assert "Traceback" not in worker.log.read_text()
    assert ground.ids() == [*first]


@PROTOCOLS
@pytest.mark.parametrize("policy", ["earliest", "latest"])
def test_what_was_removed_before_it_was_read_is_said_and_the_rest_read(
    ground: Remade, tmp_path: Path, protocol: str, policy: str
) -> None:
    ground.feed(range(20))
    with ground.worker(tmp_path, group_protocol=protocol) as worker:
        ground.wait_for(range(20))
        assert worker.terminate() == 0
    ground.feed(range(20, 60))
    helpers.delete_records(ground.bootstrap, ground.input, {0: 50})
    with ground.worker(tmp_path, group_protocol=protocol, auto_offset_reset=policy) as worker:
        seen = ground.wait_for(range(50, 60))
        assert said(worker, f"{ground.input} [0] cannot be read from offset", "removed")
        assert worker.metric('nerstream_position_jumps_total{reason="removed"}') == 1
        assert worker.metric("nerstream_messages_missed_total") == 30
        assert worker.terminate() == 0, worker.log.read_text()
    assert seen == [*range(20), *range(50, 60)]
    assert ground.committed() == {0: 60}


@pytest.mark.parametrize("policy", ["earliest", "latest"])
def test_a_place_beyond_the_end_is_followed_by_what_comes(
    ground: Remade, tmp_path: Path, policy: str
) -> None:
    """As after the election of a leader that did not have the newest messages."""
    ground.feed(range(20))
    with ground.worker(tmp_path) as worker:
        ground.wait_for(range(20))
        assert worker.terminate() == 0
    stamped = ground.stamped_offset()
    stamped.offset = 50
    ground.commit(stamped)
    with ground.worker(tmp_path, auto_offset_reset=policy) as worker:
        ground.wait_until(lambda: bool(said(worker, "cannot be read from offset 50", "was cut")))
        ground.feed(range(20, 30))
        seen = ground.wait_for(range(20, 30))
        assert worker.metric('nerstream_position_jumps_total{reason="cut"}') == 1
        assert worker.metric("nerstream_messages_missed_total") == 0
        assert worker.terminate() == 0, worker.log.read_text()
    assert seen == [*range(30)]
    assert ground.committed() == {0: 30}


@pytest.mark.parametrize(("committed", "why"), [(5, "removed"), (50, "was cut")])
def test_a_place_that_is_gone_stops_a_worker_that_is_told_so(
    ground: Remade, tmp_path: Path, committed: int, why: str
) -> None:
    ground.feed(range(20))
    helpers.delete_records(ground.bootstrap, ground.input, {0: 10})
    ground.commit(TopicPartition(ground.input, 0, committed))
    with ground.process(tmp_path, auto_offset_reset="error") as worker:
        assert worker.wait() == 1
        (error,) = [line for line in worker.log.read_text().splitlines() if "nerstream: er" in line]
    assert f"{ground.input} [0] cannot be read from offset {committed}" in error
    assert f"group {ground.group} stands: it now has 10 to 20" in error
    assert why in error
    assert "set auto_offset_reset to earliest or latest" in error


@PROTOCOLS
def test_a_topic_that_is_gone_is_named_and_waited_for(
    ground: Remade, tmp_path: Path, protocol: str
) -> None:
    first, second = range(20), range(100, 140)
    ground.feed(first)
    with ground.worker(tmp_path, group_protocol=protocol) as worker:
        ground.wait_for(first)
        helpers.remove_topics(ground.bootstrap, [ground.input])
        gone = f"the topic {ground.input} (input_topics) is gone"
        ground.wait_until(lambda: gone in worker.get("/readyz")[1])
        assert worker.get("/readyz")[0] == 503
        assert worker.get("/healthz")[0] == 200
        ground.make()
        ground.feed(second)
        seen = ground.wait_for(second)
        ground.wait_until(lambda: worker.get("/readyz")[0] == 200)
        assert worker.terminate() == 0, worker.log.read_text()
    assert seen == [*first, *second]


@PROTOCOLS
def test_a_topic_that_is_made_again_with_fewer_or_more_partitions(
    ground: Remade, tmp_path: Path, protocol: str
) -> None:
    ground.make_again(3)
    first, fewer, more = range(30), range(100, 140), range(200, 260)
    ground.feed(first, 3)
    with ground.worker(tmp_path, group_protocol=protocol) as worker:
        ground.wait_for(first)
        ground.make_again(1)
        ground.feed(fewer, 1)
        ground.wait_for(fewer)
        ground.make_again(3)
        ground.feed(more, 3)
        seen = ground.wait_for(more)
        assert worker.terminate() == 0, worker.log.read_text()
    assert sorted(seen) == [*first, *fewer, *more]
    assert [one for one in seen if one in fewer] == [*fewer]


@PROTOCOLS
def test_a_topic_of_a_pattern_that_is_made_again(
    ground: Remade, tmp_path: Path, protocol: str
) -> None:
    first, second = range(20), range(100, 140)
    ground.feed(first)
    pattern = f"^{ground.input}$"
    with ground.worker(tmp_path, group_protocol=protocol, input_topics=pattern) as worker:
        ground.wait_for(first)
        ground.make_again()
        ground.feed(second)
        seen = ground.wait_for(second)
        assert worker.terminate() == 0, worker.log.read_text()
    assert seen == [*first, *second]


@DELIVERIES
def test_an_output_topic_that_is_made_again_gets_what_comes_next(
    ground: Remade, tmp_path: Path, delivery: str
) -> None:
    first, second = range(20), range(100, 140)
    ground.feed(first)
    with ground.worker(tmp_path, delivery=delivery) as worker:
        ground.wait_for(first)
        helpers.remove_topics(ground.bootstrap, [ground.output])
        helpers.create_topic(ground.bootstrap, ground.output, 1)
        ground.feed(second)
        seen = ground.wait_for(second)
        assert worker.terminate() == 0, worker.log.read_text()
    if delivery == "at_least_once":
        seen = list(dict.fromkeys(seen))
    assert seen == [*second]
    assert ground.committed() == {0: len(first) + len(second)}


@DELIVERIES
@pytest.mark.parametrize("which", ["output", "dead_letters"])
def test_a_topic_to_write_to_that_is_gone_is_named_and_waited_for(
    ground: Remade, tmp_path: Path, delivery: str, which: str
) -> None:
    first, second = range(5), range(100, 105)
    topic = getattr(ground, which)
    setting = {"output": "output_topic", "dead_letters": "dead_letter_topic"}[which]
    ground.feed(first)
    with ground.worker(tmp_path, delivery=delivery) as worker:
        ground.wait_for(first)
        if which == "output":
            # Else the worker has written no dead letter yet, and does not know the topic.
            helpers.produce(ground.bootstrap, ground.input, [b"no article"])
            helpers.wait_for_records(ground.bootstrap, ground.dead_letters, 1)
        helpers.remove_topics(ground.bootstrap, [topic])
        helpers.produce(ground.bootstrap, ground.input, [b"no article either"])
        ground.feed(second)
        gone = f"the topic {topic} ({setting}) is gone"
        ground.wait_until(lambda: gone in worker.get("/readyz")[1])
        helpers.create_topic(ground.bootstrap, topic, 1)
        ground.wait_for(second)
        helpers.wait_for_records(
            ground.bootstrap, ground.dead_letters, 1 if which == "dead_letters" else 2
        )
        ground.wait_until(lambda: worker.get("/readyz")[0] == 200)
        assert worker.terminate() == 0, worker.log.read_text()
        assert "Traceback" not in worker.log.read_text()
    # Beside a dead letter whose topic is gone it may be sent again without transactions.
    times = ground.ids().count(100)
    assert times == 1 or (times > 1 and delivery == "at_least_once")
