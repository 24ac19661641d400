"""What the elements of HTML do to the text around them, by their names."""

from __future__ import annotations

from enum import StrEnum

#: What stands in the text in the place of a tag. No tag leaves it in the text but as one of these.
NOTHING = ""
SPACE = " "
LINE = "\n"
#: Ends a sentence too; no entity reaches across it.
BLOCK = "\n\n"


def _names(text: str) -> list[str]:
    return text.split()


#: Elements that begin on a line of their own (the standard's style sheet: `display: block`, list
#: items, parts of tables), and those that it takes out of use but still shows so.
_BLOCKS = frozenset(
    _names("""
address article aside blockquote body caption center col colgroup dd details dialog dir div
dl dt fieldset figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 head header hgroup
hr html legend li listing main menu nav ol optgroup option p plaintext pre search section
summary table tbody td tfoot th thead title tr ul xmp
""")
)

#: Elements that show something else than text, which stands between the words around it.
_OBJECTS = frozenset(
    _names("""
audio button canvas embed iframe img input meter object picture progress select svg textarea
video
""")
)


class Content(StrEnum):
    """How what stands between the tags of some elements is read."""

    #: Until the end tag, and no text.
    HIDDEN = "hidden"
    #: As hidden; the end tag of a script may stand in a comment of it.
    SCRIPT = "script"
    #: Until the end tag, as it is.
    RAW = "raw"
    #: Until the end tag; references are read, tags are none.
    REFERENCES = "references"
    #: As it is, to the end.
    REST = "rest"


#: Elements inside which there are no tags.
CONTENTS = {
    "script": Content.SCRIPT,
    "style": Content.HIDDEN,
    "iframe": Content.HIDDEN,
    "noembed": Content.HIDDEN,
    "noframes": Content.HIDDEN,
    "xmp": Content.RAW,
    "plaintext": Content.REST,
    "textarea": Content.REFERENCES,
    "title": Content.REFERENCES,
}

#: Elements whose tags leave something in the text, or whose start tags end the reading of tags. The
#: tags of all others leave nothing.
NAMED = _BLOCKS | _OBJECTS | {"br", *CONTENTS}

#: Names of tags that are kept; a text may have any number of them.
_KEPT_NAMES = 1_024
_KEPT_CHARACTERS = 32


def element_of(name: str) -> str:
    """The element of a tag: its name in lower case, without the slash of an end tag."""
    return name.removeprefix("/").lower()


class _Replacements(dict[str | None, str | None]):
    """Name of a tag, `p` or `/P`, or None for a comment -> what stands in its place; None where
    what follows is not read as mark-up, and for what is no tag."""

    def __missing__(self, name: str | None) -> str | None:
        assert name is not None
        element = element_of(name)
        opens = not name.startswith("/")
        text = None if opens and element in CONTENTS else replacement(element)
        if len(self) < _KEPT_NAMES and len(name) <= _KEPT_CHARACTERS:
            self[name] = text
        return text


def replacement(element: str) -> str:
    """What stands in the place of a tag of this element."""
    if element in _BLOCKS:
        return BLOCK
    if element == "br":
        return LINE
    if element in _OBJECTS:
        return SPACE
    return NOTHING


#: Holds from the start what is no tag: a comment, and the beginnings of all else.
REPLACEMENTS = _Replacements({None: NOTHING, "![CDATA[": None, "!": None, "?": None, "/": None})
