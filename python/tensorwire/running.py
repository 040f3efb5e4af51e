"""Runs a server until its process is told to stop: `serve`, and what the programs run."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from .repository.naming import Models
from .server import Server
from .stop_signals import StopSignals
from .units import format_duration

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .config import Settings

_log = logging.getLogger("tensorwire.server")


def serve(models: Models | None = None, **settings: Unpack[Settings]) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what is in flight and returns. A
    second signal ends the process at once.

    `models` and the keyword arguments are those of `Server`; where a file given as `config`
    or `model_config_file` lists the models, none need be named. Outside the main thread no
    signal is handled. Where it listens is logged, and in a program that has not set up
    logging, told on standard error.
    """
    run(Server(models, **settings), _Teller())


class Watcher:
    """Is told how far a server that `run` runs has come; this one does nothing."""

    def listening(self, server: Server) -> None:
        """Its port is open; the models are not loaded."""

    def ready(self, server: Server) -> None:
        """Each of its models is served or has failed; where a followed file lists them, all
        of them may have failed, or there may be none yet."""


class _Teller(Watcher):
    """Tells people where a server listens if its log would not."""

    def listening(self, server: Server) -> None:
        if not _log.hasHandlers():
            for place in server.places:
                sys.stderr.write(f"listening on {place.whereabouts}\n")


def run(server: Server, watcher: Watcher | None = None) -> bool:
    """Starts a server and waits for its end, as `serve` does. False: some work did not
    end within the grace, and threads of it may still run."""
    watcher = watcher or Watcher()

    def stop() -> None:
        # Told in a thread of its own: a pipe that nobody reads must not hold up the stop.
        threading.Thread(
            target=_log.info, args=("stopping: finishing what is in flight",), daemon=True
        ).start()
        server.stop()

    with StopSignals(stop):
        try:
            server.listen()
            if server.is_listening:
                _unless_stopping(server, watcher.listening)
                _unless_stopping(server, Server.load)
            else:
                _unless_stopping(server, Server.load)
                _unless_stopping(server, watcher.listening)
            if not server.stopping:
                watcher.ready(server)
            server.wait()
        finally:
            complete = server.stop()
    if not complete:
        # Told here, as the process may end before the thread of the signal gets to it.
        grace = format_duration(server.config.grace)
        _log.warning("what was not finished within the grace of %s was cut off", grace)
    _log.info("stopped")
    return complete


def _unless_stopping(server: Server, action: Callable[[Server], object]) -> None:
    if not server.stopping:
        action(server)
