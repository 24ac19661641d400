"""What is wrong with values of settings, and what would be right, in plain words."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from consumer.contracts.errors import SettingsError
from consumer.settings.reserved import property_fault
from consumer.settings.schema import Settings
from consumer.settings.secrets import MASK
from consumer.settings.values import WrongValue

#: Characters of a wrong value that an error shows.
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Given:
    """A value as a person gave it.

    Attributes:
        setting: its setting.
        source: where it was written, as an error names it.
        value: text from a flag or variable; any TOML value from a file.
        entry: of a setting that is a table, the entry: a property of `kafka`, a language.
    """

    setting: str
    source: str
    value: Any
    entry: str | None = None

    @property
    def key(self) -> str:
        """What a later source replaces: the setting, or the one entry."""
        return self.setting if self.entry is None else f"{self.setting}.{self.entry}"


def faults_of(values: Mapping[str, Any], found: Mapping[str, Given]) -> list[SettingsError]:
    """Everything that is wrong, empty where nothing is.

    Args:
        values: value of each setting but `kafka`.
        found: where the values came from, by `Given.key`.
    """
    passed = {
        given.entry: given for given in found.values() if given.entry and given.setting == "kafka"
    }
    faults = [
        SettingsError(given.source, *fault)
        for name, given in passed.items()
        if (fault := property_fault(name, passed)) is not None
    ]
    # No setting is a yes or no, but to pydantic true is also the number 1.
    switches = [name for name, value in values.items() if isinstance(value, bool)]
    faults.extend(_fault(name, _source(name, found), values[name]) for name in switches)
    try:
        Settings(**{name: value for name, value in values.items() if name not in switches})
    except ValidationError as error:
        faults.extend(_explained(detail, found) for detail in error.errors(include_url=False))
    return faults


def requirement(setting: str) -> str:
    """What a value of this setting must be, such as `a whole number of at least 1`."""
    field = Settings.model_fields[setting]
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return f"one of {', '.join(kind)}"
    if kind is str:
        return "text"
    if get_origin(kind) is Mapping:
        return "text"
    if kind not in (int, float):
        return "names separated by commas, or a list of names"
    noun = "a whole number" if kind is int else "a number"
    least = next((rule.ge for rule in field.metadata if isinstance(rule, Ge)), None)
    above = next((rule.gt for rule in field.metadata if isinstance(rule, Gt)), None)
    most = next((rule.le for rule in field.metadata if isinstance(rule, Le)), None)
    if above is not None:
        return f"{noun} above {above}"
    if most is not None:
        return f"{noun} from {least} to {most}"
    return f"{noun} of at least {least}"


def shown(value: Any, *, secret: bool = False) -> str:
    """A value for an error message, as it would be written in TOML."""
    if secret:
        return MASK
    if isinstance(value, bool):
        return "true" if value else "false"
    text = " ".join((f'"{value}"' if isinstance(value, str) else str(value)).splitlines())
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def _explained(detail: ErrorDetails, found: Mapping[str, Given]) -> SettingsError:
    wrong = detail.get("ctx", {}).get("error")
    if isinstance(wrong, WrongValue):
        # Of settings that do not go together, the one that the person gave is the one to change.
        names = wrong.settings or (str(detail["loc"][0]),)
        name = next((name for name in names if name in found), names[0])
        return SettingsError(_source(name, found), wrong.problem, wrong.remedy)
    name = str(detail["loc"][0])
    entry = ".".join(map(str, detail["loc"]))
    source = _source(entry if entry in found else name, found)
    return _fault(name, source, detail["input"], detail["type"])


def _fault(setting: str, source: str, value: Any, error_type: str = "") -> SettingsError:
    must = requirement(setting)
    seen = shown(value)
    if error_type in ("greater_than", "greater_than_equal", "less_than_equal", "finite_number"):
        return SettingsError(source, f"{seen} is out of range", f"it must be {must}")
    if error_type == "enum":
        choices = must.removeprefix("one of ").split(", ")
        close = difflib.get_close_matches(str(value).lower(), choices, n=1)
        meant = f"did you mean {close[0]}? " if close else ""
        return SettingsError(source, f"{seen} is no choice", f"{meant}it must be {must}")
    return SettingsError(source, f"{seen} will not do", f"it must be {must}")


def _source(setting: str, found: Mapping[str, Given]) -> str:
    return found[setting].source if setting in found else setting
