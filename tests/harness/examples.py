"""tf.Examples, and Classify, Regress and MultiInference by TensorFlow Serving's stubs."""

from collections.abc import Iterable, Sequence

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    input_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from harness.predict import TIMEOUT_SECONDS

CLASSIFY = "tensorflow/serving/classify"
REGRESS = "tensorflow/serving/regress"

Feature = float | int | str | bytes | Sequence[float] | Sequence[int]


def example(**features: Feature) -> tf.train.Example:
    """An example with these features; whole numbers are int64, as protobuf has it."""
    made = tf.train.Example()
    for name, value in features.items():
        values = list(value) if isinstance(value, (list, tuple)) else [value]
        feature = made.features.feature[name]
        if all(isinstance(each, (str, bytes)) for each in values):
            encoded = (each.encode() if isinstance(each, str) else each for each in values)
            feature.bytes_list.value.extend(encoded)
        elif all(isinstance(each, int) for each in values):
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    return made


def input_of(
    examples: Iterable[tf.train.Example], context: tf.train.Example | None = None
) -> input_pb2.Input:
    """The examples as a request has them; with a context in the other of the two kinds."""
    made = input_pb2.Input()
    if context is None:
        made.example_list.SetInParent()
        made.example_list.examples.extend(examples)
    else:
        made.example_list_with_context.context.CopyFrom(context)
        made.example_list_with_context.examples.extend(examples)
    return made


class ExampleClient:
    """The calls that take examples, of one model."""

    def __init__(self, channel: grpc.Channel, model: str = "examples"):
        self.stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.model = model

    def classify(
        self,
        examples: Iterable[tf.train.Example] = (),
        signature: str = "",
        *,
        context: tf.train.Example | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> classification_pb2.ClassificationResponse:
        request = classification_pb2.ClassificationRequest(input=input_of(examples, context))
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature
        return self.stub.Classify(request, timeout=timeout)

    def regress(
        self,
        examples: Iterable[tf.train.Example] = (),
        signature: str = "values",
        *,
        context: tf.train.Example | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> regression_pb2.RegressionResponse:
        request = regression_pb2.RegressionRequest(input=input_of(examples, context))
        request.model_spec.name = self.model
        request.model_spec.signature_name = signature
        return self.stub.Regress(request, timeout=timeout)

    def several(
        self,
        examples: Iterable[tf.train.Example],
        tasks: Iterable[tuple[str, str]],
        timeout: float = TIMEOUT_SECONDS,
    ) -> inference_pb2.MultiInferenceResponse:
        """MultiInference of these signatures with their methods."""
        request = self.several_request(examples, tasks)
        return self.stub.MultiInference(request, timeout=timeout)

    def several_request(
        self, examples: Iterable[tf.train.Example], tasks: Iterable[tuple[str, str]]
    ) -> inference_pb2.MultiInferenceRequest:
        request = inference_pb2.MultiInferenceRequest(input=input_of(examples))
        for signature, method in tasks:
            task = request.tasks.add(method_name=method)
            task.model_spec.name = self.model
            task.model_spec.signature_name = signature
        return request


def labels(result: classification_pb2.ClassificationResult) -> list[list[str]]:
    return [[each.label for each in row.classes] for row in result.classifications]


def scores(result: classification_pb2.ClassificationResult) -> np.ndarray:
    """[N, classes]"""
    rows = [[each.score for each in row.classes] for row in result.classifications]
    return np.array(rows, np.float32)


def values(result: regression_pb2.RegressionResult) -> np.ndarray:
    """[N]"""
    return np.array([each.value for each in result.regressions], np.float32)
