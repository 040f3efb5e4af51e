"""Reads files of a store in blocks, a few at once, and gives them in their order."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .filesystems import reads_in_parallel
from .listing import RemoteFile
from .troubles import Torn, is_permanent

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

BLOCK_BYTES = 4 << 20
THREADS = 6
TRIES = 5
FIRST_WAIT_SECONDS = 0.2
"""Before the second try of a request; twice as long before each further one."""


@dataclass(frozen=True)
class Part:
    """What is wanted of a file: all from an offset on."""

    file: RemoteFile
    start: int


@dataclass(frozen=True)
class Chunk:
    """Bytes of a file. Those of one file come in order; at offset 0 again, where it has to
    be begun again."""

    file: RemoteFile
    offset: int
    data: bytes


class GaveUp(Exception):
    """The fetch was cancelled."""


class BlockReader:
    """Reads from any filesystem that can read from the middle of a file."""

    def __init__(self, filesystem: AbstractFileSystem, block: int = BLOCK_BYTES) -> None:
        self._filesystem = filesystem
        self._block = block

    def chunks(self, parts: Sequence[Part], cancelled: threading.Event) -> Iterator[Chunk]:
        """All that is wanted, file by file.

        Raises what the filesystem does, GaveUp soon after `cancelled` is set.
        """
        blocks = [block for part in parts for block in self._blocks_of(part)]
        threads = THREADS if reads_in_parallel(self._filesystem) else 1
        ahead = _Ahead(self._filesystem, blocks, min(threads, len(blocks)))
        try:
            yield from ahead.in_order(cancelled)
        finally:
            ahead.close()

    def can_resume(self, file: RemoteFile) -> bool:
        """Whether it can be told that a file is the same still."""
        return bool(file.tag)

    def is_exact(self, file: RemoteFile) -> bool:
        """False where an etag is no MD5 though it looks like one: S3 gives such for what
        it encrypts with keys of KMS or of the customer, and in directory buckets."""
        if not hasattr(self._filesystem, "call_s3"):
            return True
        bucket, key, _ = self._filesystem.split_path(file.path)
        if bucket.endswith("--x-s3"):
            return False
        about = self._filesystem.call_s3("head_object", Bucket=bucket, Key=key)
        by_kms = str(about.get("ServerSideEncryption", "")).startswith("aws:kms")
        return not by_kms and "SSECustomerAlgorithm" not in about

    def _blocks_of(self, part: Part) -> Iterator[_Block]:
        size = part.file.size
        if size is None:
            yield _Block(part.file, 0, None)
            return
        for start in range(part.start, size, self._block):
            yield _Block(part.file, start, min(start + self._block, size))


@dataclass(frozen=True)
class _Block:
    file: RemoteFile
    start: int
    end: int | None
    """None: the end of a file whose size the store does not say."""


class _Ahead:
    """Threads that read blocks before they are asked for, but not too many."""

    def __init__(
        self, filesystem: AbstractFileSystem, blocks: Sequence[_Block], threads: int
    ) -> None:
        self._filesystem = filesystem
        self._blocks = blocks
        self._window = 2 * threads
        self._changed = threading.Condition()
        self._read: dict[int, bytes | BaseException] = {}
        self._begun = 0
        self._given = 0
        self._closed = threading.Event()
        for index in range(threads):
            # Not waited for by anybody: a read that hangs must not hold up an exit.
            threading.Thread(
                target=self._work, name=f"tensorwire-store-{index}", daemon=True
            ).start()

    def in_order(self, cancelled: threading.Event) -> Iterator[Chunk]:
        for index, block in enumerate(self._blocks):
            with self._changed:
                while index not in self._read:
                    if cancelled.is_set():
                        raise GaveUp
                    self._changed.wait(0.1)
                result = self._read.pop(index)
                self._given = index + 1
                self._changed.notify_all()
            if isinstance(result, BaseException):
                raise result
            yield Chunk(block.file, block.start, result)
            if cancelled.is_set():
                raise GaveUp

    def close(self) -> None:
        self._closed.set()
        with self._changed:
            self._read.clear()
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._may_begin)
                if self._closed.is_set() or self._begun >= len(self._blocks):
                    return
                index = self._begun
                self._begun += 1
            try:
                result: bytes | BaseException = self._try_to_read(self._blocks[index])
            except BaseException as error:
                result = error
            with self._changed:
                self._read[index] = result
                self._changed.notify_all()

    def _may_begin(self) -> bool:
        ended = self._closed.is_set() or self._begun >= len(self._blocks)
        return ended or self._begun < self._given + self._window

    def _try_to_read(self, block: _Block) -> bytes:
        for attempt in range(TRIES):
            try:
                return self._read_block(block)
            except Exception as error:
                if is_permanent(error) or attempt + 1 == TRIES:
                    raise
            if self._closed.wait(pause_before(attempt + 1)):
                break
        raise GaveUp

    def _read_block(self, block: _Block) -> bytes:
        data: bytes = self._filesystem.cat_file(block.file.path, start=block.start, end=block.end)
        if block.end is not None and len(data) != block.end - block.start:
            raise Torn(
                f"{len(data)} bytes of {block.file.name} came where "
                f"{block.end - block.start} were asked for"
            )
        return data


def pause_before(attempt: int) -> float:
    """Seconds to wait before the second, third, ... try (1, 2, ...) of a request."""
    longest = FIRST_WAIT_SECONDS * 2.0 ** (attempt - 1)
    # Not all at the same moment: the store may have too much to do.
    return random.uniform(longest / 2, longest)  # noqa: S311 (no secret)
