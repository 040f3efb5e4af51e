"""Log lines written by a thread of their own: nobody who logs waits for a pipe that takes no
more, as nobody does in the core."""

from __future__ import annotations

import contextlib
import copy
import logging
import queue
import threading
from typing import TextIO

QUEUE = 4096
"""Lines that may wait; those beyond are lost, and counted."""

FLUSH_SECONDS = 2.0
"""How long the end of the process waits for the lines before it."""


class UnhurriedHandler(logging.Handler):
    """Writes lines to a stream, in their order, when the stream takes them."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str] = queue.Queue(QUEUE)
        self._lost = 0
        self._writer: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Has the line written. Called by one thread at a time."""
        try:
            line = self.format(self._with_losses(record))
        except Exception:  # As logging does with a line that can't be made.
            self.handleError(record)
            return
        if self._writer is None:
            self._writer = threading.Thread(target=self._write, name="tensorwire-log-lines")
            self._writer.daemon = True
            self._writer.start()
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1
        else:
            self._lost = 0

    def _with_losses(self, record: logging.LogRecord) -> logging.LogRecord:
        if not self._lost:
            return record
        told = copy.copy(record)
        told.msg = f"{record.getMessage()} ({self._lost} lines before this one were lost)"
        told.args = None
        return told

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            # Whoever read them may have gone.
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(line + "\n")
                self._stream.flush()
            self._lines.task_done()

    @property
    def is_done(self) -> bool:
        """All lines so far are written."""
        return not self._lines.unfinished_tasks

    def flush(self) -> None:
        """Waits until the lines so far are written, but not for long."""
        if self._writer is threading.current_thread():
            return
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: self.is_done, FLUSH_SECONDS)
