"""Guests: which connections are open, and which one goes when there are too many."""

from __future__ import annotations

from dataclasses import dataclass

#: Connections that are open at once, and of one client. Each holds some 40 KiB.
CONNECTIONS = 64
CLIENT_CONNECTIONS = 32


#: Connections of one client from which on it is a crowd.
_CROWD = 8


@dataclass(slots=True)
class _Guest:
    client: str
    is_answered: bool = False


class Guests:
    """The connections, by number, in the order in which they came.

    A newcomer is never turned away: a probe must get in however many clients hold connections and
    say nothing. In its place the oldest goes of the client that has most; one that is just being
    answered only where all are.
    """

    def __init__(
        self, connections: int = CONNECTIONS, client_connections: int = CLIENT_CONNECTIONS
    ) -> None:
        self._most = connections
        self._most_of_client = client_connections
        self._guests: dict[int, _Guest] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._guests)

    def is_crowd(self, client: str) -> bool:
        """Whether a client holds more than one that asks in turn would."""
        return self._counts.get(client, 0) >= _CROWD

    def enter(self, number: int, client: str) -> int | None:
        """A connection came.

        Returns:
            The number of the connection that must be closed for it, already left; or None.
        """
        leaves = self._one_too_many(client)
        if leaves is not None:
            self.leave(leaves)
        self._guests[number] = _Guest(client)
        self._counts[client] = self._counts.get(client, 0) + 1
        return leaves

    def leave(self, number: int) -> None:
        """A connection went; one that is not here is no error."""
        guest = self._guests.pop(number, None)
        if guest is None:
            return
        self._counts[guest.client] -= 1
        if not self._counts[guest.client]:
            del self._counts[guest.client]

    def answering(self, number: int, is_answered: bool) -> None:
        """A connection is being answered from now on, or waits for a request."""
        if number in self._guests:
            self._guests[number].is_answered = is_answered

    def _one_too_many(self, client: str) -> int | None:
        if self._counts.get(client, 0) >= self._most_of_client:
            crowd = client
        elif len(self._guests) >= self._most:
            crowd = max(self._counts, key=self._counts.__getitem__)
        else:
            return None
        theirs = [number for number, guest in self._guests.items() if guest.client == crowd]
        waiting = [number for number in theirs if not self._guests[number].is_answered]
        return (waiting or theirs)[0]
