"""The id and the texts of articles, by paths and plain names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from consumer.codec.described import described, listed, shortened
from consumer.codec.fields.located import ReadField
from consumer.codec.fields.names import (
    not_an_object,
    only_markup,
    wrong_id,
    wrong_or_missing_id,
)
from consumer.codec.fields.places import ConditionFailed, Places, compiled, may_meet
from consumer.codec.fields.way import shortened_setting, way_to
from consumer.codec.output_place import OutputPlace
from consumer.contracts.choices import NoText, RejectCode, SkipReason
from consumer.contracts.errors import RejectedMessage
from consumer.contracts.json_pointer import escaped
from consumer.contracts.messages import Article, RawMessage, TextField, Untagged, made
from consumer.settings.paths import Node, is_path, leading_names, parsed

#: Paths of which an error says what the message has there instead.
_EXPLAINED_PATHS = 3

#: What `way_to` says between a path and where it ends.
_ENDS = " finds nothing: "


class _Finder(NamedTuple):
    """A setting, what it was parsed into, and what finds its places."""

    setting: str
    tree: Node
    places: Callable[[Any], Places]


class PathsReader:
    """Reads what paths and names find; arguments as for `NamesReader`.

    A name gives a field of that name, as it does beside names alone; a path gives a field for each
    text that it finds, called by its JSON Pointer. What two of them find is read once. What stands
    where the additions go is no text: the output replaces it.
    """

    def __init__(
        self,
        text_fields: Sequence[str],
        id_field: str,
        no_text: NoText,
        place: OutputPlace,
        readers: Mapping[str, ReadField | None] | None = None,
    ) -> None:
        self._text_finders = tuple(map(_finder, text_fields))
        self._finds = tuple(
            (finder.places, None if readers is None else readers[finder.setting])
            for finder in self._text_finders
        )
        self._finds_twice = may_meet([finder.tree for finder in self._text_finders])
        self._has_names = not all(map(is_path, text_fields))
        self._id_finder = _finder(id_field) if id_field else None
        self._no_text = no_text
        self._place = place
        self._is_free = place.is_free

    def read(self, raw: RawMessage, document: Any) -> Article | Untagged:
        """The article that a parsed message holds.

        Nulls and empty texts are left out.

        Raises:
            RejectedMessage: not_an_object, missing_id, empty_id, wrong_type or no_text.
        """
        if type(document) is not dict:
            raise not_an_object(document)
        id = "" if self._id_finder is None else self._id(self._id_finder, document)
        is_taken = not self._is_free(document)
        kept = self._place.without(document) if is_taken else document
        fields = []
        has_markup = False
        try:
            for find, reader in self._finds:
                for name, text in find(kept):
                    if type(text) is not str:
                        raise self._no_text_there(find, name, text)
                    if not text:
                        continue
                    if reader is None:
                        fields.append(made(TextField, (name, text, None)))
                    elif (read := reader(name, text, document)) is not None:
                        fields.append(read)
                    else:
                        has_markup = True
        except ConditionFailed as failure:
            raise _not_computed(self._setting(find), failure) from failure
        if self._finds_twice and len(fields) > 1:
            first: dict[str, TextField] = {}
            for field in fields:
                pointer = field.name
                if self._has_names and not pointer.startswith("/"):
                    pointer = "/" + escaped(pointer)
                first.setdefault(pointer, field)
            fields = list(first.values())
        article = made(Article, (raw, id, tuple(fields), is_taken, "", None))
        if fields:
            return article
        if self._no_text is NoText.PASS:
            return Untagged(article, SkipReason.NO_TEXT)
        if has_markup:
            raise only_markup()
        raise RejectedMessage(
            RejectCode.NO_TEXT,
            f"{self.without_text(document)}; at least one text must be a non-empty string",
        )

    def without_text(self, document: dict[str, Any]) -> str:
        """Why a message has no text: what it has where the paths look, for a person."""
        document = self._place.without(document)
        told: list[str] = []
        ways: dict[str, list[str]] = {}
        for finder in self._text_finders[:_EXPLAINED_PATHS]:
            path, _, end = way_to(finder.setting, finder.tree, document).partition(_ENDS)
            if end:
                # Several paths often end at the same place, which is described once.
                ways.setdefault(end, []).append(path)
            else:
                told.append(path)
        for end, paths in ways.items():
            finds = _ENDS if len(paths) == 1 else " find nothing: "
            told.append(f"{' and '.join(paths)}{finds}{end}")
        more = len(self._text_finders) - _EXPLAINED_PATHS
        return "; ".join(told) + (f"; and so for {more} more" if more > 0 else "")

    def _id(self, finder: _Finder, document: dict[str, Any]) -> str:
        try:
            found = finder.places(document)
        except ConditionFailed as failure:
            raise _not_computed(finder.setting, failure) from failure
        if not found and not is_path(finder.setting):
            raise wrong_or_missing_id(finder.setting, document)
        if not found:
            raise RejectedMessage(
                RejectCode.MISSING_ID,
                f"{way_to(finder.setting, finder.tree, document)};"
                " an id must be a non-empty string or a whole number",
            )
        pointer, id = found[0]
        if type(id) is str and id:
            return id
        fault = wrong_id(_where(finder.setting, pointer), id)
        if fault is not None:
            raise fault
        return str(id)

    def _setting(self, find: Callable[[Any], Places]) -> str:
        return next(finder.setting for finder in self._text_finders if finder.places is find)

    def _no_text_there(
        self, find: Callable[[Any], Places], name: str, value: Any
    ) -> RejectedMessage:
        setting = self._setting(find)
        if isinstance(value, list):
            # A long path would be cut short, and of alternatives the [*] would be the last one's.
            is_short = leading_names(setting)[1] and shortened_setting(setting) == setting
            way = f"{setting}[*]" if is_short else "a path that ends in [*]"
            remedy = f"{way} takes the texts of a list"
        elif isinstance(value, dict) and value:
            remedy = f"it has {listed(value)}"
        else:
            remedy = "a text must be a string or null"
        return RejectedMessage(
            RejectCode.WRONG_TYPE, f"{_where(setting, name)} is {described(value)}; {remedy}"
        )


def _finder(setting: str) -> _Finder:
    if is_path(setting):
        tree = parsed(setting)
        return _Finder(setting, tree, compiled(tree))

    def named(document: Any) -> Places:
        value = document.get(setting)
        return [] if value is None else [(setting, value)]

    return _Finder(setting, {"type": "field", "value": setting, "children": []}, named)


def _not_computed(setting: str, failure: ConditionFailed) -> RejectedMessage:
    return RejectedMessage(
        RejectCode.WRONG_TYPE,
        f'the condition of "{shortened_setting(setting)}" cannot be computed on this message: '
        f"{shortened(str(failure))};"
        " ask for the field first, as in [?a && contains(a, 'b')]",
    )


def _where(setting: str, name: str) -> str:
    if not is_path(setting):
        return f'field "{name}"'
    place = shortened(name) or "the message itself"
    return f'{place}, which "{shortened_setting(setting)}" names,'
