"""What could not be had of a file in a store, and when it is worth another try: else all of a
large archive would be downloaded at every poll, to be refused for the same reason.
"""

from __future__ import annotations

import time

from tensorwire.errors import ModelLoadError

from .cache import TooLargeError
from .unpacking import BadArchiveError

FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 600.0

_LASTING = (BadArchiveError, TooLargeError)
"""The same bytes bring these again, however often they are tried."""


class Setbacks:
    """Of one file, as long as its content is the same."""

    def __init__(self) -> None:
        self._stamp = ""
        self._error: ModelLoadError | None = None
        self._tries = 0
        self._again_at = 0.0

    def check(self, stamp: str) -> None:
        """The error of the last try again, if it is too early for another."""
        if stamp != self._stamp or self._error is None:
            return
        if isinstance(self._error, _LASTING) or time.monotonic() < self._again_at:
            raise type(self._error)(str(self._error))

    def note(self, stamp: str, error: ModelLoadError) -> None:
        """A try has failed."""
        self._tries = self._tries + 1 if stamp == self._stamp else 1
        self._stamp, self._error = stamp, error
        # The exponent is bounded for the sake of the number alone.
        pause = FIRST_PAUSE_SECONDS * 2.0 ** min(self._tries - 1, 30)
        self._again_at = time.monotonic() + min(pause, LONGEST_PAUSE_SECONDS)

    def forget(self) -> None:
        """A try went well."""
        self._error, self._tries = None, 0
