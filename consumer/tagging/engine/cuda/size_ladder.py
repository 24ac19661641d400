"""SizeLadder: the few sizes that passes are filled up to, so that the same ones come back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SizeLadder:
    """Rungs that lie equally far apart between a power of two and the next.

    With n rungs to an octave a size above `smallest` is filled up by less than an nth of itself.

    Attributes:
        smallest: the lowest rung, a power of two.
        rungs_per_octave: a power of two, at most `smallest`; 1 leaves the powers of two alone.
    """

    smallest: int
    rungs_per_octave: int

    def __post_init__(self) -> None:
        for name in ("smallest", "rungs_per_octave"):
            size = getattr(self, name)
            if size < 1 or size & (size - 1):
                raise ValueError(f"{name} must be a power of two, not {size}")
        if self.rungs_per_octave > self.smallest:
            raise ValueError("more rungs to an octave than sizes in the first")

    def rung(self, size: int) -> int:
        """The lowest rung that holds so many."""
        if size <= self.smallest:
            return self.smallest
        below = 1 << ((size - 1).bit_length() - 1)
        step = below // self.rungs_per_octave
        return -(-size // step) * step
