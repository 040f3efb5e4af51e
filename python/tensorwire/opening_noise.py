"""Keeps TensorFlow's library quiet while it is opened: what it logs then ignores the
level that `TF_CPP_MIN_LOG_LEVEL` sets for all that it logs later.
"""

from __future__ import annotations

import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_LINE = re.compile(rb"([IWEF])\d{4} \d\d:\d\d:")
_SEVERITIES = {b"I": 0, b"W": 1, b"E": 2, b"F": 3}
_PREFACE = b"WARNING: All log messages before absl::InitializeLog() is called"
_lock = threading.Lock()


@contextmanager
def opening_noise_filtered() -> Iterator[None]:
    """Holds back what is written to standard error, by anybody, and writes it at the end
    of the block, without those of TensorFlow's lines that are below its level."""
    with _lock, tempfile.TemporaryFile() as held:
        try:
            stderr = os.dup(_STDERR)
        except OSError:
            # There is no standard error to keep clean.
            yield
            return
        os.dup2(held.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(stderr, _STDERR)
            os.close(stderr)
            held.seek(0)
            kept = b"".join(line for line in held.readlines() if _is_wanted(line))
            if kept:
                os.write(_STDERR, kept)


def _is_wanted(line: bytes) -> bool:
    if line.startswith(_PREFACE):
        return False
    match = _LINE.match(line)
    return match is None or _SEVERITIES[match[1]] >= _least_severity()


def _least_severity() -> int:
    try:
        return int(os.environ.get("TF_CPP_MIN_LOG_LEVEL", "0"))
    except ValueError:
        return 0
