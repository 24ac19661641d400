"""The command-line flags of the settings, made from `Settings`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from consumer.settings.schema import GROUPS, Settings

PREFIX = "NERSTREAM_"

#: The settings that are tables: what an entry looks like, in words and as an example.
ENTRIES: Mapping[str, tuple[str, str]] = {
    "models": ("LANGUAGE=MODEL", "de=OWNER/NAME@REVISION"),
    "kafka": ("NAME=VALUE", "security.protocol=SSL"),
    "registry": ("NAME=VALUE", "url=http://localhost:8081"),
}

#: Those whose entries are properties of a client: names with dots, and a variable for each.
PROPERTIES = ("kafka", "registry")


def add_settings_arguments(
    parser: argparse.ArgumentParser,
    names: Iterable[str] | None = None,
    *,
    defaults: Mapping[str, Any] | None = None,
) -> None:
    """Add `--config` and a flag for each setting; `load_settings` reads what they leave.

    Args:
        parser: of the command.
        names: the settings that the command uses; None adds all.
        defaults: what `--help` shows instead of the defaults of `Settings`.
    """
    wanted = set(Settings.model_fields if names is None else names)
    unknown = wanted - set(Settings.model_fields)
    if unknown:
        raise ValueError(f"no settings: {', '.join(sorted(unknown))}")
    # A command's own flag may have the name of a setting that it does not take.
    parser.set_defaults(settings_taken=frozenset(wanted))
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="TOML file of settings; flags and NERSTREAM_* variables win [NERSTREAM_CONFIG]",
    )
    group: Any = parser
    for name, field in Settings.model_fields.items():
        if name in GROUPS:
            group = parser.add_argument_group(GROUPS[name])
        if name not in wanted:
            continue
        text = " ".join((field.description or "").replace("`", "").split()).replace("%", "%%")
        if is_table(name):
            group.add_argument(
                flag_name(name),
                action="append",
                metavar=ENTRIES[name][0],
                help=f"{text} May be repeated [{table_variable(name)}]",
            )
            continue
        default = (defaults or {}).get(name, field.get_default())
        group.add_argument(
            flag_name(name),
            dest=name,
            metavar=_metavar(field.annotation),
            help=f"{text} [{variable_name(name)}; default: {_written(default)}]",
        )


def variable_name(setting: str) -> str:
    """The variable of a setting: `batch_tokens` gives `NERSTREAM_BATCH_TOKENS`."""
    return PREFIX + setting.upper()


def is_table(setting: str) -> bool:
    """Whether a setting's value is a table: entries with a name each, which add up."""
    return setting in ENTRIES


def table_variable(setting: str) -> str:
    """How variables give a table: one for each property of a client, else one with commas."""
    if setting in PROPERTIES:
        return f"{variable_name(setting)}_NAME"
    return f"{variable_name(setting)}={ENTRIES[setting][0]},..."


#: Flags that are not named after their setting.
_FLAGS: Mapping[str, str] = {"run_from": "--from", "run_until": "--until"}


def flag_name(setting: str) -> str:
    """The flag of a setting: `batch_tokens` gives `--batch-tokens`."""
    return _FLAGS.get(setting) or "--" + setting.replace("_", "-")


def _metavar(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "{" + ",".join(kind) + "}"
    if kind in (int, float):
        return "N"
    return "TEXT" if kind is str else "NAME,..."


def _written(default: Any) -> str:
    """A default as one would write it after its flag."""
    if isinstance(default, tuple):
        return ",".join(default) or "empty"
    return str(default).replace("%", "%%") or "empty"
