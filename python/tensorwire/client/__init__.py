"""The client: numpy in, numpy out, no TensorFlow. `sync.py` blocks, `aio.py` awaits; what
they do is in `operations.py`, once for both."""

from .aio import AsyncClient
from .settings import Keepalive, Retry
from .sync import Client

__all__ = ["AsyncClient", "Client", "Keepalive", "Retry"]
