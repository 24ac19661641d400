"""Which requests the brokers take, and in which versions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from consumer.contracts.cluster import Unknown
from consumer.kafka.client import ClientLog

#: The line that librdkafka logs for each, as it learns them on its own connection, whatever TLS and
#: SASL are: no other way is open to its users.
_LINE = re.compile(r"ApiKey \S+ \((\d+)\) Versions (\d+)\.\.(\d+)")

#: What a client is set to, so that it logs them.
DEBUG: Mapping[str, str] = {"debug": "feature"}


class FeatureLog(ClientLog):
    """Hears what a client with `DEBUG` logs; passes nothing on.

    Several brokers may answer. What counts is what all of them take.
    """

    def __init__(self) -> None:
        self._apis: dict[int, tuple[int, int]] = {}

    def log(self, *line: Any) -> None:
        """As `ClientLog.log`."""
        found = _LINE.search(str(line[-1]))
        if found is not None:
            key, least, most = map(int, found.groups())
            known = self._apis.get(key, (least, most))
            self._apis[key] = (max(known[0], least), min(known[1], most))

    def apis(self) -> Mapping[int, tuple[int, int]] | Unknown:
        """For each number of a request: the least and the greatest version."""
        return dict(self._apis) or Unknown("the client library did not tell")
