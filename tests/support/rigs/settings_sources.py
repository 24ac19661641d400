"""Settings from flags, variables and a file, and what an error says of them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from consumer.contracts.errors import SettingsError
from consumer.settings.schema import Settings
from consumer.settings.sources import (
    add_settings_arguments,
    load_settings,
)


def parser(**options: Any) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="nerstream run", allow_abbrev=False)
    add_settings_arguments(made, **options)
    return made


def load(
    *flags: str,
    env: Mapping[str, str] | None = None,
    toml: str | None = None,
    tmp_path: Path | None = None,
    **options: Any,
) -> Settings:
    path = None
    if toml is not None:
        assert tmp_path is not None
        path = tmp_path / "worker.toml"
        path.write_text(toml, encoding="utf-8")
    return load_settings(parser().parse_args(flags), env or {}, path, **options)


def lines(*flags: str, **sources: Any) -> list[str]:
    """What the error says, one line for each fault; the folder of the file is cut off."""
    with pytest.raises(SettingsError) as caught:
        load(*flags, **sources)
    error = caught.value
    text = str(error)
    assert [str(error).splitlines()[0], *map(str, error.also)] == text.splitlines()
    assert text.startswith(f"{error.setting}: {error.problem}; {error.remedy}")
    if sources.get("tmp_path"):
        text = text.replace(f"{sources['tmp_path']}/", "")
    return text.splitlines()


def wrong(**values: Any) -> str:
    """What the error says of values that are no settings."""
    with pytest.raises(ValidationError) as caught:
        Settings(**values)
    [detail] = caught.value.errors()
    return detail["msg"].removeprefix("Value error, ")
