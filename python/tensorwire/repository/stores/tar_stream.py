"""The plain tar file inside of an archive, read with an eye on its headers: tarfile reads them
into memory however large they are, and takes a damaged one for the end.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO, Any

MAX_HEADER_BYTES = 1 << 20
"""Of what comes before a member's content: long names and extended attributes too."""

_BLOCK = 512
_BUFFER = 64 << 10


class TarStream:
    """Read once, from its beginning to its end."""

    def __init__(self, plain: Any, *, must_end: bool) -> None:
        """`plain`: read from; `must_end`: nothing but its own end tells that it is whole."""
        self._plain = plain
        self._must_end = must_end
        self._position = 0
        self._recent = b""
        self._left = 0
        self._allow(0)

    def members(self) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """Each with its content, if it is a file, to be read before the next is asked for.

        Raises tarfile.TarError, and what `plain` does, for a broken one.
        """
        with tarfile.open(fileobj=self, mode="r|", bufsize=_BUFFER) as tar:  # type: ignore[call-overload]
            while (member := tar.next()) is not None:
                # Else all of them are kept.
                tar.members.clear()
                if member.size < 0:
                    raise tarfile.ReadError(f"{member.name!r} has {member.size} bytes")
                self._allow(member.size)
                yield member, tar.extractfile(member) if member.isreg() else None
                self._allow(0)
            self._check_end(tar.offset)

    def read(self, size: int) -> bytes:
        """For tarfile."""
        data: bytes = self._plain.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise tarfile.ReadError(f"a header in it takes more than {MAX_HEADER_BYTES} bytes")
        self._position += len(data)
        self._recent = (self._recent + data)[-_BUFFER - _BLOCK :]
        return data

    def _allow(self, content: int) -> None:
        self._left = content + MAX_HEADER_BYTES + 2 * _BUFFER

    def _check_end(self, offset: int) -> None:
        """What tarfile took for the end must be one: a block of zeros."""
        start = offset - (self._position - len(self._recent))
        block = self._recent[start : start + _BLOCK]
        if any(block):
            raise tarfile.ReadError(f"what is at byte {offset} is no header")
        if self._must_end and len(block) < _BLOCK:
            raise tarfile.ReadError("its end is missing")
