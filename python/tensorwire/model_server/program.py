"""The program: its usage text, its version, and a server that starts, fails and ends as
TensorFlow Serving's does, but for the end, which is polite."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from tensorwire import __version__
from tensorwire.config import EngineConfig, LogConfig, ServeConfig, load_part
from tensorwire.errors import TensorWireError
from tensorwire.log_handler import UnhurriedHandler
from tensorwire.logs import configure_logs
from tensorwire.model import open_engine
from tensorwire.repository.model_config import ModelConfig
from tensorwire.running import Watcher
from tensorwire.running import run as run_server
from tensorwire.server import Server
from tensorwire.standard_streams import end_process

from .command_line import CommandLine, read, usage
from .failure import invalid, status_of
from .settings import DEFAULTS, config_of, tell_without_effect

_log = logging.getLogger("tensorwire.model_server")

FAILED = 255
"""Its exit status for everything that goes wrong, -1 in TensorFlow Serving's source."""


def run(arguments: Sequence[str], program: str) -> int:
    """Runs a command line; the usage text calls it `program`. Returns an exit status
    where no server was started; else the process ends with the server."""
    told = _Told()
    status = _run(read(arguments), program, told)
    if not told.finish():
        # An ordinary exit would wait for the one that does not read.
        end_process(status)
    return status


class _Told:
    """What is told on standard output and error. Nobody waits for who does not read it, but
    the end of the process for a moment."""

    def __init__(self) -> None:
        self._out, self._err = UnhurriedHandler(sys.stdout), UnhurriedHandler(sys.stderr)

    def say(self, text: str) -> None:
        """Lines for standard output."""
        self._out.emit(logging.makeLogRecord({"msg": text}))

    def complain(self, text: str) -> None:
        """Lines for standard error."""
        self._err.emit(logging.makeLogRecord({"msg": text}))

    def failed(self, status: str, reason: str) -> int:
        """Why there is no server; the exit status."""
        self.say(f"Failed to start server. Error: {status}: {reason}")
        return FAILED

    def finish(self) -> bool:
        """Has it written, if it is read soon; False: it was not."""
        for each in (self._err, self._out):
            each.flush()
        return self._err.is_done and self._out.is_done


def _run(line: CommandLine, program: str, told: _Told) -> int:
    if line.wants_usage:
        for fault in line.faults:
            told.complain(fault)
        told.say(usage(program).rstrip("\n"))
        return FAILED
    try:
        if line.is_on("version"):
            told.say(_versions())
            return 0
        for argument in line.unknown:
            told.say(f"unknown argument: {argument}")
        if line.unknown:
            told.say(usage(program).rstrip("\n"))
        _serve(line, told)
    except TensorWireError as error:
        return told.failed(status_of(error), str(error))
    except OSError as error:
        return told.failed("UNKNOWN", str(error))
    except Exception as error:  # A fault of ours still ends in one line.
        return told.failed("INTERNAL", f"{type(error).__name__}: {error}")


def _serve(line: CommandLine, told: _Told) -> NoReturn:
    # Before the flags are looked at: what has no effect is told in the log.
    logs = load_part(LogConfig, defaults=DEFAULTS)
    configure_logs(logs.log_format, logs.log_level)
    config = config_of(line)
    tell_without_effect(line)
    server = Server.from_config(_models(line, config), config)
    try:
        run_server(server, _Teller())
    except TensorWireError as error:
        status = told.failed(status_of(error), str(error))
        told.finish()
        end_process(status)
    end_process(0)


def _models(line: CommandLine, config: ServeConfig) -> list[ModelConfig]:
    """The one model of the flags, where no file lists others."""
    if config.lifecycle.model_config_file is not None:
        return []
    if not line.text("model_name").strip():
        raise invalid("--model_name can't be empty")
    return [ModelConfig(line.text("model_name"), line.text("model_base_path"))]


class _Teller(Watcher):
    """Says that it serves, in the words that tools wait for."""

    def listening(self, server: Server) -> None:
        rest = server.config.listener.rest_port
        if rest is not None and all(place.kind != "rest_port" for place in server.places):
            # As there: gRPC is served all the same. Why is in the line before.
            _log.error("Failed to start HTTP Server at localhost:%d", rest)
        for place in server.places:
            if place.kind == "rest_port":
                # Whatever address it is at, as there.
                _log.info("Exporting HTTP/REST API at:localhost:%d ...", place.port)
                _log.info("Entering the event loop ...")
            elif place.kind == "unix_socket":
                _log.info("Running gRPC ModelServer at UNIX socket %s ...", place.bound)
            else:
                _log.info("Running gRPC ModelServer at %s ...", place.bound)


def _versions() -> str:
    version = open_engine(load_part(EngineConfig, defaults=DEFAULTS)).tensorflow_version
    return f"TensorFlow ModelServer: {__version__}+tensorwire\nTensorFlow Library: {version}"
