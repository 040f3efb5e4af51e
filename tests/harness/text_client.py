"""The text service's client, generated at run time from the contract in tests/golden."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import grpc

from harness import protoc

CONTRACT = Path(__file__).parent.parent / "golden" / "prediction_service.proto"
TIMEOUT_SECONDS = 30.0


def generate(folder: Path) -> tuple[ModuleType, ModuleType]:
    """Compiles the contract into `folder`; answers its messages and its stubs."""
    outputs = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    protoc.run(f"-I{CONTRACT.parent}", *outputs, str(CONTRACT))
    sys.path.insert(0, str(folder))
    try:
        messages = importlib.import_module("prediction_service_pb2")
        stubs = importlib.import_module("prediction_service_pb2_grpc")
    finally:
        sys.path.remove(str(folder))
    return messages, stubs


class TextClient:
    """Calls `Predict`; its generated modules are `messages` and `stubs`."""

    def __init__(self, messages: ModuleType, stubs: ModuleType, channel: grpc.Channel):
        self._messages = messages
        self._stub = stubs.PredictionServiceStub(channel)

    def ask(self, text: str, model: str | None = None) -> tuple[str, str]:
        """(prediction, error_message); an RPC error is a test's failure."""
        metadata: Sequence[tuple[str, str]] = [("model", model)] if model is not None else []
        request = self._messages.PredictionRequest(input_data=text)
        response = self._stub.Predict(request, timeout=TIMEOUT_SECONDS, metadata=metadata)
        return response.prediction, response.error_message
