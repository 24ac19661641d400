"""`nerstream dead-letters replay`."""

from __future__ import annotations

import argparse
import contextlib
import os
import time
from typing import TYPE_CHECKING

from consumer import __version__
from consumer.commands.dead_letters.arguments import (
    add_connection_arguments,
    add_filter_arguments,
    count,
    filter_from,
    rate,
    topic_name,
)
from consumer.commands.dead_letters.columns import Columns
from consumer.commands.dead_letters.progress import Bar
from consumer.contracts.errors import SettingsError
from consumer.contracts.words import counted
from consumer.dead_letters.marks import Origin
from consumer.dead_letters.plan import Plan, transactional_id
from consumer.dead_letters.refusals import Refusals
from consumer.dead_letters.replay import Replay, Stopped
from consumer.dead_letters.report import Report
from consumer.dead_letters.routes import Routes
from consumer.dead_letters.survey import Survey, Tally, read_on
from consumer.dead_letters.waiting import Waiting
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings
from consumer.signals import EndSignals
from consumer.terminal import say, say_json, tell

if TYPE_CHECKING:
    from consumer.kafka.tools.bounded_reader import BoundedReader

#: How often a letter may be sent back, unless a person says otherwise.
_MAX_ATTEMPTS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which letters, where they go, how fast, and how to reach the brokers."""
    add_filter_arguments(parser)
    parser.add_argument(
        "--to",
        type=topic_name,
        metavar="TOPIC",
        help="send them there [default: each to the topic and partition where it came from]",
    )
    parser.add_argument(
        "--also-sent-to",
        action="append",
        type=topic_name,
        default=[],
        metavar="TOPIC",
        help="also those that an earlier replay has sent to this topic, but not yet to where they "
        "go now; without it a dead letter is sent once, wherever that was; may be repeated",
    )
    parser.add_argument(
        "--max-attempts",
        type=count,
        default=_MAX_ATTEMPTS,
        metavar="N",
        help="leave those where they are that were sent back so often, and rejected again "
        f"[default: {_MAX_ATTEMPTS}]",
    )
    parser.add_argument(
        "--rate", type=rate, metavar="N", help="messages a second [default: as fast as it goes]"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be sent, and write nothing"
    )
    parser.add_argument("--json", action="store_true", help="print what was done as a JSON object")
    add_connection_arguments(parser, "transaction_timeout_ms")


def run(arguments: argparse.Namespace) -> int:
    """Send them; 0 where all that was meant is sent, or would be, 1 where some cannot be, 128 and
    the signal's number where a signal has ended it.

    Raises:
        SettingsError, KafkaProblem: as the command's `run`.
    """
    settings = load_settings(arguments, os.environ)
    wanted = filter_from(arguments, settings)
    _check_topics(arguments, settings.dead_letter_topic)
    # Imported here, so that `--help` and a wrong setting do not wait for the client library.
    from consumer.kafka.tools.bounded_reader import BoundedReader

    began = time.monotonic()
    with (
        EndSignals() as signals,
        BoundedReader(settings, settings.dead_letter_topic, "dead_letter_topic") as reader,
    ):
        origin = Origin(reader.cluster_id(), settings.dead_letter_topic)
        routes = Routes(settings.dead_letter_topic, arguments.to, reader.partition_count)
        routes.require()
        plan = Plan(origin, routes, arguments.rate, __version__)
        again = frozenset(arguments.also_sent_to)
        survey = Survey(origin, wanted, routes, arguments.max_attempts, again)
        with Bar() as bar:
            if arguments.dry_run:
                _survey(reader, survey, plan, bar, signals)
            else:
                report = _replay(settings, reader, survey, plan, bar, signals)
        if arguments.dry_run:
            if signals():
                return _code(signals)
            tally = survey.tally()
            _tell_plan(tally, arguments)
            return int(bool(tally.barred.letters))
    _tell(report, time.monotonic() - began, arguments)
    return _code(signals) or int(bool(report.refusals.letters or report.gone))


def _check_topics(arguments: argparse.Namespace, dead_letter_topic: str) -> None:
    """Raise SettingsError where letters would go to a topic that makes no sense."""
    named = {"--to": (arguments.to,), "--also-sent-to": arguments.also_sent_to}
    for flag, topics in named.items():
        if dead_letter_topic in topics:
            raise SettingsError(
                flag,
                f"{dead_letter_topic} is the dead-letter topic itself",
                "name a topic that dead letters are sent to",
            )
    if arguments.to is not None and arguments.to in arguments.also_sent_to:
        raise SettingsError(
            "--also-sent-to",
            f"{arguments.to} is where they go now, and none is sent twice to the same topic",
            "name another topic, or leave it out",
        )


def _survey(
    reader: BoundedReader, survey: Survey, plan: Plan, bar: Bar, signals: EndSignals
) -> None:
    """Read all that is there now, or until a signal comes."""
    bounds = reader.bounds()
    reader.start({part: (one.begin, one.stable_end) for part, one in bounds.items()})
    waiting = Waiting(reader, plan.origin.topic, bar, is_stable=True)

    def each() -> None:
        if signals():
            raise Stopped

    with contextlib.suppress(Stopped):
        for raw in read_on(reader, waiting, each):
            survey.note(raw)


def _replay(
    settings: Settings,
    reader: BoundedReader,
    survey: Survey,
    plan: Plan,
    bar: Bar,
    signals: EndSignals,
) -> Report:
    from consumer.kafka.tools.transactional_writer import TransactionalWriter

    topic = settings.dead_letter_topic
    taken_over = (
        f"another replay of {topic} has begun, and took over from this one; it sends what it is "
        "told to, and what this one has sent stays sent; give this command again when it is done"
    )
    with TransactionalWriter(settings, transactional_id(topic), taken_over) as writer:
        replay = Replay(reader, writer, survey, plan, bar, lambda: bool(signals()))
        return replay.run()


def _code(signals: EndSignals) -> int:
    """What a shell reports of a program that a signal ended; 0 where none has come."""
    return 0 if signals.number is None else 128 + signals.number


def _tell_plan(tally: Tally, arguments: argparse.Namespace) -> None:
    """What would be done, by code and topic."""
    if arguments.json:
        say_json(
            {
                "dry_run": True,
                "would_send": [
                    {"code": code, "to": to, "letters": letters}
                    for (code, to), letters in sorted(tally.to_send.items())
                ],
                "sent_before": tally.sent_before,
                "over_max_attempts": tally.over_bound,
                "no_dead_letters": tally.foreign,
                "would_refuse": dict(sorted(tally.barred.by_code.items())),
            }
        )
        _tell_refusals(tally.barred, "cannot be sent")
        return
    table = Columns(("code", "to", "letters"), ("letters",))
    for (code, to), letters in sorted(tally.to_send.items()):
        table.add((code, to, f"{letters:,}"))
    if tally.to_send:
        table.flush()
        say()
    say(f"{_letters(sum(tally.to_send.values()))} would be sent; nothing was")
    _tell_others(tally, arguments)
    _tell_refusals(tally.barred, "cannot be sent")


def _tell(report: Report, seconds: float, arguments: argparse.Namespace) -> None:
    """What was done."""
    tally = report.tally
    if arguments.json:
        say_json(
            {
                "dry_run": False,
                "sent": report.sent.total(),
                "sent_by_topic": dict(sorted(report.sent.items())),
                "sent_before": tally.sent_before,
                "over_max_attempts": tally.over_bound,
                "no_dead_letters": tally.foreign,
                "refused": dict(sorted(report.refusals.by_code.items())),
                "gone": report.gone,
                "left": report.left,
                "seconds": round(seconds, 3),
            }
        )
    topics = ", ".join(f"{topic} {number:,}" for topic, number in report.sent.most_common())
    tell(f"sent {_letters(report.sent.total())} in {seconds:.1f} s" + (topics and f": {topics}"))
    _tell_others(tally, arguments)
    _tell_refusals(report.refusals, "not sent")
    if report.gone:
        tell(f"retention removed {_letters(report.gone)} before they were sent")
    if report.is_stopped:
        left = "before it began" if report.left is None else f"with {_letters(report.left)} left"
        tell(f"stopped by a signal {left}; the same command goes on from here")


def _tell_others(tally: Tally, arguments: argparse.Namespace) -> None:
    """Those that are not sent, and why."""
    if tally.sent_before:
        tell(f"passed over: {_letters(tally.sent_before)} that a replay has sent before")
    if tally.over_bound:
        tell(
            f"passed over: {_letters(tally.over_bound)} that came back "
            f"{arguments.max_attempts} times or more; mend what rejects them, or raise "
            "--max-attempts"
        )
    if tally.foreign:
        messages = counted(tally.foreign, "message")
        are = "is no dead letter" if tally.foreign == 1 else "are no dead letters"
        tell(f"passed over: {messages} of the topic that {are}")


def _tell_refusals(refusals: Refusals, what: str) -> None:
    """A line for each thing that stands in the way."""
    for obstacle, refused in refusals.named.items():
        place = "{}/{}".format(*refused.first)
        if refused.letters > 1:
            place = f"{_letters(refused.letters)}, the first of them {place}"
        tell(f"{what}: {place} ({obstacle.code}): {obstacle.why}")
    if refusals.unnamed:
        tell(f"{what}: {_letters(refusals.unnamed)} more")


def _letters(number: int) -> str:
    return counted(number, "dead letter")
