"""Closing: a base for clients that a `with` statement closes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """A client that holds connections until `close`, or until the `with` around it ends."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; see the client for what it waits for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
