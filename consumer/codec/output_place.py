"""Where in a message `entities` and `tagging` go: at its top, or below the names of a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from consumer.codec.described import described
from consumer.contracts.choices import RejectCode
from consumer.contracts.errors import RejectedMessage
from consumer.settings.paths import member_names

#: Fields of the output that nerstream writes; an article's own of these names are replaced.
RESERVED_FIELDS = frozenset({"entities", "tagging"})

#: Those with the names of the article (`group_mentions`).
RESERVED_WITH_NAMES = RESERVED_FIELDS | {"names"}


class OutputPlace:
    """Where the additions go.

    Args:
        output_field: the setting: a name, or names with dots between them; empty is the top.
        additions: names of what is added.

    Attributes:
        names: the objects that they stand in, the outermost first; none at the top.
        top_names: members at the top of a message that are replaced by them, where the place is
            at the top or one name below it; None where it is deeper.
    """

    def __init__(self, output_field: str = "", additions: frozenset[str] = RESERVED_FIELDS) -> None:
        self._setting = output_field
        self._additions = additions
        self.names = member_names(output_field) if output_field else ()
        self.top_names: frozenset[str] | None = additions
        if self.names:
            self.top_names = frozenset(self.names) if len(self.names) == 1 else None

    @property
    def is_free(self) -> Callable[[dict[str, Any]], bool]:
        """Says of a message whether nothing stands there yet that the output replaces.

        At the top this is a method of the set itself: it is called once a message. Deeper it raises
        RejectedMessage: wrong_type, where the place lies within something else than an object.
        """
        return self._is_free_below if self.top_names is None else self.top_names.isdisjoint

    def _is_free_below(self, document: dict[str, Any]) -> bool:
        here: Any = document
        for depth, name in enumerate(self.names, 1):
            if name not in here:
                return True
            here = here[name]
            if depth == len(self.names) or here is None:
                return False
            if not isinstance(here, dict):
                raise RejectedMessage(
                    RejectCode.WRONG_TYPE,
                    f'output_field is "{self._setting}", and "{".".join(self.names[:depth])}" is '
                    f"{described(here)}; it must be an object, null or absent",
                )
        return True

    def without(self, document: dict[str, Any]) -> dict[str, Any]:
        """The message without what stands there; the rest of it is shared, not copied."""
        if not self.names:
            return {name: one for name, one in document.items() if name not in self._additions}
        return _without(document, self.names)

    def tagging(self, document: Any) -> Mapping[str, Any]:
        """The `tagging` that stands there, of a message that a model read; empty where there is
        none."""
        found = self.told(document)
        return found if _is_plain(found) else {}

    def told(self, document: Any) -> Mapping[str, Any]:
        """The `tagging` that stands there, also where no model read the message."""
        here = document
        for name in (*self.names, "tagging"):
            if not isinstance(here, dict):
                return {}
            here = here.get(name)
        return here if isinstance(here, dict) else {}


def _without(members: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    name, *inner = names
    if not inner:
        return {other: one for other, one in members.items() if other != name}
    within = members.get(name)
    if not isinstance(within, dict):
        return members
    rest = _without(within, inner)
    # One that holds nothing else may have been made for it.
    return {**members, name: rest} if rest else _without(members, (name,))


def _is_plain(tagging: Mapping[str, Any]) -> bool:
    """Whether what names the model is text, as we write it."""
    return isinstance(tagging.get("model"), str) and isinstance(tagging.get("revision"), str)
