"""The demo's server: `tensorwire serve` as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tensorwire.client import Client
from tensorwire.errors import TensorWireError

START_TIMEOUT_SECONDS = 120.0
"""Long enough for TensorFlow's libraries to be read from a cold disk."""

SERVING = "SERVING"
STOP_TIMEOUT_SECONDS = 40.0
"""Longer than the server's own grace of 30 s."""


class ServerProcess:
    """A server for one model on a free port; what of it is left at the end of the `with`
    block is killed."""

    def __init__(self, model: Path) -> None:
        self._model = model
        self._folder = tempfile.TemporaryDirectory(prefix="tensorwire-demo-")
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""
        """host:port, once it runs."""

    def __enter__(self) -> ServerProcess:
        """Itself, not yet started."""
        return self

    def start(self) -> None:
        """Starts it and waits until its health is good: it has loaded its model.

        Raises TensorWireError if it ends before, or takes too long.
        """
        ready_file = self.folder / "ready.json"
        command = [sys.executable, "-m", "tensorwire", "serve", str(self._model)]
        command += ["--port", "0", "--ready-file", str(ready_file), "--log-format", "text"]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 (our own command)
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + START_TIMEOUT_SECONDS
        while not ready_file.is_file():
            self._check(end)
        ready: dict[str, Any] = json.loads(ready_file.read_text())
        self.address = str(ready["address"])
        with Client(self.address, timeout=5.0) as client:
            while client.health() != SERVING:
                self._check(end)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends it, whatever state it is in."""
        self._end()

    @property
    def folder(self) -> Path:
        """A folder that goes when the server goes."""
        return Path(self._folder.name)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._running().pid

    def stop(self) -> int:
        """Sends SIGTERM and waits. The exit status."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise TensorWireError(
                f"the server did not stop within {STOP_TIMEOUT_SECONDS:.0f} s of SIGTERM"
            ) from None

    def last_words(self) -> str:
        """The last line it printed."""
        lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise TensorWireError("the server was not started")
        return self._process

    def _check(self, end: float) -> None:
        """Waits a little; raises if it has ended or the time has passed."""
        status = self._running().poll()
        if status is not None:
            raise TensorWireError(f"the server ended with status {status}: {self.last_words()}")
        if time.monotonic() > end:
            raise TensorWireError(f"the server was not ready within {START_TIMEOUT_SECONDS:.0f} s")
        time.sleep(0.02)

    def _end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()
