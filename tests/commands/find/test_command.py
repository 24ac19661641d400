"""`nerstream find` without a broker: its arguments, what it prints, its exit code."""

from __future__ import annotations

import json
from typing import Any, Self

import pytest

from consumer import cli
from consumer.contracts.messages import TopicPartition
from consumer.kafka.tools import places, ranges
from tests.support.memory.audited import DEAD, OUT, given, outcome_of
from tests.support.memory.find_topics import FindTopics

TOPICS = ("--input-topics", "news", "--output-topic", OUT, "--dead-letter-topic", DEAD)


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs the command on topics in memory; the exit code, and what it prints."""
    inputs = [given(n, key=b"k%d" % n) for n in range(4)]
    messages = [*inputs, *(outcome_of(raw, n)[1] for n, raw in enumerate(inputs[:3]))]
    made = FindTopics(messages, {"news": 1, OUT: 1, DEAD: 1}, group={TopicPartition("news", 0): 3})

    class Clients:
        """In the place of both clients."""

        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __getattr__(self, name: str) -> Any:
            return getattr(made, name)

    monkeypatch.setattr(places, "Places", Clients)
    monkeypatch.setattr(ranges, "RangeReader", Clients)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["find", *arguments, *TOPICS])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


def test_one_that_is_done(find: Any) -> None:
    code, out, err = find("news/0/1")
    assert (code, err) == (0, "")
    assert "outcome    enriched: out/0/1" in out.splitlines()


def test_one_that_is_on_its_way(find: Any) -> None:
    code, out, _ = find("news/0/3")
    assert code == 3
    assert "not yet: the group nerstream has committed 3, 1 behind" in out


def test_several_stand_apart_and_each_is_told_once(find: Any) -> None:
    code, out, _ = find("news/0/1", "news/0/2", "--id", "1")
    assert code == 0
    assert [part.split()[1] for part in out.split("\n\n")] == ["news/0/1,", "news/0/2,"]


def test_by_id_as_json(find: Any) -> None:
    code, out, err = find("--id", "2", "--json")
    assert (code, err) == (0, "")
    (line,) = out.splitlines()
    found = json.loads(line)
    assert (found["id"], found["outcomes"][0]["kind"]) == ("2", "enriched")


def test_nobody_has_the_id(find: Any) -> None:
    code, out, err = find("--id", "nobody")
    assert (code, out) == (1, "")
    assert err == "no message of the input has the id or key nobody there\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "PLACE: nothing says which message is meant; name its TOPIC/PARTITION/OFFSET"),
        (("news-0-1",), '"news-0-1" is no place; write TOPIC/PARTITION/OFFSET'),
        (("news/0/-1",), '"news/0/-1" is no place'),
        (("news/0/1", "--from", "2h"), "--from: a place needs no time"),
        (("news/0/1", "--until", "2h"), "--until: a place needs no time"),
        (("--id", ""), "--id: it is empty"),
        (("--id", "1", "--from", "1h", "--until", "2h"), "--until: it is not after --from"),
        (("--id", "1", "--from", "soon"), '"soon" is no time'),
    ],
)
def test_arguments_that_mean_nothing_are_refused(
    find: Any, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = find(*arguments)
    assert (code, out) == (2, "")
    assert said in err
