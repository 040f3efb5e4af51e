"""Reads a file over HTTP as one stream, which goes on where it broke off if the server can
(RFC 9110, 13.1.5 and 14), and begins again if it can't or the file has changed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import re
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from . import checksums
from .blocks import TRIES, Chunk, GaveUp, Part, pause_before
from .http_body import HttpBody
from .listing import RemoteFile
from .troubles import Refused, Torn, is_permanent

if TYPE_CHECKING:
    from fsspec.implementations.http import HTTPFileSystem

CHUNK_BYTES = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
LOOK_SECONDS = 90.0
"""A look takes so long at most: a server that sends byte after byte is not waited for."""

_NO_HEAD = (403, 404, 405, 501)
"""Where only GET is offered, HEAD may be any of these: signed URLs are for one method."""

_Result = TypeVar("_Result")


class HttpReader:
    """Reads over fsspec's HTTP sessions."""

    def __init__(self, filesystem: HTTPFileSystem, chunk: int = CHUNK_BYTES) -> None:
        self._filesystem = filesystem
        self._chunk = chunk

    def look(self, url: str, name: str) -> RemoteFile:
        """What the server says of a file, without reading it."""
        work = asyncio.wait_for(self._look(url, name), LOOK_SECONDS)
        return self._run(work, threading.Event())

    def chunks(self, parts: Sequence[Part], cancelled: threading.Event) -> Iterator[Chunk]:
        """As `BlockReader.chunks`."""
        for part in parts:
            yield from self._chunks_of(part.file, part.start, cancelled)

    def can_resume(self, file: RemoteFile) -> bool:
        """Whether the server can be asked for the rest of exactly this file."""
        return bool(_validator(file.tag))

    def is_exact(self, file: RemoteFile) -> bool:
        """The server means what it says."""
        return True

    def _chunks_of(
        self, file: RemoteFile, position: int, cancelled: threading.Event
    ) -> Iterator[Chunk]:
        failures, furthest = 0, position
        while position != file.size:
            try:
                for chunk in self._stream(file, position, cancelled):
                    position = chunk.offset + len(chunk.data)
                    yield chunk
                if file.size is None:
                    return
                if position < file.size:
                    raise Torn(f"the connection ended after {position} of {file.size} bytes")
            except Exception as error:
                if isinstance(error, GaveUp) or is_permanent(error):
                    raise
                # Only tries that bring nothing new are counted.
                failures = 1 if position > furthest else failures + 1
                furthest = max(furthest, position)
                if failures == TRIES:
                    raise
                if cancelled.wait(pause_before(failures)):
                    raise GaveUp from error

    def _stream(
        self, file: RemoteFile, position: int, cancelled: threading.Event
    ) -> Iterator[Chunk]:
        reply, body = self._run(self._begin(file, position), cancelled)
        try:
            position = _offset(file, reply, position)
            while data := self._run(body.take(), cancelled):
                if file.size is not None and position + len(data) > file.size:
                    raise Refused(f"more came than the {file.size} bytes it said")
                yield Chunk(file, position, data)
                position += len(data)
        finally:
            self._filesystem.loop.call_soon_threadsafe(body.close)

    async def _begin(self, file: RemoteFile, position: int) -> tuple[Any, HttpBody]:
        headers = {**self._filesystem.kwargs.get("headers", {})}
        # What can't be asked for the rest of comes whole again: of unknown size is what may
        # have been compressed for the way, and ranges are of what is sent.
        if position and file.size is not None and _validator(file.tag):
            headers["Range"] = f"bytes={position}-"
            headers["If-Range"] = _validator(file.tag)
        session = await self._filesystem.set_session()
        reply = await session.get(self._filesystem.encode_url(file.path), headers=headers)
        _check_status(reply)
        return reply, HttpBody(reply, self._chunk)

    async def _look(self, url: str, name: str) -> RemoteFile:
        session = await self._filesystem.set_session()
        headers = {**self._filesystem.kwargs.get("headers", {})}
        target = self._filesystem.encode_url(url)
        reply = await session.head(target, headers=headers, allow_redirects=True)
        reply.close()
        # A length of 0 is what some say who make no body for HEAD.
        if reply.status in _NO_HEAD or reply.content_length == 0:
            reply = await session.get(target, headers=headers)
            reply.close()
        _check_status(reply)
        size = reply.content_length if _is_plain(reply.headers) else None
        tag = "|".join(reply.headers.get(name, "") for name in ("ETag", "Last-Modified"))
        tag = "" if tag == "|" else tag
        return RemoteFile(url, name, size, tag, checksums.of_headers(reply.headers))

    def _run(self, work: Coroutine[Any, Any, _Result], cancelled: threading.Event) -> _Result:
        future = asyncio.run_coroutine_threadsafe(work, self._filesystem.loop)
        while not concurrent.futures.wait([future], timeout=0.1).done:
            if cancelled.is_set():
                future.cancel()
                raise GaveUp
        return future.result()


def _validator(tag: str) -> str:
    """What If-Range may have: a strong etag, else a date."""
    etag, _, modified = tag.partition("|")
    return etag if etag.startswith('"') else modified


def _offset(file: RemoteFile, reply: Any, asked: int) -> int:
    """Where the reply begins."""
    if reply.status != 206:
        return 0
    match = _CONTENT_RANGE.fullmatch(reply.headers.get("Content-Range", "").strip())
    if match is None or int(match[1]) != asked or match[2] not in (str(file.size), "*"):
        raise Refused("the server sent another range than it was asked for")
    return asked


def _check_status(reply: Any) -> None:
    if reply.status in (200, 206):
        return
    reply.close()
    text = f"the server answered {reply.status} {reply.reason or ''}".strip()
    if reply.status in (404, 410):
        raise FileNotFoundError(text)
    if reply.status in (401, 403, 407):
        raise PermissionError(text)
    if reply.status in (408, 425, 429) or reply.status >= 500:
        raise Torn(text)
    raise Refused(text)


def _is_plain(headers: Mapping[str, str]) -> bool:
    """The length is that of the file, not of what was made of it for the way."""
    return headers.get("Content-Encoding", "identity").lower() in ("", "identity")
