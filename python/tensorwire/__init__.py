"""TensorWire serves TensorFlow models over the network and calls them.

    import tensorwire as tw

    tw.serve("./my_model")                                # blocks until told to stop

    with tw.Client("localhost:50051") as client:          # numpy in, numpy out
        outputs = client.predict("my_model", {"x": x}, timeout=0.5)

Names are imported when first used: the client needs numpy alone, and whoever serves
brings TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors as errors
    from .client import AsyncClient, Client, Keepalive, Retry, Tls
    from .config import Batching, RequestLog
    from .errors import TensorWireError
    from .model import Model
    from .repository.model_config import ModelConfig
    from .repository.source import FetchWatcher, ModelVersion, Source
    from .running import serve
    from .server import Server
    from .signature import ModelMetadata, ModelStatus, Signature, TensorSpec, VersionStatus

    __version__: str

_HOMES = {
    "AsyncClient": "client",
    "Batching": "config",
    "Client": "client",
    "FetchWatcher": "repository.source",
    "Keepalive": "client",
    "Model": "model",
    "ModelConfig": "repository.model_config",
    "ModelMetadata": "signature",
    "ModelStatus": "signature",
    "ModelVersion": "repository.source",
    "RequestLog": "config",
    "Retry": "client",
    "Server": "server",
    "Signature": "signature",
    "Source": "repository.source",
    "TensorSpec": "signature",
    "TensorWireError": "errors",
    "Tls": "client",
    "VersionStatus": "signature",
    "serve": "running",
}

__all__ = [
    "AsyncClient",
    "Batching",
    "Client",
    "FetchWatcher",
    "Keepalive",
    "Model",
    "ModelConfig",
    "ModelMetadata",
    "ModelStatus",
    "ModelVersion",
    "RequestLog",
    "Retry",
    "Server",
    "Signature",
    "Source",
    "TensorSpec",
    "TensorWireError",
    "Tls",
    "VersionStatus",
    "errors",
    "serve",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value = importlib.import_module("._core", __name__).build_info()["version"]
    elif name == "errors":
        return importlib.import_module(".errors", __name__)
    elif name in _HOMES:
        value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
