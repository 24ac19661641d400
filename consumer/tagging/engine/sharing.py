"""What engines of several models do for each other on one device."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class SharesThreads(Protocol):
    """An engine that computes in threads of its own, one a core."""

    def share_threads(self, other: object) -> None:
        """Compute in the threads of another engine of this kind from now on. No pass of this one
        may be under way."""
        ...


@runtime_checkable
class HoldsSpareMemory(Protocol):
    """An engine that holds memory of the device only to be faster."""

    def give_back(self) -> bool:
        """Give it back. Blocks until what runs is done.

        Returns:
            Whether there was any.
        """
        ...
