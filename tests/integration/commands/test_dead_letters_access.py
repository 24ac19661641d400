"""`nerstream dead-letters replay` by a user who may not write each topic that letters came from."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from consumer import cli
from tests.integration.rigs import helpers
from tests.integration.rigs.door_ground import DoorGround
from tests.integration.servers.secured_kafka import NEEDS, Doors
from tests.support.memory import letters

pytestmark = pytest.mark.kafka

#: Seconds in which the broker follows a new rule.
_PATIENCE_S = 120.0


def test_letters_of_a_topic_that_may_not_be_written_stop_no_other(
    doors: Doors, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ground = DoorGround(doors)
    may, seen, hidden, dead = (ground.names[one] for one in ("input", "output", "group", "dead"))
    for number, topic in enumerate((seen, hidden, may)):
        raw = letters.original(number, topic=topic)
        helpers.produce(doors.plain, dead, [letters.record(letters.letter(raw, to=dead))])
    user = doors.new_user()
    topic, operations = ResourceType.TOPIC, AclOperation
    doors.allow(user, seen, topic, [operations.DESCRIBE])
    doors.allow(user, dead, topic, [operations.READ, operations.WRITE])
    doors.allow(user, f"nerstream.replay@{dead}", *NEEDS["transactional id"])
    doors.allow(user, may, topic, [operations.WRITE])
    flags = [f"--bootstrap-servers={doors.at('SASL')}", f"--dead-letter-topic={dead}"]
    kafka = doors.sasl(user=user)
    monkeypatch.setenv("NERSTREAM_KAFKA_SASL_PASSWORD", kafka.pop("sasl.password"))
    flags += [f"--kafka={name}={value}" for name, value in kafka.items()]

    def replay(*arguments: str) -> tuple[dict[str, Any], str]:
        code = cli.main(["dead-letters", "replay", "--json", *arguments, *flags])
        out, err = capsys.readouterr()
        assert code == 1, err
        return (json.loads(out) if out else {}), err

    deadline = time.monotonic() + _PATIENCE_S
    while replay("--dry-run")[0].get("would_refuse") != {"no_access": 2}:
        assert time.monotonic() < deadline, replay("--dry-run")
    done, err = replay()
    assert done, err
    assert (done["sent_by_topic"], done["refused"]) == ({may: 1}, {"no_access": 2})
    for at, name in enumerate((seen, hidden)):
        said = f"not sent: 0/{at} (no_access): this user may not write the topic {name}, if there"
        assert said in err
