"""Log lines of a server process, on standard error: for people on a terminal, else one
JSON object a line. Only programs that own their process call this; as a library,
TensorWire logs to the logger `tensorwire` and leaves the rest to its user.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from typing import Any, TextIO

from .log_handler import UnhurriedHandler

LOGGERS = (
    "tensorwire",
    "_core",
    "client",
    "engine",
    "frontend",
    "request_log",
    "tensor",
    "tensorflow",
    "wire",
)
"""Ours: the package's and those of the core's crates, by which Rust's lines arrive."""

_COLOURS = {"DEBUG": "2", "INFO": "32", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (UTC, ISO 8601), `level`, `logger`, `message`, then
    `fields` (what the line was given as `extra={"fields": {...}}`) and `exception` (a
    traceback) where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if fields:
            line["fields"] = fields
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """`12:30:05 INFO    message`, the level in colour if asked for."""

    def __init__(self, *, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; an exception's traceback goes on further lines."""
        level = f"{record.levelname:<7}"
        if self._coloured and record.levelname in _COLOURS:
            level = f"\x1b[{_COLOURS[record.levelname]}m{level}\x1b[0m"
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{clock} {level} {record.getMessage()}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def configure_logs(log_format: str, log_level: str, stream: TextIO | None = None) -> None:
    """Sends our loggers' lines of at least `log_level` to `stream` (standard error).

    `log_format`: "text", "json", or "auto" for text exactly if it is a terminal.
    Calling it again replaces what it did before. No thread that logs waits for the stream.
    """
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    handler = UnhurriedHandler(stream)
    if log_format == "json" or (log_format == "auto" and not terminal):
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(TextFormatter(coloured=terminal and "NO_COLOR" not in os.environ))
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(log_level.upper())


def finish_logs() -> None:
    """Has the lines so far written, if their stream takes them soon."""
    for handler in logging.getLogger(LOGGERS[0]).handlers:
        handler.flush()
