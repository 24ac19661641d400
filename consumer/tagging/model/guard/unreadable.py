"""Why a tokenizer's document cannot be read, in words that name the part of it.

The library names a column, or a kind of its own source code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import tokenizers

from consumer.contracts.errors import first_line
from consumer.tagging.model.guard.panics import is_failure

#: A document without steps, which any version reads.
_EMPTY = {"version": "1.0", "model": {"type": "WordLevel", "vocab": {}, "unk_token": ""}}

#: The parts of a document, the largest last, and the keys of those that hold steps of their kind.
_PARTS = ("version", "normalizer", "pre_tokenizer", "post_processor", "decoder", "added_tokens")
_STEPS = ("normalizers", "pretokenizers", "processors", "decoders")

_EXPRESSION = "Oniguruma"

#: Letters of a name, and of a library's reason, that ours repeats.
_SHOWN_NAME, _SHOWN_REASON = 40, 200


def why_unreadable(file: str, document: Mapping[str, Any]) -> str | None:
    """What is wrong with a document and how to mend it, to follow a model's name; None where it can
    be read. Reads all of it.

    Args:
        file: that holds the document.
    """
    whole = _reason(document)
    if whole is None:
        return None
    for part in (*_PARTS, "model"):
        if part not in document or (reason := _reason({**_EMPTY, part: document[part]})) is None:
            continue
        if _EXPRESSION in reason:
            return (
                f"its {file} has a regular expression under {part} that is none ({reason}); "
                "correct it, or copy or download the file again"
            )
        # Of the steps of a part, what is wrong with one makes those around it wrong, too.
        wrong = [step for step in _steps(document[part]) if _reason({**_EMPTY, part: step})]
        inner = next((step for step in wrong if not step.keys() & {*_STEPS}), None)
        kind = None if inner is None else inner.get("type")
        reason = (inner and _reason({**_EMPTY, part: inner})) or reason
        named = f", which names {kind[:_SHOWN_NAME]}" if isinstance(kind, str) else ""
        return _unread(file, f"{part} in its {file}{named}", reason)
    return _unread(file, f"its {file}", whole)


def _unread(file: str, what: str, reason: str) -> str:
    return (
        f"tokenizers {tokenizers.__version__} cannot read {what} ({reason}): it is of a newer form "
        f"or spoiled; copy or download {file} again, or install a version of tokenizers that knows "
        "it"
    )


def _reason(document: Mapping[str, Any]) -> str | None:
    try:
        tokenizers.Tokenizer.from_str(json.dumps(document))
    except BaseException as error:
        if not is_failure(error):
            raise
        return first_line(error)[:_SHOWN_REASON]
    return None


def _steps(part: Any) -> Iterator[dict[str, Any]]:
    """A part and each step in it, inner ones later."""
    waiting = [part]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, dict):
            yield one
            for key in _STEPS:
                inner = one.get(key)
                waiting.extend(inner if isinstance(inner, list) else ())
