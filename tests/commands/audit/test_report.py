"""What an audit says: to a person, and to a program."""

from __future__ import annotations

import orjson

from consumer.audit.audit import Role
from consumer.audit.findings import Findings, Kind, Reason, Unsaid
from consumer.audit.ranges import Range
from consumer.commands.audit.report import as_json, as_text, verdict
from consumer.contracts.messages import TopicPartition
from tests.support.memory.audited import DEAD, OUT, Log, given

NONE: frozenset[Kind] = frozenset()
RANGES = {TopicPartition("news", 0): Range(0, 9)}


def faulty() -> Findings:
    """One lost, one doubled, and what retention took."""
    log = Log.of([given(n, b"{" if n == 2 else None if n == 3 else b"") for n in range(9)])
    log.outcomes.append(log.outcomes[6])
    del log.outcomes[4]
    log.outcomes.append((Role.DEAD_LETTERS, given(7, topic=DEAD)))
    found = log.audited()
    found.unsaid.append(Unsaid(Reason.REMOVED, TopicPartition(OUT, 1), 0, 5))
    found.unsaid_inputs = 2
    return found


def test_a_person_reads_what_is_wrong_and_where() -> None:
    assert list(as_text(faulty(), RANGES, NONE)) == [
        "9 inputs of 1 partition: 6 enriched, 1 tombstone, 1 dead letter (invalid_json 1)",
        "1 lost, 1 doubled, 0 out of order, 0 altered, 0 of no input",
        "lost: news[0]@4: it has no outcome",
        "doubled: news[0]@6, in out[0]@6: outcome number 2 of the same input",
        "cannot be said: out[1]: offsets 0 to 4 are gone, by retention or DeleteRecords",
        "cannot be said: whether 2 inputs without an outcome had theirs there",
        "1 message among the dead letters is no outcome: it names no input and no origin, so "
        "it is another writer's, the first at dead[0]@7",
    ]
    assert verdict(faulty(), NONE).startswith("not every input has exactly one outcome")


def test_a_program_reads_the_same() -> None:
    shown = orjson.loads(orjson.dumps(as_json(faulty(), RANGES, False, 1.23456)))
    assert shown["good"] is False
    assert (shown["inputs"], shown["dead_letters"]) == (9, {"invalid_json": 1})
    assert shown["doubled"] == {
        "count": 1,
        "first": [
            {
                "topic": "news",
                "partition": 0,
                "offset": 6,
                "outcome": {"topic": "out", "partition": 0, "offset": 6},
                "said": "outcome number 2 of the same input",
            }
        ],
    }
    assert shown["altered"] == {"count": 0, "first": []}
    assert shown["cannot_be_said"] == {
        "inputs": 2,
        "because": [{"reason": "removed", "topic": "out", "partition": 1, "start": 0, "end": 5}],
    }
    assert shown["foreign"] == {
        "count": 1,
        "first": [{"topic": DEAD, "partition": 0, "offset": 7}],
    }
    assert shown["audited"] == [{"topic": "news", "partition": 0, "start": 0, "end": 9}]
    assert shown["seconds"] == 1.235


def test_more_than_was_kept_is_counted() -> None:
    found = Log([given(n) for n in range(5)], []).audited(most=1)
    assert list(as_text(found, RANGES, NONE))[2:] == [
        "lost: news[0]@0: it has no outcome",
        "lost: and 4 more",
    ]


def test_the_last_line_says_no_more_than_is_known() -> None:
    good = Log.of([given(0)]).audited()
    assert verdict(good, NONE) == (
        "every input has exactly one outcome, in order, with its own bytes beside what is added"
    )
    good.unsaid.append(Unsaid(Reason.OPEN, TopicPartition(OUT, 0), 5, 9))
    assert verdict(good, NONE).startswith("every input of which anything can be said has exactly")
    assert verdict(Findings(20), NONE) == "there was no input to audit"


def test_doubles_are_no_fault_where_the_delivery_allows_them() -> None:
    log = Log.of([given(0)], exactly_once=False)
    log.outcomes *= 2
    found, allowed = log.audited(), frozenset({Kind.DOUBLED})
    assert "at_least_once allows it" in list(as_text(found, RANGES, allowed))[2]
    assert verdict(found, allowed).startswith("every input has at least one outcome")


def test_a_code_that_is_none_of_ours_does_not_reach_the_terminal() -> None:
    log = Log.of([given(0, b"{")])
    role, letter = log.outcomes[0]
    headers = tuple((n, b"\x1b[2J" if n.endswith(".code") else v) for n, v in letter.headers)
    log.outcomes = [(role, letter._replace(headers=headers))]
    assert log.audited().dead_letters == {"unknown": 1}
