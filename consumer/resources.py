"""Files that travel with the package: the JSON Schemas and the sample articles.

The schemas stand in `schemas/` at the top of the repository, where a reader of the project looks
for them; an installed package carries its own copy as `consumer/_schemas`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

_PACKAGE = Path(__file__).resolve().parent

#: The sample articles of `nerstream demo`, one JSON object a line, three of them broken on purpose.
SAMPLES_PATH = _PACKAGE / "samples" / "articles.jsonl"


def schemas_folder(package: Path = _PACKAGE) -> Path:
    """The folder of the JSON Schemas: the copy inside the package, else the repository's own.

    Raises:
        FileNotFoundError: neither is there; the installation is incomplete.
    """
    for folder in (package / "_schemas", package.parent / "schemas"):
        if (folder / "article.v1.json").is_file():
            return folder
    raise FileNotFoundError(
        f"the JSON Schemas of nerstream are missing beside {package}; install it again"
    )


def schema(name: str) -> dict[str, Any]:
    """A JSON Schema as a document of one's own, by its file name without `.json`.

    Raises:
        FileNotFoundError: there is no such schema.
    """
    document = orjson.loads((schemas_folder() / f"{name}.json").read_bytes())
    if not isinstance(document, dict):
        raise ValueError(f"the schema {name} is not an object")
    return document


def sample_lines() -> list[bytes]:
    """The sample articles as message values, in order; three are bad on purpose."""
    return SAMPLES_PATH.read_bytes().splitlines()
