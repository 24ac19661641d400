"""What a person is told where a client does not like a property: which one, and what would be
right."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping

from confluent_kafka import KafkaException

from consumer.contracts.errors import SettingsError
from consumer.kafka.property_names import meant
from consumer.kafka.security.refusals import files_fault
from consumer.settings.reserved import names_of
from consumer.settings.schema import Settings
from consumer.settings.secrets import is_secret

#: How a client says that it does not like its properties.
REFUSALS = (KafkaException, TypeError, ValueError)

_SEE = "see librdkafka's list of configuration properties"

#: Hears log lines and passes none on.
MUTE = logging.Logger("mute", logging.CRITICAL + 1)

#: Where two contradict each other, each alone is right.
_TOGETHER = "Failed to create"

_NO_NUMBER = "Invalid value for configuration property"
_NO_CHOICE = 'Invalid value "'
_UNKNOWN = "No such configuration property"
_RANGE = re.compile(r"outside allowed range (-?\d+)\.\.(\d+)$")
_BOOL = re.compile(r"^Expected bool value")

_WHOLE = re.compile(r"\s*[+-]?(0|[1-9]\d*|0[xX][0-9a-fA-F]+)\s*")
#: What C takes of a text for a number: sign, hexadecimal, octal or decimal digits.
_TAKEN = re.compile(r"\s*([+-]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9]\d*))")

#: The largest number that a property of the client can be; beyond it they begin anew.
_LARGEST = 2**31 - 1

#: The properties that may be fractions, by each of their names.
_FRACTIONS = frozenset(names_of("linger.ms"))

#: Properties for which Apache Kafka's own clients take an empty value, and what that means here.
_EMPTY_MEANS = {"ssl.endpoint.identification.algorithm": "to check no host name write none"}


def refuse_empty(passed: Mapping[str, str]) -> None:
    """Raise SettingsError if a property is empty. Some the client refuses; others, such as
    `group.instance.id`, it takes for not given, without a word."""
    for name, text in passed.items():
        if not text.strip():
            meant = _EMPTY_MEANS.get(name, "give it a value, or leave it out")
            raise SettingsError(f"kafka.{name}", "it is empty", meant)


def refuse_misread(
    kind: Callable[[dict[str, str | logging.Logger]], object], passed: Mapping[str, str]
) -> None:
    """Raise SettingsError if the client would take another number than the one that was meant.

    It reads digits up to what is none, so that `45s` and `1e6` are 45 and 1; takes a zero in front
    for octal; and keeps 32 bits of what is longer.
    """
    for name, text in passed.items():
        taken = _TAKEN.match(text)
        if taken is None or _is_meant(name, text) or not _is_number(kind, name):
            continue
        if _WHOLE.fullmatch(text):
            raise SettingsError(
                f"kafka.{name}",
                f"{text} is more than the client can hold",
                f"it must be at most {_LARGEST}",
            )
        sign, hexadecimal, octal, decimal = taken.groups()
        digits = (hexadecimal, 16) if hexadecimal else (octal, 8) if octal else (decimal, 10)
        raise SettingsError(
            f"kafka.{name}", f"{text} would be read as {sign}{int(*digits)}", _in_digits(name)
        )


def explained(
    kind: Callable[[dict[str, object]], object],
    settings: Settings,
    passed: Mapping[str, str],
    wrong: Exception,
) -> SettingsError:
    """What a person is told of a refusal.

    Args:
        kind: what was to be made.
        passed: the properties that the person passes through.
        wrong: one of `REFUSALS`.
    """
    text = _said(wrong)
    if (fault := files_fault(passed, text)) is not None:
        return fault
    # A value that is wrong in itself may have moved others, which the client complains about first.
    for name, value in passed.items():
        alone = _alone(kind, settings, name, value)
        if alone is not None and not alone.startswith(_TOGETHER):
            return _of_itself(name, value, alone)
    # The longest name first: `ssl.ca` must not be blamed for `ssl.ca.location`.
    for name in sorted(passed, key=len, reverse=True):
        if any(alias in text for alias in names_of(name)):
            return _of_itself(name, passed[name], text)
    return SettingsError("kafka", text, _remedy(text))


def _of_itself(name: str, value: str, text: str) -> SettingsError:
    """Of a refusal that is about this property."""
    setting = f"kafka.{name}"
    shown = "it" if is_secret(name) else value
    if (found := _RANGE.search(text)) is not None:
        least, most = found.groups()
        return SettingsError(
            setting, f"{shown} is out of range", f"it must be from {least} to {most}"
        )
    if _BOOL.match(text):
        return SettingsError(setting, f"{shown} is no switch", "it must be true or false")
    if text.startswith(_NO_NUMBER):
        return SettingsError(setting, f"{shown} is no number", _in_digits(name))
    if text.startswith(_NO_CHOICE):
        return SettingsError(setting, f"{shown} is none of its values", _SEE)
    if text.startswith(_UNKNOWN) and (like := meant(name)):
        return SettingsError(setting, text, f"did you mean {like}?")
    return SettingsError(setting, text, _remedy(text))


def _alone(
    kind: Callable[[dict[str, object]], object], settings: Settings, name: str, value: str
) -> str | None:
    """What the client says of one property alone; None if it takes it."""
    try:
        kind({"group.id": settings.group_id, "logger": MUTE, name: value})
    except REFUSALS as wrong:
        return _said(wrong)
    return None


def _is_number(kind: Callable[[dict[str, str | logging.Logger]], object], name: str) -> bool:
    """Whether the client wants a number for this property."""
    try:
        kind({"group.id": "x", "logger": MUTE, name: "no number"})
    except REFUSALS as wrong:
        return _said(wrong).startswith(_NO_NUMBER)
    return False


def _is_meant(name: str, text: str) -> bool:
    """Whether the client takes the number that stands there."""
    if name in _FRACTIONS:
        try:
            return abs(float(text)) <= _LARGEST
        except ValueError:
            return False
    return _WHOLE.fullmatch(text) is not None and abs(int(text, 0)) <= _LARGEST


def _in_digits(name: str) -> str:
    """How to write a number; the end of a property's name says its unit."""
    for end, unit in ((".ms", "milliseconds"), (".kbytes", "KiB"), (".bytes", "bytes")):
        if name.endswith(end):
            return f"write a number of {unit}, in digits alone"
    return "write a number, in digits alone"


def _said(wrong: Exception) -> str:
    text = wrong.args[0].str() if isinstance(wrong, KafkaException) else str(wrong)
    return text.strip().rstrip(".")


def _remedy(text: str) -> str:
    if "`transaction.timeout.ms`" in text:
        return "lower it, or raise transaction_timeout_ms"
    if "`group.protocol=consumer`" in text:
        return "leave it out, or choose group_protocol=classic"
    return _SEE
