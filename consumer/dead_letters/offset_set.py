"""OffsetSet: many offsets of one partition in little memory."""

from __future__ import annotations

from collections.abc import Iterator

#: Offsets that share one whole number; a bit each.
_CHUNK = 4_096


class OffsetSet:
    """A set of offsets, a bit each and 4,096 bits at a time: ten million in a row take 2 MB."""

    def __init__(self) -> None:
        self._chunks: dict[int, int] = {}

    def add(self, offset: int) -> None:
        """Put one in."""
        chunk, bit = divmod(offset, _CHUNK)
        self._chunks[chunk] = self._chunks.get(chunk, 0) | 1 << bit

    def add_range(self, first: int, last: int) -> None:
        """Put in all from `first` to `last`, both included."""
        for chunk in range(first // _CHUNK, last // _CHUNK + 1):
            begin = chunk * _CHUNK
            low = max(first - begin, 0)
            high = min(last - begin, _CHUNK - 1)
            bits = (1 << high + 1) - (1 << low)
            self._chunks[chunk] = self._chunks.get(chunk, 0) | bits

    def update(self, other: OffsetSet) -> None:
        """Put in all of another set."""
        for chunk, bits in other._chunks.items():
            self._chunks[chunk] = self._chunks.get(chunk, 0) | bits

    def without(self, other: OffsetSet) -> OffsetSet:
        """Those that the other set does not have, as a set of their own."""
        left = OffsetSet()
        for chunk, bits in self._chunks.items():
            if rest := bits & ~other._chunks.get(chunk, 0):
                left._chunks[chunk] = rest
        return left

    def first(self) -> int | None:
        """The lowest; None where there is none."""
        if not self._chunks:
            return None
        chunk = min(self._chunks)
        bits = self._chunks[chunk]
        return chunk * _CHUNK + (bits & -bits).bit_length() - 1

    def last(self) -> int | None:
        """The highest; None where there is none."""
        if not self._chunks:
            return None
        chunk = max(self._chunks)
        return chunk * _CHUNK + self._chunks[chunk].bit_length() - 1

    def ranges(self) -> Iterator[tuple[int, int]]:
        """The offsets in ascending order as first and last of each run, both included."""
        begin: int | None = None
        end = -2
        for chunk in sorted(self._chunks):
            bits = self._chunks[chunk]
            while bits:
                low = (bits & -bits).bit_length() - 1
                after = _run_end(bits, low)
                first, last = chunk * _CHUNK + low, chunk * _CHUNK + after - 1
                if begin is not None and first == end + 1:
                    end = last
                else:
                    if begin is not None:
                        yield begin, end
                    begin, end = first, last
                bits = bits >> after << after
        if begin is not None:
            yield begin, end

    def __contains__(self, offset: int) -> bool:
        chunk, bit = divmod(offset, _CHUNK)
        return bool(self._chunks.get(chunk, 0) >> bit & 1)

    def __len__(self) -> int:
        return sum(bits.bit_count() for bits in self._chunks.values())


def _run_end(bits: int, low: int) -> int:
    """The first bit behind the run of ones that begins at `low`."""
    shifted = bits >> low
    # To add one carries through all ones that stand side by side.
    return low + (~shifted & shifted + 1).bit_length() - 1
