"""Checks of the topics that the settings name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from consumer.contracts.cluster import Topic, Unknown
from consumer.contracts.words import counted
from consumer.doctor.facts import Facts
from consumer.doctor.finding import (
    Finding,
    green,
    grey,
    joined,
    red,
    size,
    span,
    yellow,
)

#: Bytes of an answer beside the messages in it, as librdkafka reckons.
_ANSWER_BYTES = 512

#: Bytes that a dead letter may have more than its message: its headers, which say why. They quote
#: from the message, but not much.
_REASON_BYTES = 16 * 1024


def inputs(facts: Facts) -> Finding:
    """Whether the input topics are there."""
    named = [one for one in facts.cluster.topics if one.setting == "input_topics"]
    bad = _missing(named)
    if bad is not None:
        return bad
    if facts.cluster.unmatched:
        return red(
            f"no topic matches the pattern {joined(list(facts.cluster.unmatched))}",
            "correct input_topics (a pattern is for whole names), create such a topic, or allow "
            "this user to Describe it",
        )
    return _sound(named) or green(_shown(named))


def output(facts: Facts) -> Finding:
    """Whether the output topic is there."""
    return _written(facts, "output_topic")


def dead_letters(facts: Facts) -> Finding:
    """Whether the dead-letter topic is there."""
    return _written(facts, "dead_letter_topic")


def replication(facts: Facts) -> Finding | None:
    """Whether a broker may be away without a loss, or a stop."""
    brokers = len(facts.cluster.brokers)
    written = [
        one for one in facts.cluster.topics if not one.problem and one.setting != "input_topics"
    ]
    if not written:
        return None
    notes, remedies = [], []
    for topic in written:
        least = _number(topic, "min.insync.replicas")
        if least is not None and least > topic.replicas:
            notes.append(
                f"{topic.name} wants min.insync.replicas={least} of "
                f"{counted(topic.replicas, 'replica')}"
            )
            remedies.append("lower min.insync.replicas below the number of replicas")
        elif topic.replicas == 1 and brokers > 1:
            notes.append(f"{topic.name} has 1 replica; with its broker its messages are gone")
            remedies.append("give it three replicas (kafka-reassign-partitions.sh)")
        elif topic.replicas > 1 and least == topic.replicas:
            notes.append(
                f"{topic.name} wants all of its {topic.replicas} replicas in sync: one broker "
                "away stops the worker"
            )
            remedies.append("set min.insync.replicas to one less than the replicas")
        elif topic.replicas > 1 and least == 1:
            notes.append(f"{topic.name} takes messages that one broker alone holds")
            remedies.append("set min.insync.replicas=2")
    if notes:
        return yellow("; ".join(notes), "; ".join(dict.fromkeys(remedies)))
    if brokers == 1:
        return green("1 replica each, on the only broker")
    shown = ", ".join(f"{one.name} {counted(one.replicas, 'replica')}" for one in written)
    return green(f"{shown}; one broker may be away")


def partitions(facts: Facts) -> Finding | None:
    """Whether there are partitions for all workers, and where messages without a key go."""
    read = facts.cluster.of("input_topics")
    if not read:
        return None
    total = sum(one.partitions for one in read)
    planned = facts.workers
    if planned is not None and planned > total:
        return red(
            f"{counted(planned, 'worker')} are planned for {counted(total, 'partition')}: "
            f"{planned - total} would never be ready",
            f"plan {total}, or add partitions to the input topics (keys then move)",
        )
    for topic in facts.cluster.of("output_topic"):
        widest = max(one.partitions for one in read)
        if topic.partitions < widest:
            return yellow(
                f"{topic.name} has {counted(topic.partitions, 'partition')}, the input has "
                f"{widest}: messages without a key do not all keep their partition, and so their "
                "order",
                f"give {topic.name} {widest} partitions, unless all messages have keys",
            )
    fit = f": up to {counted(total, 'worker')}"
    if planned is not None:
        fit = f", {counted(planned, 'worker')} planned"
    return green(f"{counted(total, 'input partition')}{fit}")


def sizes(facts: Facts) -> Finding | None:
    """Whether what can be read can be written: input, output, dead letters, and the clients."""
    cluster = facts.cluster
    read = {one.name: _number(one, "max.message.bytes") for one in cluster.of("input_topics")}
    known = [most for most in read.values() if most is not None]
    if not read:
        return None
    if not known:
        return grey("the largest message of the input is not known", _ask_for_configs())
    largest = max(known)
    limits = cluster.limits
    faults, remedies = [], []
    tight, room = [], []
    with_reason = largest + _REASON_BYTES
    for setting, lost in (
        ("output_topic", "larger articles become dead letters (too_large)"),
        ("dead_letter_topic", "a larger message that is rejected stops the worker"),
    ):
        for topic in cluster.of(setting):
            most = _number(topic, "max.message.bytes")
            if most is not None and most < largest:
                faults.append(f"{topic.name} takes {size(most)}: {lost}")
                needed = with_reason if setting == "dead_letter_topic" else largest
                remedies.append(f"set max.message.bytes={needed} or more on {topic.name}")
            elif most is not None and setting == "dead_letter_topic" and most < with_reason:
                tight.append(f"{topic.name} takes {size(most)}")
                room.append(f"set max.message.bytes={with_reason} or more on {topic.name}")
    if limits.message_max_bytes < largest:
        faults.append(f"the producer takes {size(limits.message_max_bytes)}")
        remedies.append(f"set kafka.message.max.bytes to {with_reason} or more")
    elif limits.message_max_bytes < with_reason:
        tight.append(f"the producer takes {size(limits.message_max_bytes)}")
        room.append(f"set kafka.message.max.bytes to {with_reason} or more")
    if limits.receive_max_bytes < largest + _ANSWER_BYTES:
        faults.append(
            f"the consumer takes answers of {size(limits.receive_max_bytes)}: a partition with a "
            "larger message stands"
        )
        remedies.append(f"set kafka.receive.message.max.bytes to {largest + _ANSWER_BYTES} or more")
    if tight:
        tight.append(
            "a dead letter is larger than its message by the headers that say why, and a message "
            "of the largest size that is rejected stops the worker"
        )
    if faults or tight:
        kind = red if faults else yellow
        return kind(
            f"the input takes messages of {size(largest)}; {'; '.join(faults + tight)}",
            "; ".join(remedies + room),
        )
    return green(f"messages of up to {size(largest)} in, and no less out")


def compaction(facts: Facts) -> Finding | None:
    """Whether the cleanup policy of what is written keeps each message."""
    cluster, sample = facts.cluster, facts.sample
    compacted = _with(cluster.of("dead_letter_topic"), "cleanup.policy", "compact")
    if compacted:
        return red(
            f"{joined(compacted)} is compacted: of dead letters with one key only the last stays, "
            "and one without a key stops the worker",
            f"set cleanup.policy=delete on {joined(compacted)}",
        )
    compacted = _with(cluster.of("output_topic"), "cleanup.policy", "compact")
    if not compacted:
        if not cluster.of("output_topic"):
            return None
        if any(isinstance(one.config, Unknown) for one in cluster.of("output_topic")):
            return grey("the cleanup policy of the output is not known", _ask_for_configs())
        return green("the output is not compacted; every article stays for its retention")
    name = joined(compacted)
    if sample is not None and not sample.problem and sample.without_key:
        return red(
            f"{name} is compacted and takes no message without a key; {sample.without_key:,} of "
            f"{sample.messages:,} sampled messages have none and would become dead letters "
            "(record_refused)",
            "have the producer set keys, or set cleanup.policy=delete on the output",
        )
    read = cluster.of("input_topics")
    if sample is not None and not sample.problem and sample.messages:
        return green(f"{name} is compacted; all {sample.messages:,} sampled messages have keys")
    if read and len(_with(read, "cleanup.policy", "compact")) == len(read):
        return green(f"{name} is compacted, as the input is")
    return yellow(
        f"{name} is compacted, the input is not: messages without a key would become dead letters "
        "(record_refused)",
        "see with --sample whether all have keys, or set cleanup.policy=delete on the output",
    )


def timestamps(facts: Facts) -> Finding | None:
    """Whether the output takes the articles' own timestamps."""
    cluster = facts.cluster
    written = [*cluster.of("output_topic"), *cluster.of("dead_letter_topic")]
    if not written:
        return None
    if any(isinstance(one.config, Unknown) for one in written):
        return grey("how the output is stamped is not known", _ask_for_configs())
    arrivals = cluster.arrivals
    for topic in written:
        if isinstance(arrivals, Unknown) or _is_stamped_by_broker(topic):
            continue
        before, after = (
            _number(topic, f"message.timestamp.{one}.max.ms") for one in ("before", "after")
        )
        oldest, newest = arrivals.oldest_ms, arrivals.newest_ms
        if before is not None and oldest is not None and cluster.now_ms - oldest > before:
            return red(
                f"{topic.name} refuses timestamps older than {span(before)}; the oldest message "
                f"that waits is {span(cluster.now_ms - oldest)} old (timestamp_refused)",
                f"raise message.timestamp.before.max.ms of {topic.name}",
            )
        if after is not None and newest is not None and newest - cluster.now_ms > after:
            return red(
                f"{topic.name} refuses timestamps more than {span(after)} ahead; the input has one "
                f"that is {span(newest - cluster.now_ms)} ahead (timestamp_refused)",
                f"set the clocks of the input's producers, or raise message.timestamp.after.max.ms "
                f"of {topic.name}",
            )
    stamped = [one.name for one in cluster.of("output_topic") if _is_stamped_by_broker(one)]
    if stamped:
        return yellow(
            f"{joined(stamped)} has LogAppendTime: readers see when an article was tagged, not its "
            "own timestamp",
            f"set message.timestamp.type=CreateTime on {joined(stamped)}, unless that is meant",
        )
    return green("CreateTime: the articles' own timestamps are kept")


def retention(facts: Facts) -> Finding | None:
    """Whether what is written stays for longer than the input is old already."""
    cluster = facts.cluster
    written = [*cluster.of("output_topic"), *cluster.of("dead_letter_topic")]
    if not written:
        return None
    if any(isinstance(one.config, Unknown) for one in written):
        return grey("the retention of the output is not known", _ask_for_configs())
    arrivals = cluster.arrivals
    if isinstance(arrivals, Unknown):
        return grey(f"the age of the input is not known: {arrivals.why}")
    age = None if arrivals.oldest_ms is None else cluster.now_ms - arrivals.oldest_ms
    for topic in written:
        kept = _number(topic, "retention.ms")
        deletes = "delete" in str(dict(topic.config or {}).get("cleanup.policy", "delete"))  # type: ignore[arg-type]
        if not deletes or kept is None or kept < 0 or _is_stamped_by_broker(topic):
            continue
        if age is not None and age > kept:
            return yellow(
                f"{topic.name} keeps {span(kept)}, by the articles' own timestamps; the oldest "
                f"that waits is {span(age)} old and is removed soon after it was written",
                f"raise retention.ms of {topic.name}, or have it LogAppendTime",
            )
    if age is None:
        return green("nothing waits that is older than what the output keeps")
    return green(
        f"the oldest message that waits is {span(max(age, 0))} old; the output keeps longer"
    )


def _written(facts: Facts, setting: str) -> Finding:
    named = [one for one in facts.cluster.topics if one.setting == setting]
    creates = any(
        not isinstance(one.config, Unknown)
        and one.config.get("auto.create.topics.enable") == "true"
        for one in facts.cluster.brokers
    )
    if creates and any(one.is_missing for one in named):
        return yellow(
            f"{joined([one.name for one in named])} does not exist; the brokers make it on the "
            "first message, with their defaults",
            "create it with the partitions and replicas that you want",
        )
    return _missing(named) or _sound(named) or green(_shown(named))


def _missing(named: Iterable[Topic]) -> Finding | None:
    missing = [one.name for one in named if one.is_missing]
    if missing:
        return red(
            f"{joined(missing)} does not exist"
            if len(missing) == 1
            else f"{joined(missing)} do not exist",
            "create with: kafka-topics.sh --create --topic "
            f"{missing[0]} --partitions N --replication-factor N; or correct the setting",
        )
    hidden = [f"{one.name}: {one.problem}" for one in named if one.problem]
    if hidden:
        return red(joined(hidden), "allow this user to Describe the topic, or correct its name")
    return None


def _sound(named: Iterable[Topic]) -> Finding | None:
    without = [one for one in named if one.leaderless]
    if without:
        shown = joined([f"{one.name} ({one.leaderless} of {one.partitions})" for one in without])
        return red(
            f"partitions without a leader: {shown}",
            "start the brokers that hold them (kafka-topics.sh --describe "
            "--unavailable-partitions)",
        )
    few = [
        one
        for one in named
        if one.setting != "input_topics"
        and one.in_sync < min(_number(one, "min.insync.replicas") or 0, one.replicas)
    ]
    if few:
        return red(
            f"fewer replicas in sync than min.insync.replicas: {joined([one.name for one in few])}",
            "start the brokers that are away, or lower min.insync.replicas",
        )
    behind = [one.name for one in named if one.in_sync < one.replicas]
    if behind:
        return yellow(
            f"replicas that are not in sync: {joined(behind)}",
            "start the brokers that are away (kafka-topics.sh --describe "
            "--under-replicated-partitions)",
        )
    return None


def _shown(named: Iterable[Topic]) -> str:
    return joined([f"{one.name}, {counted(one.partitions, 'partition')}" for one in named], 3)


def _number(topic: Topic, name: str) -> int | None:
    if isinstance(topic.config, Unknown):
        return None
    try:
        return int(topic.config[name])
    except (KeyError, ValueError):
        return None


def _with(topics: Iterable[Topic], name: str, value: str) -> list[str]:
    return [
        one.name
        for one in topics
        if not isinstance(one.config, Unknown) and value in one.config.get(name, "").split(",")
    ]


def _is_stamped_by_broker(topic: Topic) -> bool:
    return bool(_with([topic], "message.timestamp.type", "LogAppendTime"))


def _ask_for_configs() -> str:
    return "allow this user DescribeConfigs on the topics, and it is"


TOPIC_CHECKS: tuple[tuple[str, Callable[[Facts], Finding | None]], ...] = (
    ("input", inputs),
    ("output", output),
    ("dead letters", dead_letters),
    ("replication", replication),
    ("partitions", partitions),
    ("message sizes", sizes),
    ("cleanup policy", compaction),
    ("timestamps", timestamps),
    ("retention", retention),
)
