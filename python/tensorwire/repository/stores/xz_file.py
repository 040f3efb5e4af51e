"""An xz file, whose dictionary takes as much of the memory as the file says."""

from __future__ import annotations

import lzma
from pathlib import Path
from types import TracebackType

MAX_MEMORY_BYTES = 256 << 20
"""To decompress a file; those of `xz -9` ask for 65 MiB."""

_PIECE = 1 << 18


class XzFile:
    """Reads as `lzma.open` does, but raises LZMAError for a file that asks for much memory."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._decoder = _decoder()

    def read(self, size: int) -> bytes:
        """At most so many bytes; none: the end."""
        while True:
            data = b""
            if self._decoder.eof:
                data = self._next_stream()
                if not data:
                    return b""
                self._decoder = _decoder()
            elif self._decoder.needs_input:
                data = self._file.read(_PIECE)
                if not data:
                    raise EOFError("it ends in the middle")
            made = self._decoder.decompress(data, size)
            if made:
                return made

    def _next_stream(self) -> bytes:
        """The beginning of another one: zeros may be between them."""
        data = self._decoder.unused_data.lstrip(b"\0")
        while not data and (more := self._file.read(_PIECE)):
            data = more.lstrip(b"\0")
        return data

    def __enter__(self) -> XzFile:
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it."""
        self._file.close()


def _decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_MEMORY_BYTES)
