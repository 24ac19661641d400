"""The command-line flags of the settings, made from `Settings`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from consumer.settings.schema import GROUPS, Settings

PREFIX = "NERSTREAM_"


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
        if name == "kafka":
            group.add_argument(
                "--kafka",
                action="append",
                metavar="NAME=VALUE",
                help=f"{text} May be repeated [NERSTREAM_KAFKA_NAME]",
            )
            continue
        default = (defaults or {}).get(name, field.get_default())
        group.add_argument(
            flag_name(name),
            metavar=_metavar(field.annotation),
            help=f"{text} [{variable_name(name)}; default: {_written(default)}]",
        )


def variable_name(setting: str) -> str:
    """The variable of a setting: `batch_tokens` gives `NERSTREAM_BATCH_TOKENS`."""
    return PREFIX + setting.upper()


def flag_name(setting: str) -> str:
    """The flag of a setting: `batch_tokens` gives `--batch-tokens`."""
    return "--" + setting.replace("_", "-")


def _metavar(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "{" + ",".join(kind) + "}"
    if kind in (int, float):
        return "N"
    return "TEXT" if kind is str else "NAME,..."


def _written(default: Any) -> str:
    """A default as one would write it after its flag."""
    if isinstance(default, tuple):
        return ",".join(default)
    return str(default).replace("%", "%%") or "empty"
