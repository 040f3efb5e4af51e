import io
import json
import logging
from collections.abc import Iterator

import pytest

from tensorwire.logs import LOGGERS, configure_logs


class FakeTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored_loggers() -> Iterator[None]:
    yield
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.NOTSET)


def test_a_pipe_gets_json_lines() -> None:
    pipe = io.StringIO()
    configure_logs("auto", "info", pipe)
    logging.getLogger("tensorwire.server").info(
        "listening on %s", "host:1", extra={"fields": {"address": "host:1"}}
    )
    logging.getLogger("engine.registry").warning("two\nlines")
    first, second = map(json.loads, pipe.getvalue().splitlines())
    assert first["message"] == "listening on host:1"
    assert first["level"] == "INFO"
    assert first["logger"] == "tensorwire.server"
    assert first["fields"] == {"address": "host:1"}
    assert first["time"].endswith("Z")
    assert second["message"] == "two\nlines"
    assert "fields" not in second


def test_an_exception_is_part_of_its_line() -> None:
    pipe = io.StringIO()
    configure_logs("json", "error", pipe)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("tensorwire").exception("failed")
    (line,) = map(json.loads, pipe.getvalue().splitlines())
    assert "ValueError: broken" in line["exception"]


def test_a_terminal_gets_readable_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = FakeTerminal()
    configure_logs("auto", "info", terminal)
    logging.getLogger("tensorwire").warning("careful")
    line = terminal.getvalue()
    assert line.endswith("careful\n")
    assert "\x1b[33mWARNING\x1b[0m" in line


def test_no_color_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = FakeTerminal()
    configure_logs("auto", "info", terminal)
    logging.getLogger("tensorwire").warning("careful")
    assert "\x1b" not in terminal.getvalue()


def test_format_and_level_as_told() -> None:
    stream = io.StringIO()
    configure_logs("text", "warning", stream)
    configure_logs("text", "warning", stream)
    logging.getLogger("tensorwire").info("unimportant")
    logging.getLogger("tensorwire").error("important")
    assert stream.getvalue().count("\n") == 1
    assert "important" in stream.getvalue()
