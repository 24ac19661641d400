"""Lines about an article, a batch or a transaction carry the ids of its trace."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import structlog

from consumer.contracts.messages import Position, TopicPartition
from consumer.pipeline.log_context import log_context, spelled
from tests.support.processes.log_lines import log_lines


@dataclass(frozen=True, slots=True)
class FakeTrace:
    trace_id: str = "ab" * 16
    span_id: str = "cd" * 8


def test_our_lines_and_those_of_libraries_carry_them() -> None:
    with log_lines() as lines:
        with log_context(FakeTrace()):
            structlog.get_logger("ours").info("one")
            logging.getLogger("theirs").warning("two")
        structlog.get_logger("ours").info("three")
        logging.getLogger("theirs").warning("four")
        ids = [(line.get("trace_id"), line.get("span_id")) for line in lines.all]
    assert ids == [("ab" * 16, "cd" * 8)] * 2 + [(None, None)] * 2


def test_where_nothing_is_traced_nothing_is_bound() -> None:
    with log_lines() as lines, log_context(None):
        structlog.get_logger("ours").info("one")
        assert "trace_id" not in lines.all[0]


def test_a_place_is_spelled_as_the_commands_take_it() -> None:
    assert spelled(Position(TopicPartition("news", 3), 1204)) == "news/3/1204"
