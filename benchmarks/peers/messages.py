"""Requests and replies of the peers, as bytes.

As in contract.py the messages live in pools of their own. The .proto files are ours:
the few fields that one row takes.
"""

import importlib.resources
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from model import INPUT, NAME, OUTPUT, Model
from paths import WORK
from peers.peer import folder
from trouble import BenchmarkError

INFER = "/inference.GRPCInferenceService/ModelInfer"
PREDICT_ROW = "/row.Predictor/Predict"

Wrong = Callable[[bytes], str | None]


def infer(model: Model) -> tuple[bytes, Wrong]:
    """The Open Inference Protocol, float [1, 32] as raw little-endian bytes: its form
    without a loop over the values."""
    messages = _messages(folder("") / "open_inference.proto")
    request = messages("inference.ModelInferRequest")
    request.model_name = NAME
    tensor = request.inputs.add()
    tensor.name, tensor.datatype = INPUT, "FP32"
    tensor.shape.extend([1, len(model.row)])
    request.raw_input_contents.append(struct.pack(f"<{len(model.row)}f", *model.row))

    def wrong(reply: bytes) -> str | None:
        response = messages("inference.ModelInferResponse")
        response.ParseFromString(reply)
        if [output.name for output in response.outputs] != [OUTPUT]:
            return f"the reply has not one output {OUTPUT!r}: {response!s}"
        values = list(response.outputs[0].contents.fp32_contents)
        for raw in response.raw_output_contents:
            values.extend(struct.unpack(f"<{len(raw) // 4}f", raw))
        return _only(model, values)

    return _bytes(request), wrong


def row(model: Model) -> tuple[bytes, Wrong]:
    """A message with the values of one row, for a service that its user defines."""
    messages = _messages(folder("ray_serve") / "row.proto")
    request = messages("row.Row")
    request.x.extend(model.row)

    def wrong(reply: bytes) -> str | None:
        response = messages("row.Prediction")
        response.ParseFromString(reply)
        return model.difference(response.y)

    return _bytes(request), wrong


def json_rows(model: Model, batched: bool) -> tuple[bytes, Wrong]:
    """`{"x": [...]}`, or `{"x": [[...]]}` where a request is itself a `batched` array;
    the reply is the number within whatever lists and object."""
    value = [model.row] if batched else model.row
    request = json.dumps({INPUT: value}, separators=(",", ":")).encode()

    def wrong(reply: bytes) -> str | None:
        answer = json.loads(reply)
        if isinstance(answer, dict):
            answer = answer.get(OUTPUT)
        while isinstance(answer, list) and len(answer) == 1:
            answer = answer[0]
        return _only(model, [answer] if isinstance(answer, float) else [])

    return request, wrong


def _only(model: Model, values: list[float]) -> str | None:
    if len(values) != 1:
        return f"the reply has {len(values)} values where one row has 1"
    return model.difference(values[0])


def _bytes(message: Any) -> bytes:
    return bytes(message.SerializeToString(deterministic=True))


def _messages(proto: Path) -> Callable[[str], Any]:
    """Makes an empty message of the file by its full name."""
    WORK.mkdir(exist_ok=True)
    described = WORK / f"{proto.stem}.binpb"
    bundled = importlib.resources.files("grpc_tools") / "_proto"
    places = [f"-I{proto.parent}", f"-I{bundled}", f"--descriptor_set_out={described}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", *places, proto.name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise BenchmarkError(f"protoc failed: {done.stderr.strip()}")
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(described.read_bytes()).file:
        pool.Add(file)

    def make(name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))()

    return make
