"""The client: numpy in, numpy out, no TensorFlow. `sync.py` blocks, `aio.py` awaits; what
they do is in `operations.py`, once for both."""

from typing import TYPE_CHECKING, Any

from .settings import Keepalive, Retry
from .sync import Client
from .tls import Tls

if TYPE_CHECKING:
    from .aio import AsyncClient

__all__ = ["AsyncClient", "Client", "Keepalive", "Retry", "Tls"]


def __getattr__(name: str) -> Any:
    # asyncio is a third of the time that this import would take.
    if name == "AsyncClient":
        from .aio import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
