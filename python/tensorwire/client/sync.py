"""The client that waits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tensorwire._core import NativeError, Request
from tensorwire.errors import errors_about, from_native
from tensorwire.signature import ModelMetadata, ModelStatus
from tensorwire.tensors import Strings

from .base import BaseClient, ShortCall
from .operations import Choice, Operation, Pause
from .settings import UNSET, CallSettings, Metadata, Unsettable

if TYPE_CHECKING:
    from typing_extensions import Self

_T = TypeVar("_T")


class Client(BaseClient):
    """Calls servers and waits for their answers.

        with tensorwire.Client("localhost:50051") as client:
            outputs = client.predict("mnist", {"image": images}, timeout=0.5)

    Use it as a context manager, or `close` it. `BaseClient` documents the settings.

    Every method takes `timeout` (seconds for all of it; None: any time), `metadata` (sent
    along besides the client's own) and `wait_for_ready`; what is left out is the client's.
    All raise a CallError of the kind that fits: DeadlineExceededError, UnavailableError,
    NotFoundError for a model that isn't there, and so on.
    """

    def predict(
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
        """A model's outputs, by name, as arrays of their own memory.

        `inputs`: a mapping of names to values, or one value for a signature with one
        input, or None for a signature that needs none. numpy arrays go as they are, in any
        layout. Lists, ranges, numbers and numpy's scalars become what the signature wants;
        it is asked for once and remembered. Elements of string
        tensors are bytes or str, in arrays of dtype object, S or U.

        `version` or `label`: which version; neither: the newest. `outputs`: the names
        wanted; None: all. `strings`: "bytes" or "str" elements in string outputs.
        bfloat16 outputs need the package ml_dtypes; without it they are float32, which
        holds the same values.

        Raises TensorTypeError for a value that can't become the tensor it should be.
        """
        if label is None and metadata is None and strings is UNSET and wait_for_ready is UNSET:
            request = Request.arrays(model, version, signature, inputs, outputs)
            short = self._short_call(request, timeout)
            if short is not None:
                return self._predict(short, model)
        choice = Choice(model, version, label, signature, outputs)
        call = CallSettings(timeout, metadata, wait_for_ready)
        return self._run(self._operations.predict(choice, inputs, call, strings), model)

    def predict_text(
        self,
        text: str,
        *,
        model: str | None = None,
        timeout: float | Unsettable | None = UNSET,
        metadata: Metadata | None = None,
        wait_for_ready: bool | Unsettable = UNSET,
    ) -> str:
        """The text service's answer; `model` None: the server's default.

        Raises PredictionError if the answer is an error message.
        """
        call = CallSettings(timeout, metadata, wait_for_ready)
        return self._run(self._operations.predict_text(text, model, call), model)

    def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | Unsettable | None = UNSET,
        metadata: Metadata | None = None,
        wait_for_ready: bool | Unsettable = UNSET,
    ) -> ModelMetadata:
        """A model's signatures; without `version` and `label` the newest version's."""
        call = CallSettings(timeout, metadata, wait_for_ready)
        return self._run(self._operations.metadata(Choice(model, version, label), call), model)

    def status(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | Unsettable | None = UNSET,
        metadata: Metadata | None = None,
        wait_for_ready: bool | Unsettable = UNSET,
    ) -> ModelStatus:
        """The states of a model's versions, or of the one meant."""
        call = CallSettings(timeout, metadata, wait_for_ready)
        return self._run(self._operations.status(Choice(model, version, label), call), model)

    def models(
        self,
        *,
        timeout: float | Unsettable | None = UNSET,
        metadata: Metadata | None = None,
        wait_for_ready: bool | Unsettable = UNSET,
    ) -> list[ModelStatus]:
        """All of the server's models and the states of their versions, by name.

        Raises UnimplementedError for a server that can't list them (TensorFlow Serving).
        """
        call = CallSettings(timeout, metadata, wait_for_ready)
        return self._run(self._operations.models(call))

    def health(
        self,
        service: str = "",
        *,
        timeout: float | Unsettable | None = UNSET,
        metadata: Metadata | None = None,
        wait_for_ready: bool | Unsettable = UNSET,
    ) -> str:
        """ "SERVING", "NOT_SERVING", "UNKNOWN" or "SERVICE_UNKNOWN", of the whole server,
        or of the service or model of this name."""
        call = CallSettings(timeout, metadata, wait_for_ready)
        return self._run(self._operations.health(service, call), service)

    def wait_until_ready(self, timeout: float | None, model: str | None = None) -> None:
        """Waits until the server, or one model of it, serves, whatever happens meanwhile.

        Raises DeadlineExceededError if it doesn't within `timeout` seconds (None: no end).
        """
        self._run(self._operations.wait_until_ready(timeout, model), model)

    def close(self) -> None:
        """Ends calls under way with CancelledError and closes the connections."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _predict(self, call: ShortCall, model: str) -> dict[str, np.ndarray[Any, Any]]:
        try:
            reply = self._channel.call(*call)
        except NativeError as error:
            failed = self._short_failure(error, model)
        else:
            return self._short_outputs(reply, model)
        raise failed

    def _run(self, operation: Operation[_T], model: object = None) -> _T:
        with errors_about(model, self._target):
            return self._drive(operation)

    def _drive(self, operation: Operation[_T]) -> _T:
        try:
            move = next(operation)
            while True:
                if isinstance(move, Pause):
                    time.sleep(move.seconds)
                    move = operation.send(None)
                    continue
                failed = None
                try:
                    reply = self._channel.call(
                        move.request, move.timeout, move.metadata, move.wait_for_ready
                    )
                except NativeError as error:
                    failed = from_native(error, model=move.model)
                move = operation.throw(failed) if failed else operation.send(reply)
        except StopIteration as done:
            value: _T = done.value
            return value
