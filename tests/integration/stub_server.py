"""A server that is not ours, for the client's tests: grpcio, tensorflow-serving-api's
messages, and an echo for a model. It keeps what it was sent and fails on command."""

import threading
from collections import deque
from concurrent import futures
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

MODEL = "echo"
VERSION = 3
WORKERS = 200
SIGNATURES = {
    "serving_default": {"x": (tf.float32, [None, 2])},
    "whole": {"n": (tf.int32, None)},
    "small": {"n": (tf.uint8, [])},
    "switch": {"b": (tf.bool, [None])},
    "half": {"h": (tf.bfloat16, [None])},
    "text": {"s": (tf.string, [None])},
    "two": {"a": (tf.float32, [None]), "b": (tf.int64, [None])},
}


@dataclass(frozen=True)
class Refusal:
    """An answer that is an error."""

    code: grpc.StatusCode
    details: str = "refused"
    trailing: tuple[tuple[str, str], ...] = ()


@dataclass
class Seen:
    """A Predict call as it came in."""

    request: predict_pb2.PredictRequest
    metadata: dict[str, Any]
    seconds_left: float | None
    cancelled: threading.Event = field(default_factory=threading.Event)


class StubServer:
    """Listens on a free port of the loopback interface while it is entered.

    Each Predict call takes one entry of `refusals`, if there is one, and fails with it
    unless it is None;
    while `gate` is closed, calls wait inside; `arrived` counts those that came; those that
    ask for `timings` get them as a trailer.
    """

    def __init__(self, port: int = 0, with_health: bool = True, socket: str | None = None):
        self.calls: list[Seen] = []
        self.metadata_calls = 0
        self.refusals: deque[Refusal | None] = deque()
        self.timings = ""
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)
        self.signatures = SIGNATURES
        self._server = grpc.server(
            futures.ThreadPoolExecutor(WORKERS),
            options=[("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)],
        )
        services = prediction_service_pb2_grpc
        services.add_PredictionServiceServicer_to_server(_Prediction(self), self._server)
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(_Model(), self._server)
        self.health = _Health()
        if with_health:
            health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{port}")
        if socket:
            self._server.add_insecure_port(socket)
        self.address = f"127.0.0.1:{self.port}"

    def add_text_service(self, messages: Any, stubs: Any) -> None:
        """Offers the text service too: it answers with the text, or its model's name."""

        class Text(stubs.PredictionServiceServicer):  # type: ignore[misc]
            def Predict(self, request: Any, context: Any) -> Any:
                if request.input_data == "bad":
                    return messages.PredictionResponse(error_message="cannot read it")
                model = dict(context.invocation_metadata()).get("model", "")
                return messages.PredictionResponse(prediction=f"{model}:{request.input_data}")

        stubs.add_PredictionServiceServicer_to_server(Text(), self._server)

    def wait_for_calls(self, count: int) -> None:
        """Until that many Predict calls have come since the last time."""
        for _ in range(count):
            assert self.arrived.acquire(timeout=20)

    def stop(self) -> None:
        self.gate.set()
        self._server.stop(None).wait(10)

    def __enter__(self) -> "StubServer":
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _Health(health.HealthServicer):
    """grpcio's, with the List that it lacks."""

    def List(self, request: Any, context: Any) -> Any:
        response = health_pb2.HealthListResponse()
        for service, status in self._server_status.items():
            response.statuses[service].status = status
        return response


class _Prediction(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, stub: StubServer):
        self._stub = stub

    def Predict(self, request: Any, context: Any) -> Any:
        left = context.time_remaining()
        metadata = dict(context.invocation_metadata())
        # Without a deadline grpcio says a time beyond any clock.
        seen = Seen(request, metadata, left if left and left < 1e9 else None)
        context.add_callback(seen.cancelled.set)
        self._stub.calls.append(seen)
        self._stub.arrived.release()
        self._stub.gate.wait(60)
        if self._stub.refusals:
            refusal = self._stub.refusals.popleft()
            if refusal is not None:
                context.set_trailing_metadata(refusal.trailing)
                context.abort(refusal.code, refusal.details)
        if request.model_spec.name != MODEL:
            name = request.model_spec.name
            context.abort(
                grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({name})"
            )
        if metadata.get("tensorwire-timings") == "1":
            context.set_trailing_metadata((("server-timing", self._stub.timings),))
        response = predict_pb2.PredictResponse()
        response.model_spec.name = MODEL
        response.model_spec.version.value = VERSION
        for name, proto in request.inputs.items():
            if request.output_filter and name not in request.output_filter:
                continue
            response.outputs[name].CopyFrom(_echo(proto))
        return response

    def GetModelMetadata(self, request: Any, context: Any) -> Any:
        self._stub.metadata_calls += 1
        assert list(request.metadata_field) == ["signature_def"]
        signatures = get_model_metadata_pb2.SignatureDefMap()
        for name, inputs in self._stub.signatures.items():
            signature = signatures.signature_def[name]
            signature.method_name = "tensorflow/serving/predict"
            for alias, (dtype, shape) in inputs.items():
                info = meta_graph_pb2.TensorInfo(
                    name=f"{alias}:0",
                    dtype=dtype.as_datatype_enum,
                    tensor_shape=tf.TensorShape(shape).as_proto(),
                )
                signature.inputs[alias].CopyFrom(info)
                signature.outputs[alias].CopyFrom(info)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = request.model_spec.name
        response.model_spec.version.value = VERSION
        response.metadata["signature_def"].Pack(signatures)
        return response


class _Model(model_service_pb2_grpc.ModelServiceServicer):
    def GetModelStatus(self, request: Any, context: Any) -> Any:
        name = request.model_spec.name
        if name != MODEL:
            context.abort(
                grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {name}"
            )
        response = get_model_status_pb2.GetModelStatusResponse()
        failed = response.model_version_status.add(version=1, state=50)
        failed.status.error_code = 5
        failed.status.error_message = "its directory is gone"
        response.model_version_status.add(version=VERSION, state=30)
        return response


FIELDS = {
    "float32": ("float_val", None),
    "float64": ("double_val", None),
    "int64": ("int64_val", None),
    "uint32": ("uint32_val", None),
    "uint64": ("uint64_val", None),
    "bool": ("bool_val", None),
    "float16": ("half_val", np.uint16),
    "bfloat16": ("half_val", np.uint16),
    "complex64": ("scomplex_val", np.float32),
    "complex128": ("dcomplex_val", np.float64),
    "object": ("string_val", None),
}


def _echo(proto: Any) -> Any:
    """The tensor as TensorFlow reads it, in typed values and not in tensor_content."""
    array = tf.make_ndarray(proto)
    field_name, view = FIELDS.get(array.dtype.name, ("int_val", None))
    flat = np.ascontiguousarray(array).reshape(-1)
    response = type(proto)(dtype=proto.dtype, tensor_shape=proto.tensor_shape)
    getattr(response, field_name).extend((flat.view(view) if view else flat).tolist())
    return response
