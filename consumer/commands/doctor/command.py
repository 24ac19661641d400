"""`nerstream doctor`: is all that a worker needs there? Asked before the first message."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
from dataclasses import replace

from consumer.commands.doctor.report import Report
from consumer.contracts.cluster import Unknown
from consumer.contracts.errors import KafkaProblem
from consumer.contracts.messages import Article
from consumer.doctor.facts import Facts, SampleFacts
from consumer.settings.flags import add_settings_arguments
from consumer.settings.schema import Settings
from consumer.settings.sources import load_settings

#: Messages that are read at most: they are held in memory.
MOST_MESSAGES = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The settings of `run`, and how far to look."""
    parser.description = (
        "Say, before the first message, what a worker with these settings would meet: a line a "
        "check, with what to do where something is wrong. Nothing is written to Kafka. Exit code 0 "
        "where no check fails, 1 where one does, 2 where the settings are wrong."
    )
    parser.add_argument(
        "--no-model", action="store_true", help="leave the model out; it takes longest"
    )
    parser.add_argument(
        "--sample",
        type=_messages,
        metavar="N",
        help="read the newest N messages of the input, without a group, and forecast rejections, "
        "tokens, and how many workers it takes",
    )
    parser.add_argument(
        "--planned-workers",
        type=_workers,
        metavar="N",
        help="how many workers there will be, to hold against the partitions and the arrivals; "
        "default: those that --workers names, if it is more than one",
    )
    parser.add_argument(
        "--json", action="store_true", help="JSON lines: one object a check, then nothing else"
    )
    add_settings_arguments(parser)


def planned_workers(given: int | None, settings: Settings) -> int | None:
    """How many workers there will be; None where nobody says: one worker by itself may be the first
    of many."""
    if given is not None:
        return given
    return settings.worker_count if settings.worker_count != 1 else None


def run(arguments: argparse.Namespace) -> int:
    """Look and report; 0 where nothing fails, else 1.

    Raises:
        SettingsError: a setting is wrong.
    """
    settings = load_settings(arguments, os.environ).for_run()
    # What the client library logs comes back as a finding.
    logging.getLogger("consumer").addHandler(logging.NullHandler())
    # Imported here, so that `--help` and a wrong setting do not wait for the client library.
    from consumer.commands.doctor.registry_look import look_at_registry
    from consumer.doctor.checks import (
        ADMIN_ROOMS,
        KAFKA_ROOMS,
        MODEL_ROOMS,
        REGISTRY_ROOMS,
        SAMPLE_ROOMS,
        judge,
    )
    from consumer.start_check import check_start
    from consumer.telemetry.admin.configured import check_admin

    # What `run` refuses of the settings, by the pieces that it refuses it with.
    port_problem = check_admin(settings)
    check_start(settings, os.environ)
    report = Report(as_json=arguments.json)
    with report.working("asking the brokers and what else a worker asks"):
        planned = planned_workers(arguments.planned_workers, settings)
        facts, articles = _look_at_kafka(settings, arguments.sample, planned)
        registry = look_at_registry(settings)
    facts = replace(facts, registry=registry, admin_port_problem=port_problem)
    report.show(judge((*KAFKA_ROOMS, *REGISTRY_ROOMS, *ADMIN_ROOMS), facts))
    if arguments.no_model:
        facts = replace(facts, model=Unknown("not looked at, since --no-model was given"))
    else:
        with report.working("loading the model and measuring it"):
            facts = _look_at_model(facts, articles)
    report.show(judge((*MODEL_ROOMS, *SAMPLE_ROOMS), facts))
    return report.end()


def _look_at_kafka(
    settings: Settings, count: int | None, workers: int | None
) -> tuple[Facts, list[Article]]:
    from consumer.commands.doctor.sampling import sampled
    from consumer.kafka.survey.survey import ClusterSurvey

    survey = ClusterSurvey(settings)
    cluster = survey.cluster()
    facts = Facts(settings, cluster, workers)
    if count is None:
        return facts, []
    if cluster.problem:
        return replace(facts, sample=SampleFacts(problem="no broker answers")), []
    try:
        found = survey.sample(cluster.of("input_topics"), count)
    except KafkaProblem as problem:
        return replace(facts, sample=SampleFacts(problem=str(problem))), []
    sample, articles = sampled(settings, found)
    return replace(facts, sample=sample), articles


def _look_at_model(facts: Facts, articles: list[Article]) -> Facts:
    from consumer.commands.doctor.model_look import look_at_model, look_at_shadow

    model, tokens = look_at_model(facts.settings, articles)
    look_at_shadow(facts.settings)
    sample = facts.sample
    if sample is not None:
        sample = replace(sample, tokens=tokens)
    return replace(facts, model=model, sample=sample)


def _messages(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 1 <= int(text) <= MOST_MESSAGES:
            return int(text)
    raise argparse.ArgumentTypeError(
        f'"{text}" is not a whole number from 1 to {MOST_MESSAGES}; 1000 says much'
    )


def _workers(text: str) -> int:
    with contextlib.suppress(ValueError):
        if int(text) >= 1:
            return int(text)
    raise argparse.ArgumentTypeError(f'"{text}" is not a whole number of at least 1')
