"""Why the server does not start, as TensorFlow Serving tells it."""

from __future__ import annotations

from tensorwire.errors import ModelLoadError, TensorWireError


class StartError(TensorWireError):
    """A start that fails with one of gRPC's statuses."""

    def __init__(self, status: str, details: str) -> None:
        super().__init__(details)
        self.status = status


def invalid(details: str) -> StartError:
    """Flags that can't be used, or not together."""
    return StartError("INVALID_ARGUMENT", details)


def status_of(error: TensorWireError) -> str:
    """The status that a failure of the start is told with."""
    if isinstance(error, StartError):
        return error.status
    # TensorFlow Serving has no other for a model that did not load.
    return "UNKNOWN" if isinstance(error, ModelLoadError) else error.code
