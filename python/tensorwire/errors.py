"""The exceptions of TensorWire.

TensorWireError
├── ConfigError (ValueError)                  a setting, flag or name can't be used
├── ModelLoadError                            a model can't be read or loaded
├── TensorFlowMissingError (ImportError)      serving needs TensorFlow, which isn't there
├── TensorTypeError (TypeError)               a value can't become the tensor it should be
├── PredictionError                           the text service answered with an error
└── CallError                                 a model or a server refused or failed
    ├── CancelledError                        the client was closed during the call
    ├── UnknownError                          an error that nobody classified
    ├── InvalidArgumentError (ValueError)     the request is wrong
    ├── DeadlineExceededError (TimeoutError)  no answer in time
    ├── NotFoundError (LookupError)           no such model or version
    ├── AlreadyExistsError                    what should be made is there
    ├── PermissionDeniedError (PermissionError)  known caller, forbidden
    ├── ResourceExhaustedError                over a limit, of the server or of message size
    ├── FailedPreconditionError               not in this state: a signature the model lacks
    ├── AbortedError                          something concurrent interfered
    ├── OutOfRangeError                       past the end
    ├── UnimplementedError (NotImplementedError)  the server doesn't offer this
    ├── InternalError                         the server's or the client's own fault
    ├── UnavailableError (ConnectionError)    no server could be reached, or none could answer
    ├── DataLossError                         stored data is broken
    └── UnauthenticatedError                  no valid credentials
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._core import NativeError


class TensorWireError(Exception):
    """Base of all errors that TensorWire raises on purpose.

    `details` is the message alone, `model` and `target` are the model and the server's
    address that it is about, if there are any; `code` is gRPC's name of the error.
    """

    code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self, details: str = "", *, model: str | None = None, target: str | None = None
    ) -> None:
        super().__init__(details)
        self.details = details
        self.model = model
        self.target = target

    def __str__(self) -> str:
        return self.details


class ConfigError(TensorWireError, ValueError):
    """A setting, a flag, an argument or a name that can't be used."""

    code = "INVALID_ARGUMENT"


class ModelLoadError(TensorWireError):
    """A model that can't be read or loaded."""

    code = "FAILED_PRECONDITION"


class TensorFlowMissingError(TensorWireError, ImportError):
    """TensorFlow is not installed, or not in a version that can be served with."""

    code = "FAILED_PRECONDITION"


class TensorTypeError(TensorWireError, TypeError):
    """A value that can't become the tensor that it should be."""

    code = "INVALID_ARGUMENT"

    def __str__(self) -> str:
        return _sentence(self.details, None, self.model, self.target)


class PredictionError(TensorWireError):
    """The text service answered with an error message instead of a prediction."""

    def __str__(self) -> str:
        return _sentence(self.details, None, self.model, self.target)


class CallError(TensorWireError):
    """A call that failed: what the server, or the way to it, said."""

    def __str__(self) -> str:
        return _sentence(self.details, self.code, self.model, self.target)


class CancelledError(CallError):
    """The client was closed during the call."""

    code = "CANCELLED"


class UnknownError(CallError):
    """An error that nobody classified."""

    code = "UNKNOWN"


class InvalidArgumentError(CallError, ValueError):
    """The request is wrong, whatever the state of the server."""

    code = "INVALID_ARGUMENT"


class DeadlineExceededError(CallError, TimeoutError):
    """There was no answer within the timeout."""

    code = "DEADLINE_EXCEEDED"


class NotFoundError(CallError, LookupError):
    """There is no such model or version."""

    code = "NOT_FOUND"


class AlreadyExistsError(CallError):
    """What should be made is there already."""

    code = "ALREADY_EXISTS"


class PermissionDeniedError(CallError, PermissionError):
    """The caller is known, and may not do this."""

    code = "PERMISSION_DENIED"


class ResourceExhaustedError(CallError):
    """Over a limit: the server has too much to do, or a message is too long."""

    code = "RESOURCE_EXHAUSTED"


class FailedPreconditionError(CallError):
    """A right request, but not for this model, or this client, in this state."""

    code = "FAILED_PRECONDITION"


class AbortedError(CallError):
    """Interrupted by something concurrent."""

    code = "ABORTED"


class OutOfRangeError(CallError):
    """Past the end of what there is."""

    code = "OUT_OF_RANGE"


class UnimplementedError(CallError, NotImplementedError):
    """The server doesn't offer what was asked for."""

    code = "UNIMPLEMENTED"


class InternalError(CallError):
    """A fault of the server's or the client's own."""

    code = "INTERNAL"


class UnavailableError(CallError, ConnectionError):
    """No server could be reached, or none that was could answer; a later try may work."""

    code = "UNAVAILABLE"


class DataLossError(CallError):
    """Stored data is broken."""

    code = "DATA_LOSS"


class UnauthenticatedError(CallError):
    """There were no valid credentials."""

    code = "UNAUTHENTICATED"


_BY_CODE: dict[str, type[CallError]] = {kind.code: kind for kind in CallError.__subclasses__()}


@contextlib.contextmanager
def errors_about(model: object, target: str | None = None) -> Iterator[None]:
    """Says of errors that arise inside which model and server they are about, where they
    don't say so themselves. What is not the name of a model is left out."""
    try:
        yield
    except TensorWireError as error:
        if isinstance(model, str) and model:
            error.model = error.model or model
        error.target = error.target or target
        raise


def from_native(error: NativeError, *, model: str | None = None) -> CallError:
    """The exception for an error of the native core, about `model` if there is one."""
    code, details, target = error.args
    return _BY_CODE.get(code, UnknownError)(details, model=model, target=target or None)


def _sentence(details: str, code: str | None, model: str | None, target: str | None) -> str:
    """The details, and in brackets what they don't say themselves."""
    about = [code] if code else []
    if model and f"model {model!r}" not in details:
        about.append(f"model {model!r}")
    if target and target not in details:
        about.append(f"at {target}")
    return f"{details} ({', '.join(about)})" if about else details


__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "CallError",
    "CancelledError",
    "ConfigError",
    "DataLossError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "ModelLoadError",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "PredictionError",
    "ResourceExhaustedError",
    "TensorFlowMissingError",
    "TensorTypeError",
    "TensorWireError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
    "errors_about",
    "from_native",
]
