"""Requests and replies as bytes, made from the project's own .proto files.

The messages live in a pool of their own, so nothing here needs TensorFlow or its
serving package, and nothing registers their names for the rest of the process.
"""

import importlib.resources
import json
import struct
import subprocess
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import model
from paths import PROTO, WORK
from saved_model import SavedModel
from trouble import BenchmarkError

PREDICT = "/tensorflow.serving.PredictionService/Predict"
TEXT_PREDICT = "/prediction_service.PredictionService/Predict"
HEALTH_CHECK = "/grpc.health.v1.Health/Check"
HEALTH_WATCH = "/grpc.health.v1.Health/Watch"
# HealthCheckResponse{status: SERVING}
SERVING = b"\x08\x01"

_DT_FLOAT = 1


class Contract:
    """Builds requests and reads replies of the two prediction services."""

    def __init__(self) -> None:
        described = WORK / "contract.binpb"
        _protoc(
            "--include_imports",
            f"--descriptor_set_out={described}",
            "prediction_service.proto",
            "tensorflow_serving/predict.proto",
        )
        self._pool = descriptor_pool.DescriptorPool()
        files = descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes())
        for file in files.file:
            self._pool.Add(file)

    def predict_request(self, row: tuple[float, ...], typed: bool) -> bytes:
        """A batch of one row: float [1, 32], as `float_val` or as `tensor_content`."""
        request, tensor = self._request(model.NAME, model.INPUT, (len(row),))
        if typed:
            tensor.float_val.extend(row)
        else:
            tensor.tensor_content = struct.pack(f"<{len(row)}f", *row)
        return _bytes(request)

    def row_request(self, served: SavedModel, name: str | None = None) -> bytes:
        """The model's row as a batch of one, in `tensor_content`; `name`: what the
        model is called by the server, if not by its own name."""
        request, tensor = self._request(name or served.name, served.input, served.shape)
        tensor.tensor_content = served.row.tobytes()
        return _bytes(request)

    def row_reply(self, reply: bytes, served: SavedModel) -> Sequence[float]:
        """All values of the model's output, in whichever form they came."""
        response = self._message("tensorflow.serving.PredictResponse")
        response.ParseFromString(reply)
        if served.output not in response.outputs:
            raise BenchmarkError(f"the reply has no output {served.output!r}")
        tensor = response.outputs[served.output]
        return array("f", tensor.tensor_content or tensor.float_val)

    def predict_reply(self, reply: bytes) -> float:
        """The only element of the output, in whichever form it came."""
        response = self._message("tensorflow.serving.PredictResponse")
        response.ParseFromString(reply)
        if model.OUTPUT not in response.outputs:
            raise BenchmarkError(f"the reply has no output {model.OUTPUT!r}: {response!s}")
        tensor = response.outputs[model.OUTPUT]
        content = tensor.tensor_content or struct.pack("<f", *tensor.float_val[:1])
        return float(struct.unpack_from("<f", content)[0])

    def text_request(self, row: tuple[float, ...]) -> bytes:
        """The row as JSON text."""
        request = self._message("prediction_service.PredictionRequest")
        request.input_data = json.dumps(row)
        return _bytes(request)

    def text_reply(self, reply: bytes) -> float:
        """The only number in the text, whatever the brackets around it."""
        response = self._message("prediction_service.PredictionResponse")
        response.ParseFromString(reply)
        if response.error_message:
            raise BenchmarkError(f"the reply is an error: {response.error_message}")
        return float(response.prediction.strip("[] \n"))

    def _request(self, name: str, alias: str, shape: tuple[int, ...]) -> tuple[Any, Any]:
        """A request to the model of that name, and its input, which has no values yet."""
        request = self._message("tensorflow.serving.PredictRequest")
        request.model_spec.name = name
        tensor = request.inputs[alias]
        tensor.dtype = _DT_FLOAT
        for size in (1, *shape):
            tensor.tensor_shape.dim.add().size = size
        return request, tensor

    def _message(self, name: str) -> Any:
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(name))()


def generate_text_service(folder: Path) -> None:
    """Writes the Python code of prediction_service.proto into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    _protoc(f"--python_out={folder}", f"--grpc_python_out={folder}", "prediction_service.proto")


def _bytes(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))


def _protoc(*arguments: str) -> None:
    bundled = importlib.resources.files("grpc_tools") / "_proto"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"-I{bundled}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise BenchmarkError(f"protoc failed: {done.stderr.strip()}")
