"""Site: which page answers a request, who may see it, and the headers of every answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit

from consumer.telemetry.admin.credentials import Credentials
from consumer.telemetry.admin.messages import Answer, Page, Request, error_answer
from consumer.telemetry.admin.pages import PROBES

#: Headers of one request.
MOST_HEADERS = 64

#: Parameters of one query.
_MOST_PARAMETERS = 64

#: Characters of a path that are said again.
_MOST_SHOWN = 200

_ALLOWED = {"GET", "HEAD"}

#: No page of ours loads anything from elsewhere, none is shown inside another's, and none tells
#: another where its reader came from.
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}

#: These no page may change.
_ALWAYS = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}

#: Added to every policy that does not speak of it. None of them follows from `default-src`.
_POLICIES = {"base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose answer a page must make.

    Attributes:
        is_probe: an orchestrator asks; it goes before all others.
    """

    page: Page
    request: Request
    is_probe: bool


class Site:
    """The pages, and the rules that hold for each.

    Args:
        pages: by path.
        credentials: gives those that are valid now; None lets everybody in.
        refused: told of a request with wrong credentials.
    """

    def __init__(
        self,
        pages: Mapping[str, Page],
        credentials: Callable[[], Credentials] | None = None,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        self._pages = dict(pages)
        self._credentials = credentials
        self._refused = refused

    def decide(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        *,
        has_body: bool = False,
    ) -> Asked | Answer:
        """What to do with a request; an `Answer` is an error, after which the connection ends.

        Args:
            target: of the request line.
            headers: names in lower case, with values.
        """
        if method not in _ALLOWED:
            return error_answer(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{method} is not allowed; use GET",
                {"Allow": "GET, HEAD"},
            )
        if has_body:
            return error_answer(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a request has no content here"
            )
        if len(headers) > MOST_HEADERS:
            return error_answer(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the request has more than {MOST_HEADERS} headers",
            )
        by_name = _joined(headers)
        path, query = _parts(target)
        is_probe = path in PROBES
        authenticated = self._admits(by_name.get("authorization", ""))
        if not authenticated and not is_probe:
            return self._unauthorized("authorization" in by_name)
        page = self._pages.get(path)
        if page is None:
            return error_answer(
                HTTPStatus.NOT_FOUND, f"there is no {path[:_MOST_SHOWN]} here; see /"
            )
        try:
            values = parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
        except ValueError:
            return error_answer(
                HTTPStatus.BAD_REQUEST, f"the query has more than {_MOST_PARAMETERS} parameters"
            )
        return Asked(page, Request(path, values, by_name, authenticated), is_probe)

    def _admits(self, authorization: str) -> bool:
        if self._credentials is None:
            return True
        return bool(authorization) and self._credentials().admit(authorization)

    def _unauthorized(self, were_given: bool) -> Answer:
        assert self._credentials is not None
        if were_given:
            self._refused()
        message = "the credentials are not valid" if were_given else "credentials are needed"
        challenges = ", ".join(self._credentials().challenges)
        return error_answer(HTTPStatus.UNAUTHORIZED, message, {"WWW-Authenticate": challenges})


def headers_of(answer: Answer) -> list[tuple[str, str]]:
    """All headers of an answer but those that frame it.

    A page may send a policy of its own; it may not have itself shown in a frame.
    """
    merged = {name.lower(): (name, value) for name, value in _HEADERS.items()}
    merged |= {name.lower(): (name, value) for name, value in answer.headers.items()}
    merged |= {name.lower(): (name, value) for name, value in _ALWAYS.items()}
    policy, value = merged["content-security-policy"]
    merged["content-security-policy"] = (policy, _with_policies(value))
    return [
        ("Content-Type", answer.content_type),
        ("Content-Length", str(len(answer.body))),
        *merged.values(),
    ]


def _with_policies(policy: str) -> str:
    parts = [part.strip() for part in policy.split(";") if part.strip()]
    kept = [part for part in parts if part.split()[0].lower() != "frame-ancestors"]
    named = {part.split()[0].lower() for part in kept}
    added = [f"{name} {value}" for name, value in _POLICIES.items() if name not in named]
    return "; ".join(kept + added)


def _joined(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def _parts(target: str) -> tuple[str, str]:
    """Path and query of a request's target, which a proxy may have written whole."""
    if not target.startswith("/"):
        try:
            whole = urlsplit(target)
        except ValueError:
            return unquote(target), ""
        return unquote(whole.path) or "/", whole.query
    path, _, query = target.partition("?")
    return unquote(path), query
