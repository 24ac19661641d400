"""Logs: sends every line, ours and the libraries', through one formatter to standard error.

Whatever a message, a broker or a registry has put into a line, it stays one line and moves no
terminal. A traceback is indented, so that none of its lines passes for one of the log.
"""

from __future__ import annotations

import json
import logging
import sys
import textwrap
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from consumer.contracts.safe_streams import styled
from consumer.contracts.safe_text import safe, safe_json

#: Libraries that install a handler of their own when they are first imported.
_LIBRARIES_WITH_HANDLERS = ("transformers", "huggingface_hub")

#: Libraries that log each request or lock at `info`; that is detail for `debug` here.
_CHATTY_LIBRARIES = ("httpx", "httpx2", "httpcore", "httpcore2", "urllib3", "filelock")


def configure_logging(
    format: str, level: str, stream: TextIO | None = None, *, worker: int | None = None
) -> None:
    """Send all logging, structlog's and the standard library's, to one stream.

    Replaces what an earlier call set up. A JSON line holds `timestamp` (ISO 8601, UTC), `level`,
    `logger`, `event`, the fields of the call and, with an exception, its traceback as the string
    `exception`.

    Args:
        format: `json`, `console`, or `auto`, which is `console` on a terminal and else `json`.
        level: `debug`, `info`, `warning` or `error`.
        stream: where to; standard error by default. Standard output is kept for results.
        worker: number of this one among those of a supervisor; each line then has it.
    """
    # Made safe here, so that the colours stay.
    stream = styled(sys.stderr) if stream is None else stream
    if format == "auto":
        format = "console" if stream.isatty() else "json"

    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                *_shared_processors(),
                structlog.stdlib.ExtraAdder(),
                *_numbered(worker),
            ],
            processors=_final_processors(format, colors=stream.isatty()),
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _CHATTY_LIBRARIES:
        quiet = logging.DEBUG if level == "debug" else logging.WARNING
        logging.getLogger(name).setLevel(quiet)
    adopt_library_loggers()
    logging.captureWarnings(True)

    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            *_shared_processors(),
            *_numbered(worker),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # So that loggers which were used before follow a later call, as in tests.
        cache_logger_on_first_use=False,
    )


def adopt_library_loggers() -> None:
    """Take the handlers off the libraries that bring their own, so that their lines come here.

    They add these handlers when they are first imported; call this again after that.
    """
    for name in _LIBRARIES_WITH_HANDLERS:
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            logger.removeHandler(handler)
        logger.propagate = True


def _shared_processors() -> list[Processor]:
    return [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _numbered(worker: int | None) -> list[Processor]:
    if worker is None:
        return []

    def add(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        del logger, method
        event["worker"] = worker
        return event

    return [add]


def _final_processors(format: str, colors: bool) -> list[Processor]:
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if format == "console":
        # Tracebacks without local variables: those hold whole articles and secrets.
        renderer = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback
        )
        return [remove_meta, structlog.processors.format_exc_info, _made_safe, renderer]
    return [
        remove_meta,
        structlog.processors.format_exc_info,
        _in_order,
        structlog.processors.JSONRenderer(serializer=_to_json),
    ]


def _in_order(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Put first what every line has; take line breaks off the end of a message."""
    del logger, method
    first = {
        name: event.pop(name)
        for name in ("timestamp", "level", "logger", "worker")
        if name in event
    }
    return {**first, "event": str(event.pop("event", "")).strip(), **event}


def _made_safe(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Escape in what a person reads whatever could do something to a terminal or begin a line."""
    del logger, method
    blocks = {
        name: textwrap.indent(safe(str(event.pop(name)), lines=True), "    ")
        for name in ("exception", "stack")
        if event.get(name)
    }
    event["event"] = str(event.pop("event", "")).strip()
    return {safe(str(name)): _safe_value(value) for name, value in event.items()} | blocks


def _safe_value(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return safe(value if isinstance(value, str) else repr(value))


def _to_json(event: EventDict, **_: Any) -> str:
    try:
        written = orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # Lone surrogates and integers over 64 bits, which may come from a message.
        written = json.dumps(event, default=repr, skipkeys=True)
    return safe_json(written)
