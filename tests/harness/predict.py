"""TensorFlow Serving's own stubs, with what tests say often said once."""

from collections.abc import Mapping, Sequence

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

# Longer than any healthy answer takes, on a machine that may be busy.
TIMEOUT_SECONDS = 30.0


def as_proto(value: object) -> tensor_pb2.TensorProto:
    """A TensorProto as it is, anything else by TensorFlow's `make_tensor_proto`."""
    if isinstance(value, tensor_pb2.TensorProto):
        return value
    return tf.make_tensor_proto(value)


def predict_request(
    model: str,
    inputs: Mapping[str, object] | None = None,
    *,
    signature: str = "",
    version: int | None = None,
    outputs: Sequence[str] = (),
) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for alias, value in (inputs or {}).items():
        request.inputs[alias].CopyFrom(as_proto(value))
    return request


def good_request() -> bytes:
    """A request that any server with half_plus_two answers with [3.5, 4]."""
    x = np.array([1, 2], np.float32)
    return predict_request("half_plus_two", {"x": x}).SerializeToString()


class PredictionClient:
    """PredictionService and ModelService over one channel."""

    def __init__(self, channel: grpc.Channel):
        self.channel = channel
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(channel)

    def send(
        self,
        request: predict_pb2.PredictRequest,
        *,
        metadata: Sequence[tuple[str, str]] = (),
        timeout: float = TIMEOUT_SECONDS,
    ) -> predict_pb2.PredictResponse:
        return self.prediction.Predict(request, timeout=timeout, metadata=list(metadata))

    def predict(
        self, model: str, inputs: Mapping[str, object] | None = None, **more: object
    ) -> dict[str, np.ndarray]:
        """The outputs as arrays, by TensorFlow's `make_ndarray`."""
        response = self.send(predict_request(model, inputs, **more))
        return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}

    def is_well(self) -> None:
        """Asserts that an ordinary request gets its ordinary answer."""
        answer = self.predict("half_plus_two", {"x": np.array([1.0, 2.0], np.float32)})
        np.testing.assert_array_equal(answer["y"], np.array([3.5, 4.0], np.float32))


class Refusal:
    """What `refused` caught: the code and text of an error."""

    code: grpc.StatusCode
    details: str


class refused:
    """`with refused(CODE, TEXT):` expects an RPC to fail so; TEXT None: any text."""

    def __init__(self, code: grpc.StatusCode, details: str | None = None):
        self._code = code
        self._details = details
        self._raises = pytest.raises(grpc.RpcError)

    def __enter__(self) -> Refusal:
        self._caught = self._raises.__enter__()
        self.refusal = Refusal()
        return self.refusal

    def __exit__(self, *exception: object) -> bool:
        if not self._raises.__exit__(*exception):
            return False
        error = self._caught.value
        self.refusal.code, self.refusal.details = error.code(), error.details()
        assert (error.code(), error.details()) == (
            self._code,
            error.details() if self._details is None else self._details,
        )
        return True
