"""What the command `audit` says of a run, as violations: none of what it tells is passed over."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.checker.audited import told

_NONE = {"count": 0, "first": []}


def said(**changes: Any) -> dict[str, Any]:
    kinds = dict.fromkeys(("lost", "doubled", "reordered", "altered", "invented", "foreign"), _NONE)
    return {"inputs": 9, "cannot_be_said": {"inputs": 0, "because": []}, **kinds, **changes}


@pytest.mark.parametrize(
    ("code", "changes", "violations"),
    [
        (0, {}, []),
        (0, {"inputs": 0}, ["audit: it has found no inputs"]),
        # Where the delivery allows it.
        (0, {"doubled": {"count": 2, "first": ["a"]}}, []),
        (1, {"doubled": {"count": 2, "first": ["a"]}}, ["audit: 2 doubled, the first ['a']"]),
        (
            1,
            {"cannot_be_said": {"inputs": 3, "because": ["a"]}},
            ["audit: of 3 inputs it cannot say whether they had an outcome"],
        ),
        (0, {"foreign": {"count": 1, "first": ["a"]}}, ["audit: 1 foreign, the first ['a']"]),
        (1, {}, ["audit: ended with 1, and says nothing of why"]),
    ],
)
def test_what_is_told(code: int, changes: dict[str, Any], violations: list[str]) -> None:
    assert told(code, said(**changes)) == violations
