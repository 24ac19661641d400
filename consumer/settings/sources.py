"""Settings from flags, `NERSTREAM_*` variables, a TOML file and the defaults, in that order.

Nothing here reads the process's environment by itself: arguments and variables are handed in.
"""

from __future__ import annotations

import argparse
import difflib
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from consumer.contracts.errors import SettingsError, first_line
from consumer.settings.faults import Given, faults_of, shown
from consumer.settings.flags import (
    ENTRIES,
    PREFIX,
    PROPERTIES,
    add_settings_arguments,
    flag_name,
    is_table,
    variable_name,
)
from consumer.settings.reserved import names_of
from consumer.settings.schema import Settings
from consumer.settings.secrets import FILE_SUFFIX, is_secret, secret_in_file, without_user

__all__ = ["add_settings_arguments", "flag_name", "load_settings", "variable_name"]

_CONFIG = f"{PREFIX}CONFIG"

_SEEN_BY_ALL = "a secret on the command line is seen by everybody on this machine"

# Kubernetes and container links put the address of each service of a namespace into every
# container, named after the service; one called nerstream must not stop the worker.
_SERVICE_LINK = re.compile(
    r"NERSTREAM_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")


def load_settings(
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    config_path: str | Path | None = None,
    *,
    defaults: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings that these sources add up to. Entries of a table add up one by one.

    Args:
        arguments: flags as `add_settings_arguments` leaves them; one that was not given is None
            or absent.
        environ: variables; those without the prefix are passed over.
        config_path: the TOML file; None takes `--config`, else `NERSTREAM_CONFIG`, else no file.
        defaults: what takes the place of the defaults of `Settings`, for a command of its own.

    Raises:
        SettingsError: one or more are wrong or unknown; it names each with its source.
    """
    found, faults = _collected(arguments, environ, config_path)
    if "models" in _taken(arguments):
        faults.extend(_beside_models(found))
    settings, wrong = _validated(found, defaults or {})
    faults.extend(wrong)
    if settings is None or faults:
        first, *rest = faults
        raise SettingsError(first.setting, first.problem, first.remedy, also=rest)
    return settings


def placed(
    error: SettingsError, arguments: argparse.Namespace, environ: Mapping[str, str]
) -> SettingsError:
    """The error with each setting by the place where the person gave it. `load_settings` names that
    by itself; what finds a fault later, as the client does, knows the setting's name alone.

    Args:
        arguments, environ: as for `load_settings`.
    """
    if getattr(arguments, "settings_taken", None) is None:
        return error  # a command without settings
    found, _ = _collected(arguments, environ, None)

    def one(fault: SettingsError, also: Iterable[SettingsError] = ()) -> SettingsError:
        given = found.get(fault.setting)
        source = fault.setting if given is None else given.source
        return SettingsError(source, fault.problem, fault.remedy, tuple(also))

    return one(error, map(one, error.also))


def _collected(
    arguments: argparse.Namespace, environ: Mapping[str, str], config_path: str | Path | None
) -> tuple[dict[str, Given], list[SettingsError]]:
    """What was given, by `Given.key`, and what is wrong with how it was given."""
    found: dict[str, Given] = {}
    faults: list[SettingsError] = []
    for source in (
        _from_file(*_config_file(arguments, environ, config_path)),
        _from_variables(environ),
        _from_flags(arguments),
    ):
        for item in source:
            if isinstance(item, SettingsError):
                faults.append(item)
            else:
                found[item.key] = item
    return found, faults


def _validated(
    found: Mapping[str, Given], defaults: Mapping[str, Any]
) -> tuple[Settings | None, list[SettingsError]]:
    values = dict(defaults)
    properties = dict(values.pop("kafka", {}))
    for given in found.values():
        if given.entry is None:
            values[given.setting] = given.value
        elif given.setting == "kafka":
            # A default by another name of the same property would contradict it.
            for name in names_of(given.entry):
                if f"kafka.{name}" not in found:
                    properties.pop(name, None)
            properties[given.entry] = given.value
        else:
            values[given.setting] = {**values.get(given.setting, {}), given.entry: given.value}
    faults = faults_of(values, found)
    return (None, faults) if faults else (Settings(**values, kafka=properties), [])


def _beside_models(found: Mapping[str, Given]) -> Iterator[SettingsError]:
    """`model` and `revision` would be of no use where there is a model for each language."""
    if not any(given.setting == "models" for given in found.values()):
        return
    remedies = {
        "model": 'for languages without a model of their own write "*" = "MODEL" under models',
        "revision": "write MODEL@REVISION for each of the models",
    }
    for setting, remedy in remedies.items():
        if setting in found:
            yield SettingsError(found[setting].source, "has no effect beside models", remedy)


def _taken(arguments: argparse.Namespace) -> list[str]:
    """The settings that the command takes, in the order of `Settings`."""
    taken = getattr(arguments, "settings_taken", None)
    if taken is None:
        return [name for name in Settings.model_fields if hasattr(arguments, name)]
    return [name for name in Settings.model_fields if name in taken]


def _from_flags(arguments: argparse.Namespace) -> Iterator[Given | SettingsError]:
    for setting in _taken(arguments):
        value = getattr(arguments, setting, None)
        if value is None:
            continue
        if not is_table(setting):
            if isinstance(value, str) and without_user(value) != value:
                yield SettingsError(
                    flag_name(setting), _SEEN_BY_ALL, f"set {variable_name(setting)}"
                )
            elif _says_nothing(setting, value):
                yield SettingsError(flag_name(setting), "is empty", "give a value, or leave it out")
            else:
                yield Given(setting, flag_name(setting), value)
            continue
        for assignment in value:
            name, equals, text = assignment.partition("=")
            if equals and setting in PROPERTIES and _holds_secret(name.strip(), text):
                yield _seen_by_all(setting, name.strip())
            elif equals and name.strip():
                yield Given(setting, f"{flag_name(setting)} {name.strip()}", text, name.strip())
            else:
                form, example = ENTRIES[setting]
                seen = shown(assignment, secret=is_secret(assignment))
                yield SettingsError(
                    flag_name(setting),
                    f"{seen} is no {form}",
                    f"write {flag_name(setting)} {example}",
                )


def _says_nothing(setting: str, value: Any) -> bool:
    """Whether an empty value was given for a setting that is empty where nobody gives it.

    Who does so has left a variable of the shell unset, or a template unfilled. They want another
    worker than they would get: `--from ""` would read on for ever, in the group of all others.
    """
    empty = Settings.model_fields[setting].get_default(call_default_factory=True) in ("", ())
    return empty and isinstance(value, str) and not value.replace(",", "").strip()


def _holds_secret(name: str, value: str) -> bool:
    return is_secret(name) or without_user(value) != value


def _seen_by_all(setting: str, name: str) -> SettingsError:
    """A secret on the command line: whoever is on the machine sees it in the list of processes."""
    secret = name if is_secret(name) else "basic.auth.user.info"
    variable = f"{variable_name(setting)}_{secret.upper().replace('.', '_')}"
    return SettingsError(
        f"{flag_name(setting)} {name}",
        _SEEN_BY_ALL,
        f"write {flag_name(setting)} {secret}{FILE_SUFFIX}=FILE, or set {variable}",
    )


def _from_variables(environ: Mapping[str, str]) -> Iterator[Given | SettingsError]:
    known = {variable_name(setting): setting for setting in Settings.model_fields}
    for setting in PROPERTIES:
        del known[variable_name(setting)]
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        value = environ[name]
        if name == _CONFIG or _SERVICE_LINK.fullmatch(name) or _SERVICE_ADDRESS.match(value):
            continue
        if name in known and is_table(known[name]):
            yield from _assignments(known[name], name, value)
        elif name in known and _says_nothing(known[name], value):
            yield SettingsError(name, "is empty", "give it a value, or unset it")
        elif name in known:
            yield Given(known[name], name, value)
        elif (table := _table_of(name)) is not None:
            yield Given(table, name, value, _property_of(name.removeprefix(variable_name(table))))
        else:
            yield _unknown(name, "variable", name, (*known, _CONFIG))


def _table_of(variable: str) -> str | None:
    """The table that a variable gives a property of."""
    for setting in PROPERTIES:
        prefix = f"{variable_name(setting)}_"
        if variable.startswith(prefix) and variable != prefix:
            return setting
    return None


def _property_of(end: str) -> str:
    """The property that a variable's end names: `_SASL_PASSWORD_FILE` is `sasl.password_file`."""
    entry = end.removeprefix("_").lower()
    stem = entry.removesuffix(FILE_SUFFIX).replace("_", ".")
    in_file = stem + FILE_SUFFIX
    is_file = entry.endswith(FILE_SUFFIX) and secret_in_file(in_file) is not None
    return in_file if is_file else entry.replace("_", ".")


def _assignments(setting: str, variable: str, value: str) -> Iterator[Given | SettingsError]:
    """A table in one variable: `en=a,de=b`."""
    for assignment in filter(None, map(str.strip, value.split(","))):
        name, equals, text = assignment.partition("=")
        if equals and name.strip():
            yield Given(setting, f"{name.strip()} in {variable}", text, name.strip())
        else:
            form, example = ENTRIES[setting]
            yield SettingsError(
                variable, f"{shown(assignment)} is no {form}", f"write {variable}={example}"
            )


def _from_file(path: Path | None, named_by: str) -> Iterator[Given | SettingsError]:
    if path is None:
        return
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        yield SettingsError(named_by, f"{path} cannot be read ({reason})", "name a TOML file")
        return
    except UnicodeDecodeError as error:
        yield SettingsError(
            named_by, f"{path} is not UTF-8 (byte {error.start})", "a TOML file is UTF-8"
        )
        return
    except tomllib.TOMLDecodeError as error:
        yield SettingsError(
            named_by, f"{path} is not TOML: {error}", 'write name = value, text in "quotes"'
        )
        return
    except RecursionError:
        yield SettingsError(named_by, f"{path} is nested too deep", "write name = value")
        return
    except ValueError as error:  # such as a number of more digits than Python reads
        yield SettingsError(
            named_by, f"{path} has a value that cannot be read ({first_line(error)})", "correct it"
        )
        return
    for name, value in document.items():
        source = f"{name} in {path}"
        if name in Settings.model_fields and is_table(name):
            yield from _table(name, path, value)
        elif name in Settings.model_fields:
            yield Given(name, source, value)
        elif "." in name or isinstance(value, dict):
            yield SettingsError(
                source, "is no setting", "properties of librdkafka stand in the table [kafka]"
            )
        else:
            yield _unknown(source, "setting", name, Settings.model_fields)


def _table(setting: str, path: Path, table: Any) -> Iterator[Given | SettingsError]:
    if not isinstance(table, dict):
        name, _, value = ENTRIES[setting][1].partition("=")
        yield SettingsError(
            f"{setting} in {path}",
            f"{shown(table, secret=setting in PROPERTIES)} is no table",
            f'write [{setting}] and below it "{name}" = "{value}"',
        )
    elif setting in PROPERTIES:
        yield from _properties(setting, path, table)
    else:
        for name, value in table.items():
            yield Given(setting, f"{setting}.{name} in {path}", value, name)


def _properties(
    setting: str, path: Path, table: Mapping[str, Any]
) -> Iterator[Given | SettingsError]:
    for name, value in _flattened(table):
        source = f"{setting}.{name} in {path}"
        match value:
            case bool():
                yield Given(setting, source, "true" if value else "false", name)
            case str() | int() | float():
                yield Given(setting, source, str(value), name)
            case _:
                seen = shown(value, secret=is_secret(name))
                yield SettingsError(
                    source,
                    f"{seen} is no value of a property",
                    "it must be text, a number, true or false; a list is text with commas",
                )


def _flattened(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Unquoted dots make TOML nest tables; the clients' names are flat."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _config_file(
    arguments: argparse.Namespace, environ: Mapping[str, str], config_path: str | Path | None
) -> tuple[Path | None, str]:
    flag = getattr(arguments, "config", None)
    for value, named_by in (
        (config_path, "--config"),
        (flag, "--config"),
        (environ.get(_CONFIG), _CONFIG),
    ):
        if value:
            return Path(value), named_by
        if value == "" and named_by != _CONFIG:
            raise SettingsError(named_by, "is empty", "name a TOML file, or leave it out")
    return None, ""


def _unknown(source: str, kind: str, name: str, known: Iterable[str]) -> SettingsError:
    # Compared without the prefix, which would make any two variables look alike.
    names = {one.removeprefix(PREFIX): one for one in known}
    close = difflib.get_close_matches(name.removeprefix(PREFIX), names, n=1)
    remedy = f"did you mean {names[close[0]]}?" if close else "nerstream run --help names them all"
    return SettingsError(source, f"there is no {kind} of this name", remedy)
