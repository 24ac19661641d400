from __future__ import annotations

import random
from typing import Any

import pytest

from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import KafkaProblem
from consumer.contracts.headers import REPLAY_ATTEMPTS
from consumer.contracts.messages import Outgoing, Position, TopicPartition
from consumer.dead_letters import replay as replay_module
from consumer.dead_letters.letter_filter import LetterFilter
from consumer.dead_letters.marks import Origin, Sent
from consumer.dead_letters.plan import Plan, transactional_id
from consumer.dead_letters.replay import Replay
from consumer.dead_letters.report import Report
from consumer.dead_letters.routes import Routes
from consumer.dead_letters.survey import Survey
from tests.support.memory.fake_letters import FakeProgress, FakeReader, FakeTopics, FakeWriter
from tests.support.memory.letters import DAY_MS, at, letter, original

ORIGIN = Origin("cluster-1", "dead")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "_BACKOFF_S", 0.0)
    monkeypatch.setattr(replay_module, "_LETTERS", 4)


def filled(count: int, **options: Any) -> FakeTopics:
    """Letters 0, 1, 2 … of the topics `articles` and `news`, in two partitions."""
    topics = FakeTopics()
    for number in range(count):
        put(topics, number, **options)
    return topics


def put(topics: FakeTopics, number: int, **options: Any) -> None:
    raw = original(
        number,
        topic="news" if number % 3 == 0 else "articles",
        partition=number % 4,
        key=b"k%d" % number if number % 2 else None,
        **options,
    )
    code = RejectCode.NO_TEXT if number % 5 == 0 else RejectCode.INVALID_JSON
    topics.put(letter(raw, code=code, partition=number % 2))


def replay(
    topics: FakeTopics,
    wanted: LetterFilter | None = None,
    *,
    to: str | None = None,
    again: tuple[str, ...] = (),
    max_attempts: int = 3,
    reader: FakeReader | None = None,
    writer: FakeWriter | None = None,
    stop: Any = lambda: False,
    progress: FakeProgress | None = None,
) -> Report:
    reader = reader or FakeReader(topics)
    routes = Routes("dead", to, reader.partition_count)
    plan = Plan(ORIGIN, routes, None, "1.2.3")
    survey = Survey(ORIGIN, wanted or LetterFilter(), routes, max_attempts, again)
    return Replay(
        reader,
        writer or FakeWriter(topics),
        survey,
        plan,
        progress or FakeProgress(),
        stop,
        lambda: 7.0,
    ).run()


def told(report: Report) -> dict[str, tuple[str, int, tuple[int, int]]]:
    """Of each reason: the code, the number of letters, the place of the first."""
    return {
        obstacle.why: (str(obstacle.code), one.letters, one.first)
        for obstacle, one in report.refusals.named.items()
    }


def test_each_goes_back_to_where_it_came_from_as_it_was() -> None:
    topics = filled(20)
    report = replay(topics)
    assert sorted(topics.by_number()) == list(range(20))
    assert report.sent == {"articles": 13, "news": 7}
    assert (report.left, report.gone, report.refusals.letters) == (0, 0, 0)
    for one in topics.sent:
        number = int(dict(one.headers)["n"] or b"")
        raw = original(number)
        assert one.topic == ("news" if number % 3 == 0 else "articles")
        assert one.partition == number % 4
        assert one.key == (b"k%d" % number if number % 2 else None)
        assert one.value == raw.value
        assert one.timestamp_ms == raw.timestamp_ms
        assert one.headers == (*raw.headers, (REPLAY_ATTEMPTS, b"1"))


def test_each_partition_of_the_dead_letters_keeps_its_order() -> None:
    topics = filled(50)
    replay(topics)
    for part in range(2):
        numbers = [number for number in topics.by_number() if number % 2 == part]
        assert numbers == sorted(numbers)


def test_a_second_replay_sends_nothing() -> None:
    topics = filled(20)
    replay(topics)
    before = list(topics.sent)
    report = replay(topics)
    assert topics.sent == before
    assert (report.sent.total(), report.tally.sent_before) == (0, 20)


def test_filters_that_overlap_send_each_once() -> None:
    topics = filled(30)
    replay(topics, LetterFilter(codes=frozenset({"no_text"})))
    assert sorted(topics.by_number()) == list(range(0, 30, 5))
    replay(topics, LetterFilter(topics=("news",)))
    assert sorted(topics.by_number()) == sorted({*range(0, 30, 5), *range(0, 30, 3)})
    replay(topics)
    assert sorted(topics.by_number()) == list(range(30))


def test_what_comes_later_is_sent_by_a_later_replay() -> None:
    topics = filled(10)
    replay(topics)
    for number in range(10, 15):
        put(topics, number)
    report = replay(topics)
    assert report.sent.total() == 5
    assert sorted(topics.by_number()) == list(range(15))


@pytest.mark.parametrize("how", ["", "rough"])
def test_what_comes_while_it_sends_is_left_for_the_next_one(how: str) -> None:
    topics = filled(10)
    reader = FakeReader(topics)
    writer = FakeWriter(topics)
    writer.fail.append(how)
    numbers = iter(range(10, 1_000))
    reader.before_poll = lambda: put(topics, next(numbers))
    replay(topics, reader=reader, writer=writer)
    assert sorted(topics.by_number()) == list(range(10))


def test_a_timestamp_that_the_dead_letter_could_not_have_is_given_back() -> None:
    topics = FakeTopics()
    topics.put(letter(original(5))._replace(timestamp_ms=None))
    replay(topics)
    assert [one.timestamp_ms for one in topics.sent] == [DAY_MS + 5]


def test_a_letter_is_sent_once_wherever_it_goes() -> None:
    topics = filled(10)
    replay(topics, LetterFilter(codes=frozenset({"no_text"})), to="debug")
    assert {one.topic for one in topics.sent} == {"debug"}
    report = replay(topics)
    assert report.tally.sent_before == 2
    assert sorted(topics.by_number()) == list(range(10))


def test_what_was_sent_elsewhere_can_be_sent_on_once() -> None:
    topics = filled(10)
    replay(topics, to="debug")
    replay(topics, again=("debug",))
    assert (
        sorted(one.topic for one in topics.sent) == ["articles"] * 6 + ["debug"] * 10 + ["news"] * 4
    )
    before = len(topics.sent)
    replay(topics, again=("debug",))
    replay(topics, to="debug", again=("articles", "news"))
    assert len(topics.sent) == before


def test_another_topic_gets_keyless_letters_in_the_partition_of_their_origin() -> None:
    topics = filled(8)
    topics.counts["debug"] = 2
    replay(topics, to="debug")
    for one in topics.sent:
        number = int(dict(one.headers)["n"] or b"")
        assert one.partition == (None if number % 2 else number % 4 % 2)


def test_to_where_it_came_from_by_name_is_to_where_it_came_from() -> None:
    topics = filled(8)
    replay(topics, LetterFilter(topics=("news",)), to="news")
    assert [one.partition for one in topics.sent] == [
        int(dict(one.headers)["n"] or b"") % 4 for one in topics.sent
    ]


def test_a_letter_that_comes_back_too_often_stays_and_is_told() -> None:
    topics = filled(6, headers=(("n", b"0"), (REPLAY_ATTEMPTS, b"3")))
    report = replay(topics)
    assert (report.sent.total(), report.tally.over_bound, report.left) == (0, 6, 0)
    report = replay(topics, max_attempts=4)
    assert report.sent.total() == 6
    assert {dict(one.headers)[REPLAY_ATTEMPTS] for one in topics.sent} == {b"4"}


def test_a_topic_that_is_gone_stops_no_letter_of_another() -> None:
    topics = filled(10)
    topics.counts["news"] = 0
    reader = FakeReader(topics)
    report = replay(topics, reader=reader)
    assert told(report) == {
        "there is no topic news; create it, name another one with --to, or leave its letters out "
        "with --topic": ("no_topic", 4, (0, 0))
    }
    assert (report.sent, report.left) == ({"articles": 6}, 0)
    assert sorted(reader.asked) == ["articles", "news"]
    # It is not marked, so that it is sent once the topic is there.
    topics.counts["news"] = 4
    assert replay(topics).sent == {"news": 4}


def test_letters_that_cannot_be_sent_stop_no_other() -> None:
    topics = filled(4)
    topics.counts["gone"] = 0
    for topic, timestamp_ms in (
        ("a\0b", 7),
        ("dead", 7),
        ("gone", 7),
        ("articles", 10**19 - 1),
        ("articles", 0),
    ):
        bad = original(9, topic=topic)._replace(timestamp_ms=timestamp_ms)
        topics.put(letter(bad)._replace(timestamp_ms=7))
    put(topics, 5)
    report = replay(topics)
    assert sorted(topics.by_number()) == [0, 1, 2, 3, 5]
    assert report.refusals.by_code == {"wrong_topic": 2, "no_topic": 1, "timestamp_refused": 2}
    assert [one.first for one in report.refusals.named.values()] == [
        (0, offset) for offset in range(2, 7)
    ]
    assert (report.sent.total(), report.left) == (5, 0)
    # A wrong topic does not matter where all go to another one.
    report = replay(topics, to="debug")
    assert (report.sent, report.refusals.by_code) == ({"debug": 3}, {"timestamp_refused": 2})


def test_letters_that_cannot_be_sent_are_told_once_whatever_becomes_of_the_others() -> None:
    topics = filled(30)
    topics.counts["news"] = 0
    writer = FakeWriter(topics)
    writer.fail.extend(["lose", "", "hide", "rough"])
    report = replay(topics, writer=writer)
    assert report.refusals.by_code == {"no_topic": 10}
    assert (report.sent, report.left) == ({"articles": 20}, 0)
    assert len(topics.sent) == 20


def test_a_partition_that_is_gone_is_told() -> None:
    topics = filled(8)
    topics.counts["articles"] = 2
    report = replay(topics)
    assert told(report) == {
        "the partition of articles where it came from is gone, there is only 0 to 1; name a topic "
        "with --to": ("no_partition", 2, (0, 1))
    }
    assert report.sent.total() == 6
    assert report.left == 0


def test_what_a_topic_does_not_take_stays_and_the_rest_is_sent() -> None:
    topics = filled(10)
    writer = FakeWriter(topics)
    place = Position(TopicPartition("dead", 0), 2)
    writer.refuses["articles"].add(place)
    # After the first transaction everything is looked at anew; it is told once all the same.
    writer.fail.append("rough")
    report = replay(topics, writer=writer)
    assert told(report) == {"the topic articles does not take it": ("too_large", 1, (0, 2))}
    assert sorted(topics.by_number()) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    # A topic that has got nothing is not named.
    writer = FakeWriter(topics)
    writer.refuses["articles"].add(place)
    assert list(replay(topics, writer=writer).sent) == []
    # It is not marked, so that another try finds it.
    assert replay(topics).sent.total() == 1


def test_a_mark_that_the_topic_does_not_take_stops() -> None:
    topics = filled(3)
    writer = FakeWriter(topics)
    writer.refuses["dead"].add(Position(TopicPartition("dead", 0), 0))
    with pytest.raises(KafkaProblem, match="does not take the mark of what was sent"):
        replay(topics, writer=writer)
    assert topics.sent == []


def test_letters_and_marks_are_one_transaction() -> None:
    topics = filled(20)
    writer = FakeWriter(topics)
    replay(topics, writer=writer)
    assert len(writer.transactions) == 5
    for transaction in writer.transactions:
        marks = [one for one in transaction if one.topic == "dead"]
        sent = Sent(ORIGIN)
        for one in marks:
            sent.read(at(one, 10_000))
        for one in transaction:
            if one.topic != "dead":
                (_, part), offset = one.position
                assert sent.destinations(part, offset) == (one.topic,)


@pytest.mark.parametrize("how", ["lose", "hide", "rough"])
def test_an_end_without_an_answer_is_found_out(how: str) -> None:
    topics = filled(20)
    writer = FakeWriter(topics)
    writer.fail.extend(["", how, "", how])
    progress = FakeProgress()
    report = replay(topics, writer=writer, progress=progress)
    assert sorted(topics.by_number()) == list(range(20))
    assert (report.sent.total(), report.left) == (20, 0)
    assert writer.opened == 3
    assert len(progress.told) == (0 if how == "rough" else 2)
    assert progress.shown[-1] == (20, 20)


def test_errors_without_an_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "_PATIENCE_S", -1.0)
    topics = filled(5)
    writer = FakeWriter(topics)
    writer.fail.append("lose")
    with pytest.raises(KafkaProblem, match="no answer; see to the brokers, then give the same"):
        replay(topics, writer=writer)


def test_two_at_once_one_takes_over() -> None:
    topics = filled(20)
    first, second = FakeWriter(topics), FakeWriter(topics)
    reader = FakeReader(topics)
    polls = iter(range(1_000))

    def take_over() -> None:
        if next(polls) == 6:
            replay(topics, writer=second)

    reader.before_poll = take_over
    with pytest.raises(KafkaProblem, match="another replay has begun"):
        replay(topics, writer=first, reader=reader)
    assert first.transactions
    assert second.transactions
    assert sorted(topics.by_number()) == list(range(20))


def test_a_stop_leaves_the_rest() -> None:
    topics = filled(40)
    writer = FakeWriter(topics)
    report = replay(topics, writer=writer, stop=lambda: len(writer.transactions) >= 2)
    assert report.is_stopped
    assert report.sent.total() == len(topics.sent)
    assert report.left == 40 - len(topics.sent)
    assert report.left > 0
    replay(topics)
    assert sorted(topics.by_number()) == list(range(40))


def test_a_stop_before_all_is_read_says_nothing_of_what_is_left() -> None:
    topics = filled(4)
    report = replay(topics, stop=lambda: True)
    assert (report.is_stopped, report.left, report.sent.total()) == (True, None, 0)
    assert topics.sent == []


def test_what_retention_takes_meanwhile_is_told() -> None:
    topics = filled(20)
    reader = FakeReader(topics)
    polls = iter(range(1_000))

    def remove() -> None:
        if next(polls) == 4:  # the survey takes four
            topics.removed[0] = 6

    reader.before_poll = remove
    report = replay(topics, reader=reader)
    assert (report.gone, report.sent.total(), report.left) == (6, 14, 0)


def test_messages_of_other_programs_are_counted() -> None:
    topics = filled(4)
    topics.put(Outgoing("dead", None, b"x", (), 0, 0, Position(TopicPartition("x", 0), 0)))
    report = replay(topics)
    assert (report.tally.foreign, report.sent.total()) == (1, 4)


def test_a_transaction_without_news_ends_in_time() -> None:
    topics = filled(3)
    writer = FakeWriter(topics)
    writer.open_s = 2.0
    replay(topics, writer=writer, reader=FakeReader(topics, at_once=1))
    assert len(writer.transactions) > 1


def test_a_walk_of_kills_errors_and_filters_sends_each_once() -> None:
    for seed in range(40):
        draw = random.Random(seed)
        topics = filled(draw.randrange(60))
        count = sum(map(len, topics.log.values()))
        for _ in range(8):
            writer = FakeWriter(topics)
            writer.fail.extend(draw.choices(["", "lose", "hide", "rough"], k=6))
            wanted = draw.choice(
                [
                    LetterFilter(),
                    LetterFilter(codes=frozenset({"no_text"})),
                    LetterFilter(topics=("news",)),
                ]
            )
            reader = FakeReader(topics, draw.choice([1, 3, 10]))
            last = draw.randrange(40)
            polls = iter(range(1_000_000))

            def kill(polls: Any = polls, last: int = last) -> None:
                if next(polls) == last:
                    raise ZeroDivisionError

            reader.before_poll = kill
            try:
                replay(topics, wanted, reader=reader, writer=writer)
            except ZeroDivisionError:
                continue
        replay(topics)
        assert sorted(topics.by_number()) == list(range(count)), seed
        assert replay(topics).sent.total() == 0


def test_each_dead_letter_topic_has_one_name() -> None:
    assert transactional_id("a") != transactional_id("b")
    assert transactional_id("a") == "nerstream.replay@a"
