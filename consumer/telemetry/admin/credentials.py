"""Credentials: who may read the admin port, by a password or a token from a file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from pathlib import Path

from consumer.contracts.errors import SettingsError

#: Where the file is named.
SETTING = "admin_credentials_file"

#: Characters of a password or token below which it is refused: such are guessed.
LEAST_CHARACTERS = 12

_MOST_BYTES = 64 * 1024
#: RFC 6750: what a token may be made of.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


class Credentials:
    """Passwords with their users, and tokens. Only digests of them are kept.

    Args:
        lines: each `USER:PASSWORD`, for basic authentication, or a token, for bearer. Empty lines
            and those that begin with `#` are passed over. Several may be valid at once, so that
            one can be replaced without a gap.

    Raises:
        ValueError: a line is no such thing, or there is none; the text names the line by its
            number and shows nothing of it.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self._digests: list[bytes] = []
        self.accepts_basic = self.accepts_bearer = False
        for number, line in enumerate(lines, 1):
            text = line.strip("\r\n")
            if not text.strip() or text.startswith("#"):
                continue
            self._digests.append(_digest(*self._read(number, text)))
        if not self._digests:
            raise ValueError("it holds no credentials")

    @property
    def challenges(self) -> list[str]:
        """Values of `WWW-Authenticate`."""
        basic = ['Basic realm="nerstream", charset="UTF-8"'] if self.accepts_basic else []
        return basic + (['Bearer realm="nerstream"'] if self.accepts_bearer else [])

    def admit(self, authorization: str) -> bool:
        """Whether the value of this `Authorization` header is valid.

        The time that this takes tells nothing of how much of it was right.
        """
        scheme, _, given = authorization.strip().partition(" ")
        digest = _digest(scheme.lower(), _secret(scheme.lower(), given.strip()))
        found = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(found)

    def _read(self, number: int, text: str) -> tuple[str, bytes]:
        user, colon, password = text.partition(":")
        secret = password if colon else text.strip()
        if colon and not user:
            raise ValueError(f"line {number} has a password without a user")
        if len(secret) < LEAST_CHARACTERS:
            raise ValueError(
                f"line {number} is shorter than {LEAST_CHARACTERS} characters and can be guessed"
            )
        if colon:
            self.accepts_basic = True
            return "basic", text.encode()
        if not _TOKEN.fullmatch(secret):
            raise ValueError(
                f"line {number} is no token, which is of letters, digits and -._~+/=, "
                "and no USER:PASSWORD"
            )
        self.accepts_bearer = True
        return "bearer", secret.encode()


def read_credentials(file: Path) -> Credentials:
    """Read them from a file.

    Raises:
        SettingsError: it cannot be read, or holds something else.
    """
    remedy = "write a line USER:PASSWORD or a token, such as of `openssl rand -hex 32`"
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            SETTING, f"{file} cannot be read ({error.strerror})", "name a file that can"
        ) from None
    if len(content) > _MOST_BYTES:
        raise SettingsError(SETTING, f"{file} has more than {_MOST_BYTES:,} bytes", remedy)
    try:
        return Credentials(content.decode("utf-8-sig").splitlines())
    except UnicodeDecodeError:
        raise SettingsError(SETTING, f"{file} is not UTF-8", remedy) from None
    except ValueError as error:
        raise SettingsError(SETTING, f"{file}: {error}", remedy) from None


def _secret(scheme: str, given: str) -> bytes:
    if scheme != "basic":
        return given.encode(errors="replace")
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _digest(scheme: str, secret: bytes) -> bytes:
    return hashlib.sha256(scheme.encode(errors="replace") + b"\0" + secret).digest()
