"""Output where no broker is needed: what a client raises while it serves callbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from consumer.errors import KafkaProblem
from consumer.kafka.output import Output
from consumer.kafka.problems import raised_by
from consumer.settings import Settings

FENCED = KafkaException(KafkaError(KafkaError._FENCED, "fenced by a newer instance", fatal=True))


class Fenced:
    """Raises a fatal error, and then stumbles over the next callback, as the client does."""

    def flush(self, _: float) -> int:
        raise SystemError("returned a result with an exception set") from FENCED

    poll = flush

    def __len__(self) -> int:
        return 3


def flush(output: Output) -> None:
    output.flush(1.0)


def serve(output: Output) -> None:
    output.serve()
    output.raise_failure()


@pytest.mark.parametrize("call", [flush, serve])
def test_a_fatal_error_over_which_the_client_stumbles_is_told_as_what_it_is(
    call: Callable[[Output], None],
) -> None:
    output = Output(Settings(), {"transactional.id": "group-twin"})
    output._producer = Fenced()
    with pytest.raises(KafkaProblem, match="same instance"):
        call(output)


def test_any_other_error_of_the_system_stays_one() -> None:
    with pytest.raises(SystemError, match="of its own"):
        raised_by(SystemError("of its own"))
    failed: Any = SystemError("with another cause")
    failed.__cause__ = ValueError()
    with pytest.raises(SystemError):
        raised_by(failed)
    assert raised_by(FENCED) is FENCED
