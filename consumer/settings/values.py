"""What the value of one setting may be; `consumer.settings.schema` says which setting is which."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from consumer.contracts.choices import DEVICE_FORMS, TextFormat, is_device
from consumer.contracts.languages import ANY_LANGUAGE
from consumer.settings import paths, run_bounds, topic_patterns
from consumer.settings.registry import registry_fault
from consumer.settings.reserved import property_fault
from consumer.settings.secrets import Properties

#: Bytes of a group's or a worker's name in UTF-8. Both are in the transactional id, the group up to
#: three times as long, and Kafka's protocol has 15 bits for its length.
_NAME_BYTES = 8_000

#: Workers of one supervisor.
MOST_WORKERS = 256

#: As many workers as fill the machine.
AUTO = "auto"

_NUMBER = re.compile(r"[0-9]{1,3}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_CHECKSUM = re.compile("[0-9a-f]{64}")


class WrongValue(ValueError):
    """What a check finds.

    Args:
        problem: what is wrong.
        remedy: what would be right.
        settings: the settings that do not go together, the one to change first, where the check
            is about more than one.
    """

    def __init__(self, problem: str, remedy: str, settings: tuple[str, ...] = ()) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy
        self.settings = settings


def _not_empty(value: str) -> str:
    if not value.strip():
        raise WrongValue("is empty", "it must not be")
    return value


def _name(value: str) -> str:
    """A name that the client passes on whole: UTF-8 without a NUL."""
    if _CONTROL.search(value):
        raise WrongValue(f"{value!r} has a control character", "it must have none")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise WrongValue(f"{value!r} is not UTF-8", "it must be") from None
    if size > _NAME_BYTES:
        raise WrongValue(f"has {size:,} bytes", f"it must have at most {_NAME_BYTES:,}")
    return value


def _group(name: str) -> str:
    """A group whose offsets librdkafka takes into a transaction."""
    _not_empty(name)
    if not (name.isascii() and name.isprintable()):
        raise WrongValue(f"{name!r} is no name of a group", "it must be of printable ASCII")
    return _name(name)


def is_topic_name(name: str) -> bool:
    """Whether a topic can have this name, by the rule of Apache Kafka's own `Topic.validate`."""
    return _TOPIC.fullmatch(name) is not None and name not in (".", "..")


def _topic(name: str) -> str:
    _not_empty(name)
    if not is_topic_name(name):
        raise WrongValue(
            f'"{name}" is no name of a topic',
            "it must be 1 to 249 letters, digits, dots, underscores or hyphens",
        )
    return name


def _topic_or_pattern(name: str) -> str:
    if not topic_patterns.is_pattern(name):
        return _topic(name)
    fault = topic_patterns.fault_of(name)
    if fault is not None:
        raise WrongValue(*fault)
    return name


def _split_paths(value: Any) -> Any:
    return paths.split(value) if isinstance(value, str) else value


def _split_topics(value: Any) -> Any:
    return topic_patterns.split(value) if isinstance(value, str) else value


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or any(not name for name in names):
        raise WrongValue("names nothing", "it must name at least one, separated by commas")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise WrongValue(f"names {twice} twice", "it must name each once")
    return names


def _path(text: str) -> str:
    """A name, or a path that names places in a message."""
    if paths.is_path(text):
        try:
            paths.parsed(text)
        except paths.PathFault as fault:
            raise WrongValue(fault.problem, fault.remedy) from fault
    elif text.startswith("/"):
        # An entity's field that begins with a slash is a JSON Pointer, and only that.
        way = ".".join(text.split("/")[1:])
        raise WrongValue(
            f"{text} begins with a slash, as a JSON Pointer",
            f'write {way or "a name"} for the path, or "{text}" in double quotes for the name',
        )
    return text


def _known_format(entry: str) -> str:
    """`html`, or `body=html`."""
    name = entry.rpartition("=")[2].strip()
    if name not in tuple(TextFormat):
        raise WrongValue(
            f'"{name}" is no format of text',
            f"it must be one of {', '.join(TextFormat)}, for all texts, or after FIELD= for one",
        )
    return entry


def _type_name(entry: str) -> str:
    """`PER=person`."""
    old, equals, new = entry.partition("=")
    if not (equals and old.strip() and new.strip()):
        raise WrongValue(f'"{entry}" renames nothing', "write TYPE=NAME, such as PER=person")
    return f"{old.strip()}={new.strip()}"


def _language(tag: str) -> str:
    if not _LANGUAGE.fullmatch(tag):
        raise WrongValue(
            f'"{tag}" is no language', "it must be a code such as en or de, or und for unknown ones"
        )
    return tag.lower()


def _checksum(text: str) -> str:
    digits = text.lower().removeprefix("sha256:")
    if not _CHECKSUM.fullmatch(digits):
        raise WrongValue(
            f'"{text}" is no SHA-256',
            "it must be 64 hexadecimal digits, as nerstream doctor shows them",
        )
    return digits


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _none_twice(names: tuple[str, ...]) -> tuple[str, ...]:
    return _each_once(names) if names else names


def _optional_path(text: str) -> str:
    return _path(text.strip())


def _each_named_once(entries: tuple[str, ...], what: Callable[[str], str]) -> tuple[str, ...]:
    """Of two entries for one thing, only one could count."""
    first: dict[str, str] = {}
    for entry in entries:
        name = what(entry)
        if name in first:
            raise WrongValue(
                f"has {first[name]} and {entry}, both for {name}", "it must have one for each"
            )
        first[name] = entry
    return entries


def _each_type_once(entries: tuple[str, ...]) -> tuple[str, ...]:
    return _each_named_once(entries, lambda entry: entry.partition("=")[0])


def _each_format_once(entries: tuple[str, ...]) -> tuple[str, ...]:
    fields = tuple(entry for entry in entries if "=" in entry)
    _each_named_once(fields, lambda entry: entry.rpartition("=")[0].strip())
    return entries


def _member(text: str) -> str:
    """Names with dots between them, or nothing."""
    text = _path(text.strip())
    if text:
        try:
            paths.member_names(text)
        except paths.PathFault as fault:
            raise WrongValue(fault.problem, fault.remedy) from fault
    return text


def _bound(value: str, words: tuple[str, ...]) -> str:
    """A time, one of some words, or nothing."""
    value = value.strip()
    if value and value not in words and run_bounds.time_ms(value) is None:
        raise WrongValue(
            f'"{value}" is no time', f"write {' or '.join(words)}, or {run_bounds.TIME_FORMS}"
        )
    return value


def _begin(value: str) -> str:
    return _bound(value, (run_bounds.EARLIEST, run_bounds.LATEST))


def _end(value: str) -> str:
    return _bound(value, (run_bounds.END,))


def _optional_group(name: str) -> str:
    return _group(name) if name else name


def _device(value: str) -> str:
    if not is_device(value):
        raise WrongValue(f'"{value}" is no device', f"it must be {DEVICE_FORMS}")
    return value


def _optional_url(value: str) -> str:
    value = value.strip()
    if value:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise WrongValue(f'"{value}" is no address', "write it as http://HOST:PORT")
    return value


def _workers(value: object) -> str:
    text = str(value)
    if text == AUTO or (_NUMBER.fullmatch(text) and 1 <= int(text) <= MOST_WORKERS):
        return text
    raise WrongValue(
        f'"{value}" is no number of workers',
        f"it must be a whole number from 1 to {MOST_WORKERS}, or {AUTO}",
    )


def _passed_through(properties: Mapping[str, str]) -> Mapping[str, str]:
    for name in properties:
        if (fault := property_fault(name, properties)) is not None:
            raise WrongValue(*fault)
    return Properties(properties)


def _for_registry(properties: Mapping[str, str]) -> Mapping[str, str]:
    for name in properties:
        if (fault := registry_fault(name, properties)) is not None:
            raise WrongValue(*fault, (f"registry.{name}",))
    return Properties(properties)


def _models(models: Mapping[str, str]) -> Mapping[str, str]:
    """By language in lower case, as articles' languages are looked up."""
    found: dict[str, str] = {}
    for language, model in models.items():
        given = (f"models.{language}",)
        name = language.strip().lower()
        if name != ANY_LANGUAGE and not _LANGUAGE.fullmatch(name):
            raise WrongValue(
                f'"{language}" is no language',
                f"it must be a code of letters alone, such as en, de or fil, or {ANY_LANGUAGE}",
                given,
            )
        if name in found:
            raise WrongValue(f"the language {name} is there twice", "give it once", given)
        if not model.strip():
            raise WrongValue("names no model", "it must be MODEL or MODEL@REVISION", given)
        found[name] = model.strip()
    return found


def _at_most(most: int) -> AfterValidator:
    """A bound that no sensible value reaches, and so none that a requirement names: beyond it torch
    and the timers of the operating system have no numbers."""

    def check(value: float) -> float:
        if value > most:
            raise WrongValue(f"{value} is too large", f"it must be at most {most}")
        return value

    return AfterValidator(check)


Count: TypeAlias = Annotated[int, Field(ge=1), _at_most(10**12)]
CountOrNone: TypeAlias = Annotated[int, Field(ge=0), _at_most(10**12)]
Threads: TypeAlias = Annotated[int, Field(ge=0), _at_most(1_024)]
Seconds: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False), _at_most(2_000_000)]
Milliseconds: TypeAlias = Annotated[int, Field(ge=0), _at_most(2_000_000_000)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
NonEmpty: TypeAlias = Annotated[str, AfterValidator(_not_empty)]
Name: TypeAlias = Annotated[str, AfterValidator(_name)]
GroupName: TypeAlias = Annotated[str, AfterValidator(_group)]
OptionalGroupName: TypeAlias = Annotated[str, AfterValidator(_optional_group)]
RunBegin: TypeAlias = Annotated[str, AfterValidator(_begin)]
RunEnd: TypeAlias = Annotated[str, AfterValidator(_end)]
Topic: TypeAlias = Annotated[str, AfterValidator(_topic)]
Topics: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_topic_or_pattern)], ...],
    BeforeValidator(_split_topics),
    AfterValidator(_each_once),
]
TextFields: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_path)], ...],
    BeforeValidator(_split_paths),
    AfterValidator(_each_once),
]
Checksums: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_checksum)], ...],
    BeforeValidator(_split),
    AfterValidator(_none_twice),
]
OptionalNames: TypeAlias = Annotated[
    tuple[str, ...], BeforeValidator(_split), AfterValidator(_none_twice)
]
Languages: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_language)], ...],
    BeforeValidator(_split),
    AfterValidator(_none_twice),
]
TypeNames: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_type_name)], ...],
    BeforeValidator(_split),
    AfterValidator(_none_twice),
    AfterValidator(_each_type_once),
]
TextFormats: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_known_format)], ...],
    BeforeValidator(_split_paths),
    AfterValidator(_each_once),
    AfterValidator(_each_format_once),
]
OptionalPath: TypeAlias = Annotated[str, AfterValidator(_optional_path)]
OptionalMember: TypeAlias = Annotated[str, AfterValidator(_member)]
OptionalUrl: TypeAlias = Annotated[str, AfterValidator(_optional_url)]
Workers: TypeAlias = Annotated[str, BeforeValidator(_workers)]
Device: TypeAlias = Annotated[str, AfterValidator(_device)]
Models: TypeAlias = Annotated[Mapping[str, str], AfterValidator(_models)]
KafkaProperties: TypeAlias = Annotated[Mapping[str, str], AfterValidator(_passed_through)]
RegistryProperties: TypeAlias = Annotated[Mapping[str, str], AfterValidator(_for_registry)]
