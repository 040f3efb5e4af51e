"""Locks that processes share: files that are locked, which the system lets go of when a
process ends, however it does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from pathlib import Path

WAIT_SECONDS = 0.1

_TRIES = 1000
"""Of a lock file that is removed each time before it is locked: more than ever happens where
files keep their numbers."""


class FileLock:
    """A lock file that is held, alone or with others, until `close`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    def try_take(cls, path: Path, *, alone: bool) -> FileLock | None:
        """None: others hold it. Makes the file; OSError if that can't be done."""
        mode = (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB
        for _ in range(_TRIES):
            descriptor = _open(path)
            try:
                fcntl.flock(descriptor, mode)
                if _is_still(path, descriptor):
                    return cls(path, descriptor)
            except BlockingIOError:
                os.close(descriptor)
                return None
            except BaseException:
                os.close(descriptor)
                raise
            # It was removed before it was locked: that lock is nobody's now.
            os.close(descriptor)
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    @classmethod
    def take(
        cls, path: Path, cancelled: threading.Event, *, alone: bool = True
    ) -> FileLock | None:
        """Waits for it; None: cancelled."""
        while not cancelled.is_set():
            lock = cls.try_take(path, alone=alone)
            if lock is not None:
                return lock
            cancelled.wait(WAIT_SECONDS)
        return None

    def remove(self) -> None:
        """Removes the file; only by who holds it alone, with what it stands for."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EROFS) or not path.exists():
            raise
    # What a cache holds that may only be read can be held all the same.
    return os.open(path, os.O_RDONLY)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)
