"""Request and Answer: what the admin port is asked and what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson


@dataclass(frozen=True, slots=True)
class Request:
    """A GET or HEAD that was let in.

    Attributes:
        path: decoded, without the query.
        query: the values of each parameter, in their order.
        headers: by name in lower case; values of a repeated header are joined with commas.
        authenticated: whether it showed valid credentials, or none are asked for.
    """

    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    authenticated: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A response.

    Attributes:
        body: bytes of the content.
        content_type: value of that header.
        status: code of HTTP, from 200.
        headers: further headers; one of the same name replaces what the server sends with every
            answer, such as `Content-Security-Policy`. Framing stays forbidden.
    """

    body: bytes
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


#: Answers one path. It is called on a thread of the server's, and must be quick.
Page = Callable[[Request], Answer]


def error_answer(status: HTTPStatus, message: str, headers: Mapping[str, str] = {}) -> Answer:
    """An error as JSON."""
    body = orjson.dumps({"status": status.value, "error": message}) + b"\n"
    return Answer(body, "application/json", status.value, headers)
