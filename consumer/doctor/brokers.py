"""Checks of the brokers: whether they can be reached, what they can, and their clock."""

from __future__ import annotations

from consumer.contracts.choices import Delivery, GroupProtocol
from consumer.contracts.cluster import Unknown
from consumer.contracts.words import counted
from consumer.doctor.facts import Facts
from consumer.doctor.finding import Finding, green, grey, joined, red, yellow

#: Requests, by their numbers in Kafka's protocol, that transactions need: InitProducerId,
#: AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit. The last one in version 3 fences
#: the offsets of a member that lost its partitions (KIP-447).
_TRANSACTIONS = {22: 0, 24: 0, 25: 0, 26: 0, 28: 3}

#: ConsumerGroupHeartbeat; version 0 was a preview before 4.0.
_KIP_848 = 68

#: Seconds between two clocks that nobody notices.
_SAME_S = 2.0

#: Brokers refuse timestamps that are ahead of their clock by more than an hour, by default.
_FAR_S = 3_600.0


def bootstrap(facts: Facts) -> Finding:
    """Whether any broker answers at `bootstrap_servers`."""
    cluster, servers = facts.cluster, facts.settings.bootstrap_servers
    away = [f"{one.address}: {one.problem}" for one in cluster.bootstrap if one.problem]
    if cluster.problem:
        if away:
            return red(
                f"no broker answers: {joined(away)}",
                "check bootstrap_servers, the names, the network, and that Kafka runs",
            )
        text, _, remedy = cluster.problem.partition("; ")
        if not text.startswith("no broker answers"):
            return red(f"{servers} can be connected to; but {text}", remedy)
        return red(
            f"{servers} can be connected to, and {text}",
            "check kafka.security.protocol, kafka.sasl.* and kafka.ssl.*, and that the port is the "
            "one for clients; where the error names another host, correct advertised.listeners of "
            "that broker",
        )
    if away:
        return yellow(
            f"a broker answers; not at {joined(away)}",
            "take what is wrong out of bootstrap_servers; a start may depend on it",
        )
    return green(f"{servers} {'answer' if ',' in servers else 'answers'}")


def listeners(facts: Facts) -> Finding:
    """Whether each broker can be reached at the address that the cluster advertises."""
    brokers = facts.cluster.brokers
    away = [
        f"broker {one.id} at {one.listener.address}: {one.listener.problem}"
        for one in brokers
        if one.listener.problem
    ]
    if away:
        return red(
            f"{len(away)} of {counted(len(brokers), 'broker')} cannot be reached where they say "
            f"that they are: {joined(away)}",
            "set advertised.listeners of these brokers to names that resolve and ports that are "
            "open where the worker runs, or start them",
        )
    there = joined([one.listener.address for one in brokers], 3)
    return green(f"{counted(len(brokers), 'broker')}, reached as advertised: {there}")


def features(facts: Facts) -> Finding:
    """Whether the brokers have transactions and, where it is asked for, KIP-848."""
    apis, settings = facts.cluster.apis, facts.settings
    if isinstance(apis, Unknown):
        return grey(f"what the brokers can is not known: {apis.why}")
    transactions = all(apis.get(key, (0, -1))[1] >= least for key, least in _TRANSACTIONS.items())
    if settings.delivery is Delivery.EXACTLY_ONCE and not transactions:
        return red(
            "these brokers have no transactions that a group can take part in (KIP-447)",
            "use Apache Kafka 2.5 or later, or delivery=at_least_once",
        )
    kip_848 = apis.get(_KIP_848, (0, -1))[1] >= 1
    if settings.group_protocol is GroupProtocol.CONSUMER and not kip_848:
        return red(
            "these brokers do not have group_protocol=consumer (KIP-848)",
            "use Apache Kafka 4.0 or later, or group_protocol=classic",
        )
    has = [name for name, there in (("transactions", transactions), ("KIP-848", kip_848)) if there]
    lacks = "" if kip_848 else "; no KIP-848, which group_protocol=classic does not need"
    return green(f"{' and '.join(has) or 'plain messages'}{lacks}")


def internal_topics(facts: Facts) -> Finding:
    """Whether the brokers can keep offsets and transactions, and on how many brokers they do."""
    cluster = facts.cluster
    if cluster.obstacles:
        first, *more = cluster.obstacles
        text, _, remedy = first.partition("; ")
        return red(
            "; ".join([text, *(one.partition("; ")[0] for one in more)]),
            "; ".join(dict.fromkeys([remedy, *(one.partition("; ")[2] for one in more)])),
        )
    there = {one.name: one for one in cluster.internal if not one.problem}
    hidden = [f"{one.name}: {one.problem}" for one in cluster.internal if one.problem]
    if hidden:
        return grey(f"the brokers' own topics may not be seen: {joined(hidden)}")
    few = [name for name, one in there.items() if one.replicas == 1]
    if few and len(cluster.brokers) > 1:
        return yellow(
            f"{joined(few)} stand on one broker each; without that broker no worker of the group "
            "works",
            "give them three replicas (kafka-reassign-partitions.sh)",
        )
    if not there:
        return green("the brokers' own topics are not there yet; nothing is in their way")
    copies = ", ".join(f"{name} {counted(one.replicas, 'replica')}" for name, one in there.items())
    return green(copies)


def clock(facts: Facts) -> Finding:
    """Whether this machine and the brokers agree on the time."""
    found = facts.cluster.clock
    remedy = "set this machine's clock by NTP; latency and lag in seconds are wrong until then"
    if isinstance(found, Unknown):
        return grey(f"the brokers' clock does not show: {found.why}")
    if found.least > _SAME_S:
        text = f"the brokers' clock is ahead of this machine's by {found.least:.1f} s or more"
        return (red if found.least > _FAR_S else yellow)(text, remedy)
    if found.most is None:
        return grey("the brokers' clock is not known: nothing was stamped while it was looked at")
    if found.most < -_SAME_S:
        text = f"this machine's clock is ahead of the brokers' by {-found.most:.1f} s or more"
        return (red if found.most < -_FAR_S else yellow)(text, remedy)
    return green("the brokers' clock and this machine's agree within 2 s")
