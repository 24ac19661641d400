"""Hands a client a new password when the file that holds it changes, as at a rotation.

A client takes a new user and password at any time, for its next connection. Certificates, keys and
the secrets of OAuth it reads once, when it is made; a change of these is told.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from consumer.contracts.errors import SettingsError
from consumer.kafka.security.handshake import own_certificate
from consumer.kafka.security.x509 import written
from consumer.settings.schema import Settings
from consumer.settings.secrets import FILE_SUFFIX, secret_in_file, with_secrets

#: Seconds between two looks at the files.
_LOOK_S = 3.0

#: How long before a certificate ends the log says so, and seconds until it says so again.
_SOON, _AGAIN_S = timedelta(days=7), 86_400.0

_PASSWORD = "sasl.password"

#: Files that a client reads once.
_READ_ONCE = (
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.keystore.location",
)

_log = logging.getLogger(__name__)

#: Of a file: what differs once it is written anew or replaced. None where it cannot be read.
_Stamp = tuple[int, int, int] | None


class Rotation:
    """Looks at the files of one client. Owned by the thread that polls the client.

    Args:
        settings: whose `kafka` names the files.
        tells: whether it also tells of files that the client will not read again; one client of a
            process does.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        tells: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._clock = settings, clock
        given = settings.kafka
        name = _PASSWORD + FILE_SUFFIX
        self._password = {name: given[name]} if name in given else {}
        others = {one: path for one, path in given.items() if one in _READ_ONCE}
        others |= {one: path for one, path in given.items() if secret_in_file(one) and one != name}
        self._others = others if tells else {}
        self._stamps = {path: _stamp(path) for path in self._paths()}
        self._due_at = clock() + _LOOK_S
        own = own_certificate(given) if tells else None
        #: When the certificate that the client has read ends, and when that is told next.
        self._ends = None if own is None else own.ends
        self._told_at = clock()

    def look(self, client: Any) -> None:
        """Read anew what has changed, where it is time to look. Never blocks for long.

        Args:
            client: takes the password.
        """
        if self._ends is not None and self._clock() >= self._told_at:
            self._tell_of_end(self._ends)
        if not self._stamps or self._clock() < self._due_at:
            return
        self._due_at = self._clock() + _LOOK_S
        changed = [path for path in self._paths() if self._has_changed(path)]
        for name, path in self._password.items():
            if path in changed:
                self._hand_over(client, name)
        for name, path in self._others.items():
            if path in changed:
                _log.warning(
                    "%s (kafka.%s) has changed; this worker goes on with what it has read: start "
                    "it again before that is no longer valid",
                    *(path, name),
                )

    def _tell_of_end(self, ends: datetime) -> None:
        """Tell once a day, in the last week, when the client's certificate ends."""
        self._told_at = self._clock() + _AGAIN_S
        left = ends - datetime.now(UTC)
        if left < _SOON:
            _log.warning(
                "the client's certificate %s on %s; renew it, and start this worker again",
                *("ended" if left < timedelta() else "ends", written(ends)),
            )

    def _hand_over(self, client: Any, name: str) -> None:
        try:
            read = with_secrets("kafka", {name: self._settings.kafka[name]})
        except SettingsError as fault:
            _log.warning("%s; the password that was read before is used on", fault)
            return
        client.set_sasl_credentials(self._settings.kafka.get("sasl.username", ""), read[_PASSWORD])
        _log.info("the password in kafka.%s has changed; it is used from now on", name)

    def _has_changed(self, path: str) -> bool:
        stamp = _stamp(path)
        if stamp is None or stamp == self._stamps[path]:
            # One that is just being replaced may be away for a moment.
            return False
        self._stamps[path] = stamp
        return True

    def _paths(self) -> list[str]:
        return [*dict.fromkeys((*self._password.values(), *self._others.values()))]


def _stamp(path: str) -> _Stamp:
    try:
        found = Path(path).stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
