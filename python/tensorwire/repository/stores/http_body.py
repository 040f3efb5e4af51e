"""The body of an HTTP reply, taken off the connection as it comes: what aiohttp has not handed
over when a connection breaks, it forgets."""

from __future__ import annotations

import asyncio
from typing import Any


class HttpBody:
    """Reads ahead, but not more than twice what is taken at once. Made and used in the
    event loop of its reply."""

    def __init__(self, reply: Any, chunk: int) -> None:
        self._reply = reply
        self._chunk = chunk
        self._data = bytearray()
        self._error: Exception | None = None
        self._ended = False
        self._changed = asyncio.Condition()
        self._filling = asyncio.create_task(self._fill())

    async def take(self) -> bytes:
        """The next bytes, as many as are taken at once; fewer before the end, none at it, or
        what broke the connection."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended or len(self._data) >= self._chunk)
            taken = bytes(self._data[: self._chunk])
            del self._data[: self._chunk]
            self._changed.notify_all()
        if not taken and self._error is not None:
            raise self._error
        return taken

    def close(self) -> None:
        """Ends the connection: for another request, what is left would have to be read."""
        self._filling.cancel()
        self._reply.close()

    async def _fill(self) -> None:
        try:
            while more := await self._reply.content.readany():
                async with self._changed:
                    self._data += more
                    self._changed.notify_all()
                    await self._changed.wait_for(lambda: len(self._data) < 2 * self._chunk)
        except Exception as error:  # Told to whoever takes the last of what came before it.
            self._error = error
        async with self._changed:
            self._ended = True
            self._changed.notify_all()
