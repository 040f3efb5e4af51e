"""The client that is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tensorwire._core import Inbox, NativeError, Request
from tensorwire.errors import errors_about, from_native
from tensorwire.signature import ModelMetadata, ModelStatus
from tensorwire.tensors import Strings

from .base import BaseClient, ShortCall
from .inboxes import inbox_of
from .operations import Choice, Operation, Pause, Step
from .settings import UNSET, CallSettings, Metadata, Unsettable

if TYPE_CHECKING:
    from typing_extensions import Self

_T = TypeVar("_T")


class AsyncClient(BaseClient):
    """Calls servers from asyncio; hundreds of calls may be under way at once.

        async with tensorwire.AsyncClient("localhost:50051") as client:
            outputs = await client.predict("mnist", {"image": images}, timeout=0.5)

    `BaseClient` documents the settings, `Client` the methods and what they raise.
    Cancelling a task cancels its call, and the server is told.
    """

    _latest: tuple[asyncio.AbstractEventLoop, Inbox] | None = None

    async def predict(
        self,
        model: str,
        inputs: Any = None,
        *,
        version: int | None = None,
        label: str | None = None,
        signature: str = "serving_default",
        outputs: Sequence[str] | None = None,
        strings: Strings | Unsettable = UNSET,
        timeout: float | Unsettable | None = UNSET,
        metadata: Metadata | None = None,
        wait_for_ready: bool | Unsettable = UNSET,
    ) -> dict[str, np.ndarray[Any, Any]]:
        """A model's outputs, by name: see `Client.predict`."""
        if label is None and metadata is None and strings is UNSET and wait_for_ready is UNSET:
            request = Request.arrays(model, version, signature, inputs, outputs)
            short = self._short_call(request, timeout)
            if short is not None:
                return await self._predict(short, model)
        choice = Choice(model, version, label, signature, outputs)
        call = CallSettings(timeout, metadata, wait_for_ready)
        return await self._run(self._operations.predict(choice, inputs, call, strings), model)

    async def predict_text(
        self,
        text: str,
        *,
        model: str | None = None,
        timeout: float | Unsettable | None = UNSET,
        metadata: Metadata | None = None,
        wait_for_ready: bool | Unsettable = UNSET,
    ) -> str:
        """The text service's answer: see `Client.predict_text`."""
        call = CallSettings(timeout, metadata, wait_for_ready)
        return await self._run(self._operations.predict_text(text, model, call), model)

    async def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | Unsettable | None = UNSET,
        metadata: Metadata | None = None,
        wait_for_ready: bool | Unsettable = UNSET,
    ) -> ModelMetadata:
        """A model's signatures: see `Client.metadata`."""
        call = CallSettings(timeout, metadata, wait_for_ready)
        return await self._run(
            self._operations.metadata(Choice(model, version, label), call), model
        )

    async def status(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | Unsettable | None = UNSET,
        metadata: Metadata | None = None,
        wait_for_ready: bool | Unsettable = UNSET,
    ) -> ModelStatus:
        """The states of a model's versions: see `Client.status`."""
        call = CallSettings(timeout, metadata, wait_for_ready)
        return await self._run(self._operations.status(Choice(model, version, label), call), model)

    async def models(
        self,
        *,
        timeout: float | Unsettable | None = UNSET,
        metadata: Metadata | None = None,
        wait_for_ready: bool | Unsettable = UNSET,
    ) -> list[ModelStatus]:
        """All of the server's models: see `Client.models`."""
        call = CallSettings(timeout, metadata, wait_for_ready)
        return await self._run(self._operations.models(call))

    async def health(
        self,
        service: str = "",
        *,
        timeout: float | Unsettable | None = UNSET,
        metadata: Metadata | None = None,
        wait_for_ready: bool | Unsettable = UNSET,
    ) -> str:
        """The health of the server, a service or a model: see `Client.health`."""
        call = CallSettings(timeout, metadata, wait_for_ready)
        return await self._run(self._operations.health(service, call), service)

    async def wait_until_ready(self, timeout: float | None, model: str | None = None) -> None:
        """Waits until the server or a model serves: see `Client.wait_until_ready`."""
        await self._run(self._operations.wait_until_ready(timeout, model), model)

    async def close(self) -> None:
        """Ends calls under way with CancelledError and closes the connections."""
        self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def _run(self, operation: Operation[_T], model: object = None) -> _T:
        with errors_about(model, self._target):
            return await self._drive(operation)

    async def _drive(self, operation: Operation[_T]) -> _T:
        try:
            move = next(operation)
            while True:
                if isinstance(move, Pause):
                    await asyncio.sleep(move.seconds)
                    move = operation.send(None)
                    continue
                failed = None
                try:
                    reply = await self._call(move)
                except NativeError as error:
                    failed = from_native(error, model=move.model)
                move = operation.throw(failed) if failed else operation.send(reply)
        except StopIteration as done:
            value: _T = done.value
            return value

    async def _predict(self, short: ShortCall, model: str) -> dict[str, np.ndarray[Any, Any]]:
        loop = asyncio.get_running_loop()
        answer, call = self._inbox(loop).start(loop, self._channel, *short)
        try:
            reply = await answer
        except NativeError as error:
            failed = self._short_failure(error, model)
        except BaseException:
            call.cancel()
            raise
        else:
            return self._short_outputs(reply, model)
        raise failed

    async def _call(self, step: Step) -> Any:
        loop = asyncio.get_running_loop()
        answer, call = self._inbox(loop).start(
            loop, self._channel, step.request, step.timeout, step.metadata, step.wait_for_ready
        )
        try:
            return await answer
        except NativeError:
            raise
        except BaseException:
            call.cancel()
            raise

    def _inbox(self, loop: asyncio.AbstractEventLoop) -> Inbox:
        # Most clients are used in one loop; a look at what was used last costs least.
        latest = self._latest
        if latest is not None and latest[0] is loop:
            return latest[1]
        inbox = inbox_of(loop)
        self._latest = loop, inbox
        return inbox
