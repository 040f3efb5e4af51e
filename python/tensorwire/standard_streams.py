"""Standard input, output and error of a process of ours, whatever it was started with."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
import time
from typing import NoReturn

from .logs import finish_logs

FLUSH_SECONDS = 2.0
"""How long the end of a process waits for whoever reads what it has written."""

_NAMES = ("stdin", "stdout", "stderr")


def prepare_streams() -> None:
    """Opens those that are closed, to nowhere: else the next socket or file gets their number,
    and what TensorFlow prints. What a stream's encoding lacks is then shown as `\\xff`, and
    is no error."""
    for number, name in enumerate(_NAMES):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def end_process(status: int) -> NoReturn:
    """Ends it at once: an ordinary exit would wait for loads and runs that can't be
    interrupted, and for a pipe that nobody reads."""
    end = time.monotonic() + FLUSH_SECONDS
    # Side by side: where nobody reads one, the other is written all the same.
    flushes = [threading.Thread(target=each, daemon=True) for each in (_flush_out, _flush_error)]
    for flush in flushes:
        flush.start()
    for flush in flushes:
        flush.join(max(0.0, end - time.monotonic()))
    os._exit(status)


def _flush_out() -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()


def _flush_error() -> None:
    finish_logs()
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
