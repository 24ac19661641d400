"""The page itself: one document, put together of the files in `web/`, that loads nothing more."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent / "web"

#: In the order in which they need each other; `main.js` begins to ask.
SCRIPTS = (
    "known.js",
    "words.js",
    "dom.js",
    "charts.js",
    "tiles.js",
    "panels.js",
    "feed.js",
    "main.js",
)


@dataclass(frozen=True, slots=True)
class Document:
    """A page, and the policy under which it is shown.

    Attributes:
        body: HTML in UTF-8.
        policy: value of the header `Content-Security-Policy`: this one style and this one script,
            questions to the server that the page came from, and nothing else; no string becomes
            mark-up or a script.
    """

    body: bytes
    policy: str


def document(links: Sequence[str]) -> Document:
    """Put the page together.

    Args:
        links: paths that the page leads to, each with a slash before it.

    Raises:
        OSError: a file of `web/` is missing; the installation is incomplete.
    """
    style = _source("style.css")
    script = "\n".join(['"use strict";', "{", *map(_source, SCRIPTS), "}"])
    html = _source("index.html").replace("{{style}}", style).replace("{{script}}", script)
    # Relative: a proxy may have all of them below a path.
    anchors = [f'<a href="{escape(link.removeprefix("/"))}">{escape(link)}</a>' for link in links]
    html = html.replace("{{links}}", "\n    ".join(anchors))
    policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {_hash(style)}",
            f"script-src {_hash(script)}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    )
    return Document(html.encode(), policy)


def _source(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
