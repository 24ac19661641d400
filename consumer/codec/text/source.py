"""Where a piece of the text stands in the field as it came in."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise

from consumer.codec.text.elements import BLOCK, LINE
from consumer.codec.text.markup import Gap, gaps, references, without_markup
from consumer.codec.text.references import without_references
from consumer.contracts.choices import TextFormat


class SourceMap:
    """The way back from a text to the source that it was made of. Immutable; any thread.

    It is made of the pieces of the text, each of which stands in the source either as it is or as a
    character reference: three integers a piece, so that memory grows with the pieces of a text and
    a look-up with their logarithm.

    Args:
        source: the field as it came in.
        found: what stands in it as something else.
    """

    __slots__ = ("_breaks", "_ends", "_sources", "_starts")

    def __init__(self, source: str, found: Iterable[Gap]) -> None:
        # Where the pieces begin in the text and in the source; of a reference also where it ends
        # in the source, else -1.
        self._starts, self._sources, self._ends = array("q"), array("q"), array("q")
        # Code points of the text behind which a sentence ends, though no full stop says so.
        self._breaks = array("q")
        at = position = 0
        line_at = -1
        for start, end, text, is_reference in found:
            if start > position:
                self._add(at, position, -1)
                at += start - position
            position = end
            if not text:
                continue
            self._add(at, start, end)
            if not is_reference:
                if text == BLOCK:
                    self._breaks.append(at)
                elif text == LINE:
                    # Two line breaks with nothing between them are how some write paragraphs.
                    if line_at >= 0 and not source[line_at:start].strip():
                        self._breaks.append(at)
                    line_at = end
            at += len(text)
        self._add(at, position, -1)

    def _add(self, start: int, source: int, end: int) -> None:
        self._starts.append(start)
        self._sources.append(source)
        self._ends.append(end)

    def to_source(self, start: int, end: int) -> tuple[int, int]:
        """Code points of the source that a piece of the text stands on; a reference counts whole.

        Args:
            start, end: code points of the text, at least one.
        """
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, end - 1) - 1
        source_start = self._sources[first]
        if self._ends[first] < 0:
            source_start += start - self._starts[first]
        source_end = self._ends[last]
        if source_end < 0:
            source_end = self._sources[last] + end - self._starts[last]
        return source_start, source_end

    def parts(self, start: int, end: int) -> list[tuple[int, int]]:
        """A piece of the text, cut where sentences end by mark-up and grown to whole references.

        Args:
            start, end: code points of the text.
        """
        edges = [start]
        at = bisect_right(self._breaks, start)
        while at < len(self._breaks) and self._breaks[at] < end:
            edges.append(self._breaks[at])
            at += 1
        edges.append(end)
        return [self._whole(*part) for part in pairwise(edges)]

    def _whole(self, start: int, end: int) -> tuple[int, int]:
        """Some references stand for two code points; half of one has no place in the source."""
        first = bisect_right(self._starts, start) - 1
        last = bisect_right(self._starts, end - 1) - 1
        if self._ends[first] >= 0:
            start = self._starts[first]
        if self._ends[last] >= 0 and last + 1 < len(self._starts):
            end = self._starts[last + 1]
        return start, end


class ReadText:
    """A text that was made of another, with the way back. Fulfils
    `consumer.contracts.messages.TextSource`. Any thread.

    Most of what it knows is made when it is first asked for: an article without entities pays for
    its text alone.

    Args:
        source: the field as it came in.
    """

    __slots__ = ("_map", "_source")
    text_format: TextFormat

    def __init__(self, source: str) -> None:
        self._source = source
        self._map: SourceMap | None = None

    @staticmethod
    @abstractmethod
    def _find(source: str) -> Iterable[Gap]:
        """What stands in a source as something else."""

    @staticmethod
    @abstractmethod
    def _convert(source: str) -> str:
        """The text of a source."""

    def to_source(self, start: int, end: int) -> tuple[int, int]:
        """As `SourceMap.to_source`."""
        return self._known().to_source(start, end)

    def parts(self, start: int, end: int) -> list[tuple[int, int]]:
        """As `SourceMap.parts`."""
        return self._known().parts(start, end)

    def read(self, start: int, end: int) -> str:
        """The text of a piece of the source, read by itself."""
        return self._convert(self._source[start:end])

    def _known(self) -> SourceMap:
        if self._map is None:
            # Two threads may both make it; they make the same.
            self._map = SourceMap(self._source, self._find(self._source))
        return self._map


class _Html(ReadText):
    __slots__ = ()
    text_format = TextFormat.HTML

    @staticmethod
    def _find(source: str) -> Iterable[Gap]:
        return gaps(source)

    @staticmethod
    def _convert(source: str) -> str:
        return without_markup(source)


class _References(ReadText):
    __slots__ = ()
    text_format = TextFormat.REFERENCES

    @staticmethod
    def _find(source: str) -> Iterable[Gap]:
        return references(source)

    @staticmethod
    def _convert(source: str) -> str:
        return without_references(source)


def read_html(source: str) -> tuple[str, ReadText | None]:
    """The text of HTML, and the way back; None where it is the source as it is."""
    if "<" not in source and "&" not in source:
        return source, None
    return without_markup(source), _Html(source)


def read_references(source: str) -> tuple[str, ReadText | None]:
    """The text of what has character references and no mark-up, and the way back; None where it
    is the source as it is."""
    if "&" not in source:
        return source, None
    return without_references(source), _References(source)
