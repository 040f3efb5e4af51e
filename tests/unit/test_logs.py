import io
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tensorwire import log_handler
from tensorwire.logs import LOGGERS, configure_logs, finish_logs


class StuckPipe(io.StringIO):
    """Takes no line until it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.is_stuck = threading.Event()
        self.read_at_last = threading.Event()

    def write(self, text: str) -> int:
        self.is_stuck.set()
        assert self.read_at_last.wait(30)
        return super().write(text)


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
    finish_logs()
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
    finish_logs()
    (line,) = map(json.loads, pipe.getvalue().splitlines())
    assert "ValueError: broken" in line["exception"]


def test_a_terminal_gets_readable_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = FakeTerminal()
    configure_logs("auto", "info", terminal)
    logging.getLogger("tensorwire").warning("careful")
    finish_logs()
    line = terminal.getvalue()
    assert line.endswith("careful\n")
    assert "\x1b[33mWARNING\x1b[0m" in line


def test_no_color_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = FakeTerminal()
    configure_logs("auto", "info", terminal)
    logging.getLogger("tensorwire").warning("careful")
    finish_logs()
    assert "\x1b" not in terminal.getvalue()


def test_format_and_level_as_told() -> None:
    stream = io.StringIO()
    configure_logs("text", "warning", stream)
    configure_logs("text", "warning", stream)
    logging.getLogger("tensorwire").info("unimportant")
    logging.getLogger("tensorwire").error("important")
    finish_logs()
    assert stream.getvalue().count("\n") == 1
    assert "important" in stream.getvalue()


def test_nobody_waits_for_a_pipe_that_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines over the queue's size are lost, and counted; the others come in their order."""
    monkeypatch.setattr(log_handler, "QUEUE", 4)
    monkeypatch.setattr(log_handler, "FLUSH_SECONDS", 0.05)
    pipe = StuckPipe()
    configure_logs("json", "info", pipe)
    log = logging.getLogger("tensorwire")
    log.info("line 0")
    # One that the writer has taken out of the queue.
    assert pipe.is_stuck.wait(30)
    for number in range(1, 100):
        log.info("line %d", number)
    finish_logs()
    assert pipe.getvalue() == ""
    pipe.read_at_last.set()
    monkeypatch.setattr(log_handler, "FLUSH_SECONDS", 30.0)
    finish_logs()
    log.info("last", extra={"fields": {"a": 1}})
    finish_logs()
    lines = [json.loads(line) for line in pipe.getvalue().splitlines()]
    assert [line["message"] for line in lines[:-1]] == [f"line {each}" for each in range(5)]
    assert lines[-1]["message"] == "last (95 lines before this one were lost)"
    assert lines[-1]["fields"] == {"a": 1}


def test_every_crate_that_logs_is_ours() -> None:
    crates = Path(__file__).parents[2] / "crates"
    names = {folder.name for folder in crates.iterdir() if (folder / "Cargo.toml").is_file()}
    # Its library is called _core.
    assert names - {"python"} <= set(LOGGERS)
