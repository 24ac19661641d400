"""`nerstream audit`: whether every input has exactly one outcome, in order, unchanged."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from consumer.audit.audit import Audit
from consumer.audit.findings import Findings, Kind, Reason, Unsaid
from consumer.audit.ranges import Ranges, parts, size_of
from consumer.commands.audit.plan import EARLIEST, Plan, plan_of
from consumer.commands.audit.points import Named, Point, begin_point, outcome_point, until_point
from consumer.commands.audit.report import as_json, as_text, verdict
from consumer.contracts.choices import Delivery
from consumer.settings.flags import add_settings_arguments
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.terminal import say, say_json

if TYPE_CHECKING:
    from consumer.kafka.tools.ranges import Taken

#: The worker's settings that mean something here.
SETTINGS = (
    "bootstrap_servers",
    "input_topics",
    "output_topic",
    "dead_letter_topic",
    "group_id",
    "kafka",
    "delivery",
    "transaction_timeout_ms",
    "preset",
    "output_field",
    "group_mentions",
    "input_format",
    "registry",
)

#: Inputs that are held at once, some 29 bytes each; a longer audit is made in parts, and reads the
#: outcomes anew for each.
MOST_INPUTS = 12_000_000

#: Called with the offsets that are read so far.
Move = Callable[[int], None]


class Reader(Protocol):
    """What `RangeReader` does."""

    def read(self, ranges: Ranges) -> Iterator[Taken]:
        """All messages of these ranges, a look at a time."""
        ...


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """From where to where, what to print, and the worker's settings."""
    parser.add_argument(
        "--from",
        dest="begin",
        type=begin_point,
        default=EARLIEST,
        metavar="POINT",
        help="first input: earliest, committed, a time (2026-11-29T06:30, 2h ago as 2h), or "
        "offsets as TOPIC:PARTITION:OFFSET,... [default: earliest]",
    )
    parser.add_argument(
        "--until",
        type=until_point,
        default=Point(named=Named.COMMITTED),
        metavar="POINT",
        help="end of the inputs, not included, in the same words, or latest; committed is what "
        "the group has committed [default: committed]",
    )
    parser.add_argument(
        "--outcomes-from",
        type=outcome_point,
        default=EARLIEST,
        metavar="POINT",
        help="first message of the output and of the dead letters that is looked at, as offsets: "
        "what came before is of an earlier topic of the same name, or too much to read "
        "[default: earliest]",
    )
    parser.add_argument(
        "--max-findings",
        type=_count,
        default=20,
        metavar="N",
        help="findings of each kind that are listed; all are counted [default: 20]",
    )
    unsaid = parser.add_mutually_exclusive_group()
    unsaid.add_argument(
        "--strict",
        action="store_true",
        help="exit with 1 also where anything cannot be said, since it is gone for example",
    )
    unsaid.add_argument(
        "--allow-unsaid",
        action="store_true",
        help="exit with 0 also where inputs have no outcome and may have had one in what is gone "
        "or cannot be told, as in a compacted output, or one whose retention is shorter",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_settings_arguments(parser, SETTINGS)


def run(arguments: argparse.Namespace) -> int:
    """Audit; 0 when every input has its outcome, 1 when not, or when that cannot be said of some.

    Raises:
        SettingsError: a setting is wrong, or a point is not there.
        KafkaProblem: no broker answers, a topic is missing, or the group has committed nothing.
    """
    settings = load_settings(arguments, os.environ)
    # What the client library logs comes back as an error, which is shown once.
    logging.getLogger("consumer").addHandler(logging.NullHandler())
    # Imported here, so that `--help` and a wrong setting do not wait for the client library.
    from consumer.kafka.tools.places import Places
    from consumer.kafka.tools.ranges import RangeReader

    began = time.monotonic()
    with Places(settings) as places:
        plan = plan_of(places, settings, arguments.begin, arguments.until, arguments.outcomes_from)
    total = size_of(plan.inputs) + _part_count(plan) * size_of(plan.outcomes)
    with RangeReader(settings) as reader, _progress(total) as move:
        found = audited(plan, settings, reader, arguments.max_findings, move)
    allowed = frozenset[Kind]()
    if settings.delivery is Delivery.AT_LEAST_ONCE:
        allowed = frozenset({Kind.DOUBLED})
    is_good = not found.wrong([kind for kind in Kind if kind not in allowed])
    if found.unsaid_inputs and not arguments.allow_unsaid:
        is_good = False
    if found.unsaid and arguments.strict:
        is_good = False
    if arguments.json:
        say_json(as_json(found, plan.inputs, is_good, time.monotonic() - began))
    else:
        for line in as_text(found, plan.inputs, allowed):
            say(line)
        say(verdict(found, allowed))
    return 0 if is_good else 1


def audited(plan: Plan, settings: Settings, reader: Reader, most: int, move: Move) -> Findings:
    """Read what the plan says, in parts that fit, and add up what is found.

    Args:
        reader: of the brokers.
        most: findings of a kind that are kept.
        move: hears of the offsets that are read, over all parts.
    """
    found = Findings(most, unsaid=list(plan.gone_inputs))
    done = 0
    for number, part in enumerate(parts(plan.inputs, MOST_INPUTS)):
        is_first = number == 0
        found.add_all(_part(part, is_first, plan, settings, reader, most, _after(done, move)))
        done += size_of(part) + size_of(plan.outcomes)
    return found


def _part_count(plan: Plan) -> int:
    return sum(1 for _ in parts(plan.inputs, MOST_INPUTS))


def _part(
    part: Ranges,
    is_first: bool,
    plan: Plan,
    settings: Settings,
    reader: Reader,
    most: int,
    move: Move,
) -> Findings:
    # Imported here, as the client library is.
    from consumer.loading import comparison_from

    with contextlib.closing(comparison_from(settings)) as comparison:
        audit = Audit(
            part,
            comparison,
            exactly_once=settings.delivery is Delivery.EXACTLY_ONCE,
            compacted=plan.compacted,
            most=most,
            ends=plan.ends,
            tells_beyond=is_first,
        )
        for taken in reader.read(part):
            for raw, _ in taken.messages:
                audit.note_input(raw)
            for gap in _gaps(taken):
                audit.note_input_gap(gap)
            move(taken.done)
        for gap in plan.gone_outcomes:
            audit.note_outcome_gap(gap)
        move = _after(size_of(part), move)
        for taken in reader.read(plan.outcomes):
            for raw, has_own_time in taken.messages:
                audit.note_outcome(
                    plan.roles[raw.position.topic_partition.topic], raw, has_own_time
                )
            for gap in _gaps(taken):
                audit.note_outcome_gap(gap)
            move(taken.done)
        return audit.finish()


def _gaps(taken: Taken) -> list[Unsaid]:
    """What is gone or held behind the messages of a look."""
    removed = [Unsaid(Reason.REMOVED, *one) for one in taken.removed]
    return removed + [Unsaid(Reason.OPEN, *one) for one in taken.held]


def _after(before: int, move: Move) -> Move:
    return lambda done: move(before + done)


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Move]:
    """A bar on standard error where that is a terminal, and nothing elsewhere."""
    # Imported here, so that `--help` does not wait for it.
    from rich.progress import TaskProgressColumn

    from consumer.commands.rate_bar import rate_bar

    text = "{task.completed:,.0f} of {task.total:,.0f} offsets"
    with rate_bar(total, text, TaskProgressColumn()) as move:
        yield lambda done: move(done, done)


def _count(text: str) -> int:
    with contextlib.suppress(ValueError):
        if int(text) >= 0:
            return int(text)
    raise argparse.ArgumentTypeError(f'"{text}" is not a whole number of at least 0')
