"""What is read to find messages and their outcomes, and in which order."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from consumer.audit.audit import Role
from consumer.audit.fate import Absence, OutcomeKind, State
from consumer.commands.find.search import Search
from consumer.contracts.choices import NoText
from consumer.contracts.errors import KafkaProblem, SettingsError
from consumer.contracts.messages import Position, RawMessage, TopicPartition
from consumer.dead_letters.marks import Origin, mark
from consumer.dead_letters.offset_set import OffsetSet
from consumer.loading import codec_from
from consumer.settings.schema import Settings
from tests.support.memory.audited import DEAD, OUT, given, outcome_of
from tests.support.memory.find_topics import FindTopics

NEWS, OUT_0, DEAD_0 = (TopicPartition(topic, 0) for topic in ("news", OUT, DEAD))
SETTINGS = Settings(
    input_topics=("news", "^wires-.*"),
    output_topic=OUT,
    dead_letter_topic=DEAD,
    group_id="taggers",
    no_text=NoText.PASS,
)
TIME_MS = 1_700_000_000_000


def at(offset: int, topic: str = "news", partition: int = 0) -> Position:
    return Position(TopicPartition(topic, partition), offset)


def timed(raw: RawMessage) -> RawMessage:
    return raw._replace(timestamp_ms=TIME_MS + raw.position.offset * 1_000)


def topics(count: int = 20, bad: int = 4) -> FindTopics:
    """Articles, each a second after the one before; one is none. All have their outcomes."""
    inputs = [timed(given(n, b"{" if n == bad else b"", key=b"k%d" % n)) for n in range(count)]
    messages = list(inputs)
    ends = {Role.OUTPUT: 0, Role.DEAD_LETTERS: 0}
    for raw in inputs:
        role, _ = outcome_of(raw)
        _, outcome = outcome_of(raw, ends[role])
        messages.append(outcome)
        ends[role] += 1
    counts = {"news": 1, OUT: 1, DEAD: 1, "wires-a": 1}
    return FindTopics(messages, counts, group={NEWS: count})


def search(made: FindTopics, **more: Any) -> Search:
    codec = codec_from(SETTINGS)
    return Search(made, made, SETTINGS, codec, codec, **more)


def test_an_article_is_found_from_its_time_on_and_no_further() -> None:
    made = topics()
    (fate,) = search(made).fates([at(7)])
    assert (fate.state, fate.id) == (State.DONE, "7")
    assert fate.outcomes[0].kind is OutcomeKind.ENRICHED
    assert fate.outcomes[0].position == at(6, OUT)
    # The input, the output from that time on; and no mark, since it is no dead letter.
    assert made.reads == [{NEWS: (7, 8)}, {OUT_0: (6, 19)}]


def test_a_dead_letter_is_found_and_whether_it_was_sent_back() -> None:
    made = topics()
    (fate,) = search(made).fates([at(4)])
    (outcome,) = fate.outcomes
    assert (outcome.kind, outcome.code) == (OutcomeKind.DEAD_LETTER, "invalid_json")
    assert outcome.sent_to == ()
    sent = OffsetSet()
    sent.add(0)
    written = mark(Origin("cluster", DEAD), 0, "news", sent, TIME_MS, "1")
    made.messages.append(
        RawMessage(at(1, DEAD), written.key, written.value, written.headers, TIME_MS, 0)
    )
    (fate,) = search(made).fates([at(4)])
    assert fate.outcomes[0].sent_to == ("news",)


def test_several_are_found_at_once() -> None:
    made = topics()
    found = search(made).fates([at(9), at(4), at(2)])
    assert [fate.position.offset for fate in found] == [9, 4, 2]
    assert {fate.state for fate in found} == {State.DONE}
    assert made.reads[0] == {NEWS: (2, 10)}
    assert made.reads[1] == {OUT_0: (2, 19)} | {DEAD_0: (0, 1)}


def test_what_the_group_has_not_come_to_is_waiting() -> None:
    made = topics()
    made.messages = [raw for raw in made.messages if raw.position.topic_partition == NEWS]
    made.group = {NEWS: 5}
    (fate,) = search(made).fates([at(7)])
    assert (fate.state, fate.committed, fate.behind) == (State.WAITING, 5, 3)
    made.group = {}
    (fate,) = search(made).fates([at(7)])
    assert (fate.state, fate.committed) == (State.WAITING, None)


def without_outcome(made: FindTopics, offset: int) -> FindTopics:
    lost = outcome_of(timed(given(offset, key=b"k%d" % offset)))[1].headers
    made.messages = [raw for raw in made.messages if raw.headers != lost]
    return made


def test_one_that_is_lost_is_looked_for_everywhere() -> None:
    made = without_outcome(topics(), 7)
    (fate,) = search(made).fates([at(7)])
    assert fate.state is State.MISSING
    assert made.reads[1:] == [{OUT_0: (7, 19)}, {OUT_0: (0, 7), DEAD_0: (0, 1)}]


@pytest.mark.parametrize("why", ["removed", "held", "compacted"])
def test_one_whose_outcome_may_be_gone_is_not_said_to_be_lost(why: str) -> None:
    made = without_outcome(topics(), 7)
    if why == "removed":
        made.begins[OUT_0] = 3
    elif why == "held":
        made.held = [(OUT_0, 15, 19)]
    else:
        made.compacted_topics = frozenset({OUT})
    (fate,) = search(made).fates([at(7)])
    assert fate.state is State.UNSAID


def test_an_outcome_before_its_time_is_found_in_a_second_look() -> None:
    """As where the topic has the broker's times, and its clock is behind that of the producer."""
    made = topics()
    made.messages = [
        raw._replace(timestamp_ms=TIME_MS - 60_000)
        if raw.position.topic_partition == OUT_0
        else raw
        for raw in made.messages
    ]
    (fate,) = search(made).fates([at(7)])
    assert fate.state is State.DONE
    assert made.reads[1:] == [{OUT_0: (0, 19), DEAD_0: (0, 1)}]


def test_every_outcome_is_looked_for_where_that_is_asked() -> None:
    made = topics()
    again = outcome_of(timed(given(7, key=b"k7")), 19)[1]
    made.messages.append(again)
    (fate,) = search(made).fates([at(7)])
    assert len(fate.outcomes) == 1
    (fate,) = search(made, finds_all=True).fates([at(7)])
    assert [one.position.offset for one in fate.outcomes] == [6, 19]


def test_a_message_without_a_time_is_looked_for_from_the_beginning() -> None:
    made = topics()
    made.messages[7] = made.messages[7]._replace(timestamp_ms=None)
    (fate,) = search(made).fates([at(7)])
    assert fate.state is State.DONE
    assert made.reads[1] == {OUT_0: (0, 19), DEAD_0: (0, 1)}


def test_why_no_message_stands_there() -> None:
    made = topics()
    made.begins[NEWS] = 2
    made.messages = [raw for raw in made.messages if raw.position != at(5)]
    made.upto[NEWS] = 25
    made.held = [(NEWS, 20, 25)]
    found = search(made).fates([at(1), at(5), at(22), at(30)])
    assert [fate.absence for fate in found] == [
        Absence.REMOVED,
        Absence.NOT_A_MESSAGE,
        Absence.HELD,
        Absence.TO_COME,
    ]
    # Its outcome is there all the same.
    assert found[0].state is State.DONE
    assert {fate.state for fate in found[2:]} == {State.NO_MESSAGE}


def test_a_place_in_the_output_or_the_dead_letters_means_its_input() -> None:
    made = topics()
    places = [at(6, OUT), at(0, DEAD), at(7), at(12)]
    assert search(made).inputs_of(places) == [at(7), at(4), at(12)]


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (at(0, "sport"), "PLACE: sport is no topic of these settings; they name news,"),
        (at(0, "news", 1), "PLACE: news has no partition 1; it has 1"),
    ],
)
def test_a_place_that_is_none_is_refused(place: Position, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        search(topics()).inputs_of([place])


@pytest.mark.parametrize("offset", [99, 19])
def test_a_place_in_the_output_that_names_no_input_is_told(offset: int) -> None:
    made = topics()
    made.messages.append(given(0)._replace(position=at(19, OUT)))
    said = "names no input" if offset == 19 else "is not there"
    with pytest.raises(KafkaProblem, match=f"the message at out/0/{offset} {said}"):
        search(made).inputs_of([at(offset, OUT)])


def test_a_topic_that_a_pattern_takes_in_is_the_worker_s() -> None:
    assert search(topics()).inputs_of([at(3, "wires-a")]) == [at(3, "wires-a")]


class TestIds:
    def named(self, made: FindTopics, wanted: str, *times: int | None) -> list[int]:
        settings = SETTINGS.model_copy(update={"input_topics": ("news",)})
        codec = codec_from(settings)
        begin, until = times or (None, None)
        found = Search(made, made, settings, codec, codec).named(wanted, begin, until)
        return [one.offset for one in found]

    def put(self, made: FindTopics, offset: int, **changes: Any) -> None:
        made.messages[offset] = made.messages[offset]._replace(**changes)

    def test_the_id_of_an_article_or_the_key_of_a_message(self) -> None:
        made = topics()
        self.put(made, 9, value=b'{"id": "7", "title": "once more"}')
        self.put(made, 11, value=None, key=b"7")
        self.put(made, 12, value=b"no article", key=b"7")
        assert self.named(made, "7") == [7, 9, 11, 12]

    def test_the_id_must_be_the_id_and_all_of_it(self) -> None:
        made = topics()
        self.put(made, 5, value=b'{"id": "5", "title": "7"}')
        self.put(made, 6, value=b'{"id": "17", "title": "a"}')
        assert self.named(made, "7") == [7]

    def test_an_id_may_be_spelled_with_escapes(self) -> None:
        made = topics()
        self.put(made, 5, value=orjson.dumps({"id": "a/ü", "title": "a"}).replace(b"/", b"\\/"))
        self.put(made, 6, value=b'{"id": "a\\/\\u00fc", "title": "a"}')
        assert self.named(made, "a/ü") == [5, 6]

    def test_an_article_without_text_has_one_too(self) -> None:
        made = topics()
        self.put(made, 5, value=b'{"id": "picture-5"}')
        assert self.named(made, "picture-5") == [5]

    def test_only_within_the_times(self) -> None:
        made = topics()
        for offset in (3, 9, 15):
            self.put(made, offset, value=b'{"id": "again", "title": "a"}')
        assert self.named(made, "again", TIME_MS + 4_000, TIME_MS + 15_000) == [9]
        assert self.named(made, "again", TIME_MS + 9_000, None) == [9, 15]
        assert self.named(made, "again", None, TIME_MS + 9_000) == [3]

    def test_nothing_may_have_it(self) -> None:
        made = topics()
        assert self.named(made, "nobody") == []
        assert list(search(made).fates([])) == []
