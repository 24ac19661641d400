"""What a tokenizer's document may not ask for, found before the library makes a tokenizer of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from consumer.contracts.errors import ModelError

#: Tokens beside the vocabulary, and their letters together; the library searches texts for each.
#: Of those in use the one with most has some 6,500.
MOST_ADDED = 20_000
MOST_ADDED_CHARACTERS = 1_000_000

#: Letters of a word that are split into pieces. Two hundred is usual; the time that it takes grows
#: with the square.
MOST_WORD_CHARACTERS = 1_000

#: Steps of a document, and expressions in it with their letters.
_MOST_STEPS = 100
_MOST_EXPRESSIONS = 100
_MOST_EXPRESSION_CHARACTERS = 10_000

#: An expression that can take no longer than its text is long: at most one thing is repeated.
_PLAIN = re.compile(r"[^()|*+?{}]*(?:[*+?]|\{\d*,?\d*\})?[^()|*+?{}]*")

_REMEDY = "put the tokenizer.json that belongs to the model beside it"


def check_tokenizer(name: str, file: str, document: Mapping[str, Any]) -> None:
    """Refuse a document that asks for absurd things.

    Args:
        name: the model, for errors.
        file: that holds the document.

    Raises:
        ModelError: see above.
    """
    added = document.get("added_tokens")
    if isinstance(added, list):
        characters = sum(
            len(token["content"])
            for token in added
            if isinstance(token, dict) and isinstance(token.get("content"), str)
        )
        if len(added) > MOST_ADDED or characters > MOST_ADDED_CHARACTERS:
            raise ModelError(
                f"model {name}: its {file} adds {len(added):,} tokens of {characters:,} letters to "
                f"the vocabulary, and at most {MOST_ADDED:,} of {MOST_ADDED_CHARACTERS:,} are "
                f"taken; {_REMEDY}"
            )
    model = document.get("model")
    longest = model.get("max_input_chars_per_word") if isinstance(model, dict) else None
    if isinstance(longest, int) and longest > MOST_WORD_CHARACTERS:
        raise ModelError(
            f"model {name}: its {file} splits words of up to {longest:,} letters "
            f"(max_input_chars_per_word), which one long word would make take minutes; write 100, "
            "as is usual"
        )
    for step in ("normalizer", "pre_tokenizer"):
        steps = sum(1 for _ in _objects(document.get(step)))
        if steps > _MOST_STEPS:
            raise ModelError(
                f"model {name}: its {file} has {steps:,} steps under {step}, and at most "
                f"{_MOST_STEPS} are taken; {_REMEDY}"
            )
    found = list(expressions(document))
    longest_expression = max(map(len, found), default=0)
    if len(found) > _MOST_EXPRESSIONS or longest_expression > _MOST_EXPRESSION_CHARACTERS:
        raise ModelError(
            f"model {name}: its {file} has {len(found):,} regular expressions, the longest of "
            f"{longest_expression:,} letters, and at most {_MOST_EXPRESSIONS} of "
            f"{_MOST_EXPRESSION_CHARACTERS:,} are taken; {_REMEDY}"
        )


def has_expressions(document: Mapping[str, Any]) -> bool:
    """Whether a document has regular expressions of which it is not plain how long they take."""
    return not all(_PLAIN.fullmatch(one) for one in expressions(document))


def expressions(document: Mapping[str, Any]) -> Iterator[str]:
    """All regular expressions that texts are held against."""
    for step in ("normalizer", "pre_tokenizer"):
        for found in _objects(document.get(step)):
            expression = found.get("Regex")
            if isinstance(expression, str):
                yield expression


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a value, itself too."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)
