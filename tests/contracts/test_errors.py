from __future__ import annotations

import re

import pytest

from consumer.contracts import errors
from consumer.contracts.errors import NerstreamError, RejectedMessage, SettingsError


def all_errors() -> list[type[NerstreamError]]:
    found, rest = [], [NerstreamError]
    while rest:
        kind = rest.pop()
        found.append(kind)
        rest.extend(kind.__subclasses__())
    return found


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    own = {kind.__name__ for kind in all_errors() if kind.__module__ == errors.__name__}
    assert drawn == own - {"NerstreamError"}


def test_only_settings_end_with_two() -> None:
    assert {kind.__name__: kind.exit_code for kind in all_errors() if kind.exit_code != 1} == {
        "SettingsError": 2
    }


def test_a_settings_error_is_one_line_for_each_setting() -> None:
    second = SettingsError("--b", "5 is odd", "it must be even")
    error = SettingsError("--a", "is empty", "it must not be", also=[second])
    assert (error.setting, error.problem, error.remedy) == ("--a", "is empty", "it must not be")
    assert error.also == (second,)
    assert str(error) == "--a: is empty; it must not be\n--b: 5 is odd; it must be even"


def test_a_rejected_message_keeps_its_code() -> None:
    with pytest.raises(NerstreamError, match=r"^no id$") as caught:
        raise RejectedMessage("missing_id", "no id")
    assert isinstance(caught.value, RejectedMessage)
    assert (caught.value.code, caught.value.message) == ("missing_id", "no id")
