"""Secrets: which properties of a client hold one, and how one is read from a file.

A secret may stand in a file, as Docker and Kubernetes hand it out. The name of the property then
has `_file` at its end, and its value is the file: `sasl.password_file`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from consumer.contracts.errors import SettingsError

#: What stands in the place of a secret wherever settings are shown.
MASK = "********"

#: At the end of a property's name: its value is the file that holds the secret.
FILE_SUFFIX = "_file"

#: A property whose name holds one of these is a secret.
_SECRET_WORDS = (
    "password",
    "passphrase",
    "secret",
    "key.pem",
    "oauthbearer.config",
    "sasl.jaas",
    "user.info",
    "auth.token",
)

#: In an address: what stands before a name and a password, and these.
_USER = re.compile(r"([a-z][a-z0-9+.-]*://)[^,\s]*@", re.IGNORECASE)

#: No secret is longer; a larger file is another one.
_MOST_BYTES = 65_536


class Properties(dict[str, str]):
    """The properties of a client. Their text shows no secret, wherever it may be printed."""

    def __repr__(self) -> str:
        return repr(masked(self))

    __str__ = __repr__


def is_secret(name: str) -> bool:
    """Whether the value of a client's property must never be shown."""
    name = name.lower()
    return any(word in name for word in _SECRET_WORDS) and not name.endswith(FILE_SUFFIX)


def secret_in_file(name: str) -> str | None:
    """The property whose secret stands in the file that this one names; None if it is none."""
    if not name.endswith(FILE_SUFFIX):
        return None
    stem = name.removesuffix(FILE_SUFFIX)
    return stem if is_secret(stem) else None


def file_fault(name: str, given: Mapping[str, object]) -> tuple[str, str] | None:
    """What is wrong with a property that ends in `_file`, and what would be right; None if nothing.

    Args:
        given: all properties; a secret may not be given twice.
    """
    if not name.endswith(FILE_SUFFIX):
        return None
    stem = name.removesuffix(FILE_SUFFIX)
    if not is_secret(stem):
        return f"{stem} is no secret, so no file is read for it", f"give {stem} itself"
    if stem in given:
        return f"{stem} is given too", "give one of the two"
    return None


def masked(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties with a mask for each secret, and for a name and password in an address."""
    return {
        name: MASK if is_secret(name) else without_user(value, f"{MASK}@")
        for name, value in properties.items()
    }


def without_user(value: str, mask: str = "") -> str:
    """A value, perhaps addresses separated by commas, with this in the place of a name and a
    password in them."""
    return _USER.sub(lambda found: found[1] + mask, value)


def with_secrets(table: str, properties: Mapping[str, str]) -> Properties:
    """The properties as a client takes them: what stands in files is read now.

    Args:
        table: the setting that they are of, for errors.

    Raises:
        SettingsError: a file cannot be read, or holds no secret.
    """
    read = Properties()
    for name, value in properties.items():
        stem = secret_in_file(name)
        read[stem or name] = value if stem is None else _read(f"{table}.{name}", value)
    return read


def _read(setting: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            found = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            setting, f"{path} cannot be read ({why})", "name a file that holds the secret alone"
        ) from None
    if len(found) > _MOST_BYTES:
        raise SettingsError(
            setting,
            f"{path} has more than {_MOST_BYTES:,} bytes",
            "name a file that holds the secret alone",
        )
    try:
        text = found.decode()
    except UnicodeDecodeError:
        raise SettingsError(
            setting, f"{path} is not UTF-8", "write the secret as text, and nothing else"
        ) from None
    # Editors and `echo` end a line; no secret ends in a line break.
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or "\0" in text:
        what = "is empty" if not text else "has a NUL in it"
        raise SettingsError(setting, f"{path} {what}", "write the secret into it, as text")
    return text
