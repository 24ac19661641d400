"""Fixtures that every test may use; Apache Kafka is started once for the whole run."""

from __future__ import annotations

import atexit
import gc
import os
import sys
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from tests.integration.rigs.helpers import create_topic, delete_topics
from tests.integration.servers.kafka_server import STEADY, KafkaServer, KafkaUnavailable
from tests.integration.servers.registry_server import RegistryMissing, RegistryServer
from tests.integration.servers.secured_kafka import Doors, SecuredKafka
from tests.support.servers.shared_server import SharedServer
from tests.support.slow import why_slow

if TYPE_CHECKING:
    from tests.support.scheduling import Scheduling

# OpenMP's threads wait awake for each other. On a machine that has other things to do, each then
# waits for one that is not running: the bundled model took 22 s of processor time to load instead
# of 3. Read when torch is imported, here and in every process that the tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

#: So many processes import the tests each for itself sooner than one does it for all.
FEW = 2

# Where Python may not keep what it has compiled, as in many containers, every process compiles
# torch and transformers anew, which is half of the time that it takes to import them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A test must not fail because the machine is busy: an example that takes 20 ms alone took 240 ms
# beside others.
settings.register_profile(
    "any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any_machine")

#: Creates a topic of a unique name with so many partitions and these properties.
TopicFactory = Callable[..., str]


def start_or_skip() -> KafkaServer:
    """A running Apache Kafka of one's own; the caller stops it."""
    return start_or_skip_with({})


def start_or_skip_with(config: Mapping[str, str | int]) -> KafkaServer:
    """The same, with these properties of the broker."""
    server = KafkaServer(config)
    try:
        return server.start()
    except KafkaUnavailable as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Bootstrap servers of a running Apache Kafka: the named one, or one of our own.

    Tests that need it skip where it cannot be started, and fail under CI=true.
    """
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        return named
    start = partial(start_or_skip_with, STEADY)
    return _shared(pytestconfig, tmp_path_factory, "kafka", start)


def registry_or_skip(start: Callable[[], RegistryServer] | None = None) -> RegistryServer:
    """A running schema registry of one's own; the caller stops it.

    Args:
        start: gives it; None starts one.
    """
    try:
        return RegistryServer().start() if start is None else start()
    except RegistryMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def registry(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a running schema registry with Confluent's API: Apicurio's.

    Tests that need it skip where it cannot be started, and fail under CI=true.
    """
    return _shared(pytestconfig, tmp_path_factory, "registry", registry_or_skip)


def secured_or_skip() -> SecuredKafka:
    """A running Apache Kafka behind doors; the caller stops it."""
    try:
        return SecuredKafka().start()
    except KafkaUnavailable as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def doors(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Doors:
    """A running Apache Kafka with a listener for each way to be let in, one for the whole run.

    Tests that need it skip where it cannot be started, and fail under CI=true.
    """
    return Doors.read(_shared(pytestconfig, tmp_path_factory, "secured", secured_or_skip))


def _shared(
    config: pytest.Config,
    folders: pytest.TempPathFactory,
    name: str,
    start: Callable[[], KafkaServer | RegistryServer | SecuredKafka],
) -> str:
    folder = folders.getbasetemp()
    # The processes of a parallel run have each a folder in a common one.
    shared = SharedServer(folder.parent if _in_parallel(config) else folder, name, start)
    # After all tests: to wait for other processes is not the time of the last test.
    config.add_cleanup(shared.close)
    return shared.address()


@pytest.fixture
def topics(kafka: str) -> Iterator[TopicFactory]:
    """Creates uniquely named topics, and deletes them after the test."""
    created: list[str] = []

    def create(
        name: str = "topic", partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        unique = f"{name}-{uuid.uuid4().hex[:12]}"
        create_topic(kafka, unique, partitions, config)
        created.append(unique)
        return unique

    yield create
    delete_topics(kafka, created)


@pytest.fixture
def group() -> str:
    """A consumer group that no other test knows."""
    return f"group-{uuid.uuid4().hex[:12]}"


def _in_parallel(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What uses the broker or the registry is marked `kafka`, so that `-m "not kafka"` leaves out
    just that; what takes long without it, `slow`."""
    for item in items:
        if {"kafka", "registry", "doors"}.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.kafka)
        reason = why_slow(item.nodeid)
        if reason is not None:
            item.add_marker(pytest.mark.slow(reason=reason))
    if _in_parallel(config):
        from tests.support.scheduling import longest_first

        items[:] = longest_first(items)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Half a million objects that are imported stay to the end. No collection of garbage looks
    through them while they become more, nor later, of which pytest alone makes five at its end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
        # What compiled libraries would else miss when they are unloaded.
        atexit.register(gc.unfreeze)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Forks the processes of a parallel run, where there are more than a few."""
    if len(specs) <= FEW or not sys.platform.startswith("linux"):
        return
    from tests.support.processes.warm_suite import WarmSuite

    suite = WarmSuite(len(specs), config.args)
    config.add_cleanup(suite.close)
    specs[:] = [type(spec)(f"popen//python={suite.python}") for spec in specs]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """How the tests of a parallel run are shared out."""
    from tests.support.scheduling import Scheduling

    return Scheduling(config, log)
