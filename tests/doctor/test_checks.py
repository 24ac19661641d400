"""Every check, green on a sound cluster and not green on one that is spoilt in its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from consumer.contracts.cluster import Arrivals, Broker, Clock, Cluster, Group, Listener, Unknown
from consumer.doctor import (
    access,
    admin,
    brokers,
    checks,
    model,
    registry,
    sample,
    timeouts,
    topics,
)
from consumer.doctor.facts import Facts, ModelFacts, RegistryFacts, SampleFacts
from consumer.doctor.finding import Finding, Status
from tests.support.memory import cluster_facts as sound
from tests.support.memory.cluster_facts import DAY_MS, NOW_MS, cluster, facts, topic, with_topic

ALL = (
    *checks.KAFKA_ROOMS,
    *checks.REGISTRY_ROOMS,
    *checks.ADMIN_ROOMS,
    *checks.MODEL_ROOMS,
    *checks.SAMPLE_ROOMS,
)


SOUND = facts(model=sound.model(), sample=sound.sample(), registry=RegistryFacts("http://r:8081"))


def test_a_sound_cluster_is_green_all_over() -> None:
    found = list(checks.judge(ALL, SOUND))
    assert {finding.status for _, _, finding in found} == {Status.GREEN}
    assert all(finding.text and not finding.remedy for _, _, finding in found)
    # Each check but that of languages, which are not known here, and that of a port in use.
    assert len(found) == sum(len(room) for _, room in ALL) - 2


def test_without_brokers_one_line_says_so() -> None:
    silent = Cluster(
        sound.LIMITS,
        bootstrap=(Listener("kafka:9092"),),
        problem="no broker answers at kafka:9092 (timed out); check",
    )
    found = list(checks.judge(checks.KAFKA_ROOMS, facts(silent)))
    assert [(room, name, one.status) for room, name, one in found] == [
        ("brokers", "bootstrap", Status.RED),
        ("brokers", "all else", Status.GREY),
    ]
    assert "timed out" in found[0][2].text


def says(check: Callable[[Facts], Finding | None], given: Facts) -> tuple[Status, str]:
    found = check(given)
    assert found is not None
    assert found.status is Status.GREEN or found.status is Status.GREY or found.remedy
    return found.status, f"{found.text} -> {found.remedy}"


RED, YELLOW, GREY = Status.RED, Status.YELLOW, Status.GREY
MANY = Arrivals(0, NOW_MS, NOW_MS, 3_600 * 10_000, 0)

SPOILT: dict[
    str, tuple[Callable[[Facts], Finding | None], Callable[[], Facts], Status, tuple[str, ...]]
] = {
    "a name that does not resolve": (
        brokers.bootstrap,
        lambda: facts(
            cluster(problem="down", bootstrap=(Listener("kafak:9092", "does not resolve"),))
        ),
        RED,
        ("kafak:9092: does not resolve", "bootstrap_servers"),
    ),
    "an admin port that is in use": (
        admin.port,
        lambda: facts(admin_port_problem="port 9464 on 127.0.0.1 is already in use"),
        YELLOW,
        ("port 9464 on 127.0.0.1", "this worker, which runs already", "another admin_port"),
    ),
    "a certificate that has ended": (
        access.certificate,
        lambda: facts(cluster(certificate_ends_ms=NOW_MS - 1)),
        RED,
        ("the client's certificate ended on 20", "renew it", "start the workers again"),
    ),
    "a certificate that ends soon": (
        access.certificate,
        lambda: facts(cluster(certificate_ends_ms=NOW_MS + 13 * DAY_MS)),
        YELLOW,
        ("the client's certificate ends on 20", "UTC", "renew it"),
    ),
    "brokers that keep this client out": (
        brokers.bootstrap,
        lambda: facts(cluster(problem="the certificate of a:1 expired; renew it on the broker")),
        RED,
        ("can be connected to; but the certificate of a:1 expired -> renew it on the broker",),
    ),
    "brokers that can be connected to and do not answer": (
        brokers.bootstrap,
        lambda: facts(cluster(problem="no broker answers at a:1 (why); check it")),
        RED,
        ("can be connected to, and no broker answers at a:1 (why) -> ", "advertised.listeners"),
    ),
    "one of two bootstrap servers": (
        brokers.bootstrap,
        lambda: facts(cluster(bootstrap=(Listener("a:1"), Listener("b:1", "no connection")))),
        YELLOW,
        ("b:1: no connection",),
    ),
    "a broker that advertises another network": (
        brokers.listeners,
        lambda: facts(cluster(brokers=(sound.broker(1), sound.broker(2, "does not resolve")))),
        RED,
        ("1 of 2 brokers", "broker 2 at kafka-2:9092: does not resolve", "advertised.listeners"),
    ),
    "brokers without transactions": (
        brokers.features,
        lambda: facts(cluster(apis={22: (0, 1)})),
        RED,
        ("KIP-447", "delivery=at_least_once"),
    ),
    "brokers without KIP-848": (
        brokers.features,
        lambda: facts(
            cluster(apis={k: v for k, v in sound.APIS.items() if k != 68}),
            group_protocol="consumer",
        ),
        RED,
        ("KIP-848", "group_protocol=classic"),
    ),
    "a preview of KIP-848": (
        brokers.features,
        lambda: facts(cluster(apis={**sound.APIS, 68: (0, 0)}), group_protocol="consumer"),
        RED,
        ("KIP-848",),
    ),
    "a client that does not tell": (
        brokers.features,
        lambda: facts(cluster(apis=Unknown("silence"))),
        GREY,
        ("silence",),
    ),
    "one broker for three replicas": (
        brokers.internal_topics,
        lambda: facts(
            cluster(obstacles=("transaction.state.log.replication.factor is 3; set it to 1",))
        ),
        RED,
        ("replication.factor is 3 -> set it to 1",),
    ),
    "internal topics on one of three brokers": (
        brokers.internal_topics,
        lambda: facts(cluster(internal=(topic("__consumer_offsets", "", replicas=1),))),
        YELLOW,
        ("__consumer_offsets",),
    ),
    "brokers that are ahead": (
        brokers.clock,
        lambda: facts(cluster(clock=Clock(5.0, None))),
        YELLOW,
        ("ahead of this machine's by 5.0 s", "NTP"),
    ),
    "brokers that are hours ahead": (
        brokers.clock,
        lambda: facts(cluster(clock=Clock(4_000.0, 4_001.0))),
        RED,
        ("NTP",),
    ),
    "a machine that is ahead": (
        brokers.clock,
        lambda: facts(cluster(clock=Clock(-9.0, -5.0))),
        YELLOW,
        ("ahead of the brokers' by 5.0 s",),
    ),
    "a clock that does not show": (
        brokers.clock,
        lambda: facts(cluster(clock=Clock(-400.0, None))),
        GREY,
        ("not known",),
    ),
    "no input topic": (
        topics.inputs,
        lambda: facts(
            with_topic(topic("articles", "input_topics", problem="unknown", is_missing=True))
        ),
        RED,
        ("articles does not exist", "kafka-topics.sh --create --topic articles"),
    ),
    "a pattern without topics": (
        topics.inputs,
        lambda: facts(cluster(unmatched=("^news-.*",), topics=())),
        RED,
        ("^news-.*",),
    ),
    "no output topic": (
        topics.output,
        lambda: facts(
            with_topic(topic("articles-tagged", "output_topic", problem="no", is_missing=True))
        ),
        RED,
        ("articles-tagged does not exist",),
    ),
    "no output topic, where brokers make it": (
        topics.output,
        lambda: facts(
            replace(
                with_topic(topic("articles-tagged", "output_topic", problem="no", is_missing=True)),
                brokers=(sound.broker(1, auto_create_topics_enable="true"),),
            )
        ),
        YELLOW,
        ("with their defaults",),
    ),
    "a topic that may not be seen": (
        topics.dead_letters,
        lambda: facts(with_topic(topic("dead", "dead_letter_topic", problem="not authorized"))),
        RED,
        ("dead: not authorized", "Describe"),
    ),
    "partitions without a leader": (
        topics.output,
        lambda: facts(with_topic(topic("out", "output_topic", leaderless=2))),
        RED,
        ("out (2 of 4)",),
    ),
    "too few in sync": (
        topics.output,
        lambda: facts(with_topic(topic("out", "output_topic", in_sync=1))),
        RED,
        ("min.insync.replicas",),
    ),
    "one replica behind": (
        topics.output,
        lambda: facts(with_topic(topic("out", "output_topic", in_sync=2))),
        YELLOW,
        ("not in sync: out",),
    ),
    "one replica of three brokers": (
        topics.replication,
        lambda: facts(with_topic(topic("out", "output_topic", replicas=1, in_sync=1))),
        YELLOW,
        ("out wants min.insync.replicas=2 of 1 replica",),
    ),
    "one replica": (
        topics.replication,
        lambda: facts(
            with_topic(
                topic("out", "output_topic", replicas=1, config={"min.insync.replicas": "1"})
            )
        ),
        YELLOW,
        ("out has 1 replica",),
    ),
    "all replicas must be in sync": (
        topics.replication,
        lambda: facts(with_topic(topic("out", "output_topic", replicas=2))),
        YELLOW,
        ("all of its 2 replicas",),
    ),
    "one broker is enough": (
        topics.replication,
        lambda: facts(
            with_topic(topic("out", "output_topic", config={"min.insync.replicas": "1"}))
        ),
        YELLOW,
        ("one broker alone holds", "min.insync.replicas=2"),
    ),
    "more workers than partitions": (
        topics.partitions,
        lambda: facts(workers=5),
        RED,
        ("5 workers are planned for 4 partitions", "plan 4"),
    ),
    "an output with fewer partitions": (
        topics.partitions,
        lambda: facts(with_topic(topic("out", "output_topic", partitions=2))),
        YELLOW,
        ("out has 2 partitions, the input has 4",),
    ),
    "an output that takes less": (
        topics.sizes,
        lambda: facts(with_topic(topic("out", "output_topic", config={"max.message.bytes": "99"}))),
        RED,
        ("out takes 99 bytes", "max.message.bytes=1048588 or more on out"),
    ),
    "dead letters that take less": (
        topics.sizes,
        lambda: facts(
            with_topic(topic("dead", "dead_letter_topic", config={"max.message.bytes": "99"}))
        ),
        RED,
        ("stops the worker", "max.message.bytes=1064972 or more on dead"),
    ),
    "dead letters that take no more than the input": (
        topics.sizes,
        lambda: facts(
            with_topic(topic("dead", "dead_letter_topic", config={"max.message.bytes": "1048588"}))
        ),
        YELLOW,
        (
            "the input takes messages of 1 MiB; dead takes 1 MiB; ",
            "a message of the largest size that is rejected stops the worker -> ",
            "set max.message.bytes=1064972 or more on dead",
        ),
    ),
    "dead letters that have no room for the reason": (
        topics.sizes,
        lambda: facts(
            with_topic(topic("dead", "dead_letter_topic", config={"max.message.bytes": "1064971"}))
        ),
        YELLOW,
        ("set max.message.bytes=1064972 or more on dead",),
    ),
    "a producer that has no room for the reason": (
        topics.sizes,
        lambda: facts(cluster(limits=replace(sound.LIMITS, message_max_bytes=1_048_588))),
        YELLOW,
        ("the producer takes 1 MiB", "set kafka.message.max.bytes to 1064972 or more"),
    ),
    "an output that takes less, beside dead letters that have no room": (
        topics.sizes,
        lambda: facts(
            replace(
                cluster(),
                topics=tuple(
                    topic(one.name, one.setting, config={"max.message.bytes": most})
                    for one, most in zip(cluster().topics, ("200", "99", "200"), strict=True)
                ),
            )
        ),
        RED,
        ("tagged takes 99 bytes", "takes 200 bytes", "16584 or more on articles-dead"),
    ),
    "a producer that takes less": (
        topics.sizes,
        lambda: facts(cluster(limits=replace(sound.LIMITS, message_max_bytes=1_000_000))),
        RED,
        ("kafka.message.max.bytes to 1064972",),
    ),
    "a consumer that takes less": (
        topics.sizes,
        lambda: facts(cluster(limits=replace(sound.LIMITS, receive_max_bytes=1_048_600))),
        RED,
        ("kafka.receive.message.max.bytes to 1049100",),
    ),
    "sizes that may not be seen": (
        topics.sizes,
        lambda: facts(
            with_topic(replace(topic("articles", "input_topics"), config=Unknown("denied")))
        ),
        GREY,
        ("DescribeConfigs",),
    ),
    "a compacted output": (
        topics.compaction,
        lambda: facts(
            with_topic(topic("out", "output_topic", config={"cleanup.policy": "compact"}))
        ),
        YELLOW,
        ("--sample",),
    ),
    "a compacted output, and messages without keys": (
        topics.compaction,
        lambda: facts(
            with_topic(topic("out", "output_topic", config={"cleanup.policy": "compact,delete"})),
            sample=sound.sample(without_key=7),
        ),
        RED,
        ("7 of 100", "record_refused"),
    ),
    "compacted dead letters": (
        topics.compaction,
        lambda: facts(
            with_topic(topic("dead", "dead_letter_topic", config={"cleanup.policy": "compact"}))
        ),
        RED,
        ("cleanup.policy=delete on dead",),
    ),
    "an output that stamps": (
        topics.timestamps,
        lambda: facts(
            with_topic(
                topic("out", "output_topic", config={"message.timestamp.type": "LogAppendTime"})
            )
        ),
        YELLOW,
        ("CreateTime on out",),
    ),
    "an output that refuses old timestamps": (
        topics.timestamps,
        lambda: facts(
            with_topic(
                topic("out", "output_topic", config={"message.timestamp.before.max.ms": "60000"})
            )
        ),
        RED,
        ("timestamp_refused", "message.timestamp.before.max.ms of out"),
    ),
    "an input that is ahead of its time": (
        topics.timestamps,
        lambda: facts(cluster(arrivals=Arrivals(1, NOW_MS, NOW_MS + DAY_MS, 1, 1))),
        RED,
        ("ahead", "message.timestamp.after.max.ms"),
    ),
    "an input that is older than the output keeps": (
        topics.retention,
        lambda: facts(cluster(arrivals=Arrivals(1, NOW_MS - 30 * DAY_MS, NOW_MS, 1, 1))),
        YELLOW,
        ("keeps 7 d", "30 d old"),
    ),
    "an input of no known age": (
        topics.retention,
        lambda: facts(cluster(arrivals=Unknown("denied"))),
        GREY,
        ("denied",),
    ),
    "no right to write": (
        access.topics,
        lambda: facts(with_topic(topic("out", "output_topic", operations=frozenset({"DESCRIBE"})))),
        RED,
        ("may not Write out", "--topic out --operation Write"),
    ),
    "no right to read": (
        access.topics,
        lambda: facts(
            with_topic(topic("articles", "input_topics", operations=frozenset({"DESCRIBE"})))
        ),
        RED,
        ("may not Read articles",),
    ),
    "no right to the group": (
        access.group,
        lambda: facts(cluster(group=Group(operations=frozenset({"DESCRIBE"})))),
        RED,
        ("--group nerstream --operation Read",),
    ),
    "a group that cannot be asked": (
        access.group,
        lambda: facts(cluster(group=Unknown("not yet"))),
        GREY,
        ("not yet",),
    ),
    "no right to transactions": (
        access.transactional_id,
        lambda: facts(cluster(transactional_id_problem="access denied")),
        RED,
        ("--transactional-id nerstream@ --operation Write",),
    ),
    "a transactional id that cannot be asked": (
        access.transactional_id,
        lambda: facts(cluster(transactional_id_problem=Unknown("not yet"))),
        GREY,
        ("not yet",),
    ),
    "members of another kind": (
        access.members,
        lambda: facts(cluster(group=Group(2, "range", "classic", operations=frozenset({"READ"})))),
        RED,
        ("by range",),
    ),
    "members of another protocol": (
        access.members,
        lambda: facts(cluster(group=Group(2, "uniform", "consumer"))),
        GREY,
        ("group_protocol=consumer",),
    ),
    "a group that is full": (
        access.members,
        lambda: facts(cluster(group=Group(4, "cooperative-sticky", "classic"))),
        GREY,
        ("4 now for 4 partitions",),
    ),
    "a transaction that is longer than brokers allow": (
        timeouts.transaction,
        lambda: facts(cluster(brokers=(sound.broker(1, transaction_max_timeout_ms="20000"),))),
        RED,
        ("transaction_timeout_ms=30000 is more than", "transaction.max.timeout.ms=20000"),
    ),
    "a transaction that is longer than a poll": (
        timeouts.transaction,
        lambda: facts(cluster(limits=replace(sound.LIMITS, max_poll_interval_ms=30_000))),
        YELLOW,
        ("max.poll.interval.ms=30000",),
    ),
    "a session that brokers refuse": (
        timeouts.session,
        lambda: facts(cluster(limits=replace(sound.LIMITS, session_timeout_ms=5_000))),
        RED,
        ("session.timeout.ms=5000", "between 6000 and 1800000"),
    ),
    "sessions that may not be asked": (
        timeouts.session,
        lambda: facts(cluster(brokers=(Broker(1, Listener("a:1"), Unknown("denied")),))),
        GREY,
        ("DescribeConfigs",),
    ),
    "a pass as long as a stall": (
        timeouts.forward_pass,
        lambda: facts(model=sound.model(batch_s=90.0)),
        RED,
        ("stall_timeout_s",),
    ),
    "a pass as long as a transaction": (
        timeouts.forward_pass,
        lambda: facts(model=sound.model(batch_s=16.0)),
        RED,
        ("transaction_timeout_ms=30000", "batch_tokens"),
    ),
    "a pass as long as a drain": (
        timeouts.forward_pass,
        lambda: facts(model=sound.model(batch_s=8.0)),
        YELLOW,
        ("shutdown_timeout_s",),
    ),
    "no model": (
        model.loads,
        lambda: facts(model=ModelFacts(problem="model x: no such folder; take one")),
        RED,
        ("model x: no such folder -> take one",),
    ),
    "a model that was not asked for": (
        model.loads,
        lambda: facts(model=Unknown("--no-model")),
        GREY,
        ("--no-model",),
    ),
    "a model that does not fit": (
        model.loads,
        lambda: facts(model=sound.model(out_of_memory_splits=3)),
        YELLOW,
        ("3 passes", "batch_tokens"),
    ),
    "a model that may change": (
        model.pinned,
        lambda: facts(model=sound.model(), revision=""),
        YELLOW,
        ("revision=main", f"set revision={'a' * 40}"),
    ),
    "one of several models that may change": (
        model.pinned,
        lambda: facts(
            model=sound.model(revision=f"{'a' * 40}, {'b' * 40}"),
            revision="",
            models={"en": f"owner/one@{'a' * 40}", "de": "owner/two"},
        ),
        YELLOW,
        ("b" * 40, "MODEL@COMMIT"),
    ),
    "rejections": (
        sample.rejections,
        lambda: facts(
            sample=sound.sample(rejected={"no_text": 3}, examples={"no_text": "it has none"})
        ),
        YELLOW,
        ("3 of 100", "no_text 3", "it has none"),
    ),
    "too many rejections": (
        sample.rejections,
        lambda: facts(
            sample=sound.sample(rejected={"no_text": 60}, examples={"no_text": "it has none"})
        ),
        RED,
        ("dead_letter_max_ratio=0.5",),
    ),
    "no messages": (
        sample.rejections,
        lambda: facts(sample=SampleFacts()),
        GREY,
        ("no message yet",),
    ),
    "no right to a sample": (
        sample.rejections,
        lambda: facts(sample=SampleFacts(problem="denied")),
        GREY,
        ("denied",),
    ),
    "an article longer than a batch": (
        sample.lengths,
        lambda: facts(sample=sound.sample(tokens=(10, 20_000))),
        YELLOW,
        ("at most 20,000", "batch_tokens"),
    ),
    "more news than partitions": (
        sample.arrival,
        lambda: facts(cluster(arrivals=MANY), model=sound.model(), sample=sound.sample()),
        RED,
        ("286 workers", "4 partitions"),
    ),
    "more news than planned workers": (
        sample.arrival,
        lambda: facts(
            cluster(arrivals=Arrivals(0, NOW_MS, NOW_MS, 3_600 * 100, 0)),
            model=sound.model(),
            sample=sound.sample(),
            workers=2,
        ),
        RED,
        ("3 workers of this machine", "plan 3"),
    ),
    "a registry that is away": (
        registry.answer,
        lambda: facts(
            registry=RegistryFacts("http://r:8081", "the schema registry http://r does not answer")
        ),
        RED,
        ("does not answer ->", "check registry.url"),
    ),
    "a registry that refuses": (
        registry.answer,
        lambda: facts(registry=RegistryFacts("http://r", "it refuses the worker; see registry.x")),
        RED,
        ("it refuses the worker -> see registry.x",),
    ),
    "a machine that was not measured": (
        sample.arrival,
        lambda: facts(sample=sound.sample()),
        GREY,
        ("not measured",),
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_wrong_is_told_with_what_to_do(name: str) -> None:
    check, make, status, words = SPOILT[name]
    found, text = says(check, make())
    assert found is status, text
    for word in words:
        assert word in text


def test_every_check_has_a_case_that_is_not_green() -> None:
    spoilt = {check for check, _, _, _ in SPOILT.values()}
    never = {model.kernels, model.files, model.rate, sample.languages}
    assert {check for _, room in ALL for _, check in room} - spoilt == never


@pytest.mark.parametrize(
    ("check", "given"),
    [
        (access.transactional_id, facts(delivery="at_least_once")),
        (timeouts.transaction, facts(delivery="at_least_once")),
        (timeouts.forward_pass, facts(model=Unknown("no"))),
        (model.kernels, facts(model=ModelFacts(problem="no"))),
        (model.files, facts(model=ModelFacts(problem="no"))),
        (registry.answer, facts()),
        (sample.rejections, facts()),
        (sample.arrival, facts()),
    ],
)
def test_what_does_not_apply_is_left_out(
    check: Callable[[Facts], Finding | None], given: Facts
) -> None:
    assert check(given) is None


def test_the_checksum_is_shown_and_said_to_be_checked_where_it_is() -> None:
    shown = "ab" * 32
    finding = model.files(facts(model=sound.model(sha256=(shown,))))
    assert finding is not None
    assert finding.text == f"model_sha256={shown} would hold the worker to them"
    checked = model.files(facts(model=sound.model(sha256=(shown,)), model_sha256=(shown,)))
    assert checked is not None
    assert checked.text == f"checked: {shown}"


def test_one_broker_needs_no_more_copies_than_it_can_hold() -> None:
    alone = replace(
        with_topic(topic("out", "output_topic", config={"min.insync.replicas": "1"})),
        brokers=(sound.broker(1),),
        topics=tuple(
            topic(name, setting, replicas=1, in_sync=1, config={"min.insync.replicas": "1"})
            for name, setting in (("in", "input_topics"), ("out", "output_topic"))
        ),
    )
    assert says(topics.replication, facts(alone))[0] is Status.GREEN


def test_languages_are_counted() -> None:
    found = sample.languages(facts(sample=sound.sample(languages={"de": 5, "": 2, "en": 90})))
    assert found is not None
    assert found.text == "en 90, de 5, unknown 2"
