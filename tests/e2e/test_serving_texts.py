"""Codes and texts that TensorFlow Serving's clients compare, for every call: the model,
its version, its label, its signature, and the method_name where it is checked. What one
call alone says is in that call's own file.
"""

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from harness.examples import CLASSIFY, REGRESS, ExampleClient, example, input_of
from harness.predict import PredictionClient, predict_request, refused

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
INTERNAL = grpc.StatusCode.INTERNAL

EXAMPLES = [example(x=[1.0, 2.0])]

Build = Callable[[model_pb2.ModelSpec | None], Message]


def predict(spec: model_pb2.ModelSpec | None) -> Message:
    request = predict_pb2.PredictRequest(model_spec=spec)
    encoded = [each.SerializeToString() for each in EXAMPLES]
    request.inputs["inputs"].CopyFrom(predict_request("", {"inputs": encoded}).inputs["inputs"])
    return request


def classify(spec: model_pb2.ModelSpec | None) -> Message:
    return classification_pb2.ClassificationRequest(model_spec=spec, input=input_of(EXAMPLES))


def regress(spec: model_pb2.ModelSpec | None) -> Message:
    return regression_pb2.RegressionRequest(model_spec=spec, input=input_of(EXAMPLES))


def several(spec: model_pb2.ModelSpec | None) -> Message:
    request = inference_pb2.MultiInferenceRequest(input=input_of(EXAMPLES))
    request.tasks.add(model_spec=spec, method_name=CLASSIFY)
    return request


def metadata(spec: model_pb2.ModelSpec | None) -> Message:
    return get_model_metadata_pb2.GetModelMetadataRequest(
        model_spec=spec, metadata_field=["signature_def"]
    )


def status(spec: model_pb2.ModelSpec | None) -> Message:
    return get_model_status_pb2.GetModelStatusRequest(model_spec=spec)


INFERENCE = {
    "Predict": predict,
    "Classify": classify,
    "Regress": regress,
    "MultiInference": several,
}
FINDING = {**INFERENCE, "GetModelMetadata": metadata}
ALL = {**FINDING, "GetModelStatus": status}


class Calls:
    """Every call by its name."""

    def __init__(self, channel: grpc.Channel):
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self._model = model_service_pb2_grpc.ModelServiceStub(channel)

    def __call__(self, method: str, spec: model_pb2.ModelSpec | None) -> Message:
        stub = self._model if method == "GetModelStatus" else self._prediction
        return getattr(stub, method)(ALL[method](spec), timeout=30)


@pytest.fixture(scope="module")
def call(channel: grpc.Channel) -> Calls:
    return Calls(channel)


def spec(name: str = "examples", **more: object) -> model_pb2.ModelSpec:
    made = model_pb2.ModelSpec(name=name, signature_name=str(more.get("signature", "")))
    if "version" in more:
        made.version.value = more["version"]
    if "label" in more:
        made.version_label = str(more["label"])
    return made


@pytest.mark.parametrize("method", [each for each in ALL if each != "MultiInference"])
def test_no_model_spec(call: Calls, method: str) -> None:
    with refused(INVALID, "Missing ModelSpec"):
        call(method, None)


def test_no_model_spec_in_a_task(call: Calls) -> None:
    with refused(INVALID, "ModelSpec has no name specified."):
        call("MultiInference", None)


@pytest.mark.parametrize("method", FINDING)
def test_no_model_name(call: Calls, method: str) -> None:
    with refused(INVALID, "ModelSpec has no name specified."):
        call(method, spec(""))


@pytest.mark.parametrize("method", FINDING)
def test_an_unknown_model(call: Calls, method: str) -> None:
    with refused(NOT_FOUND, "Servable not found for request: Latest(foo)"):
        call(method, spec("foo"))


@pytest.mark.parametrize("method", FINDING)
@pytest.mark.parametrize(("name", "version"), [("examples", 99), ("foo", 1), ("examples", -1)])
def test_an_unknown_version(call: Calls, method: str, name: str, version: int) -> None:
    with refused(NOT_FOUND, f"Servable not found for request: Specific({name}, {version})"):
        call(method, spec(name, version=version))


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("name", ["examples", "foo"])
def test_an_unknown_label(call: Calls, method: str, name: str) -> None:
    with refused(INVALID, "Unrecognized servable version label: stable"):
        call(method, spec(name, label="stable"))


def test_the_status_of_an_unknown_model(call: Calls) -> None:
    with refused(NOT_FOUND, "Could not find any versions of model foo"):
        call("GetModelStatus", spec("foo"))


def test_the_status_of_an_unknown_version(call: Calls) -> None:
    with refused(NOT_FOUND, "Could not find version 99 of model examples"):
        call("GetModelStatus", spec(version=99))


@pytest.mark.parametrize(
    ("method", "code", "text"),
    [
        ("Predict", PRECONDITION, 'Serving signature key "foo" not found.'),
        ("Classify", INVALID, "No signature was found with the name: foo"),
        ("Regress", INVALID, "No signature was found with the name: foo"),
        ("MultiInference", INVALID, "Requested signature not found in model graph: foo"),
    ],
)
def test_an_unknown_signature(call: Calls, method: str, code: grpc.StatusCode, text: str) -> None:
    with refused(code, text):
        call(method, spec(signature="foo"))


def test_metadata_of_no_field(call: Calls, channel: grpc.Channel) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec())
    with refused(INVALID, "GetModelMetadataRequest must specify at least one metadata_field"):
        stub.GetModelMetadata(request, timeout=30)
    request.metadata_field.extend(["signature_def", "foo"])
    with refused(INVALID, "Metadata field foo is not supported"):
        stub.GetModelMetadata(request, timeout=30)


def test_no_other_method(channel: grpc.Channel) -> None:
    """SessionRun is in the .proto files of TensorFlow Serving, and not served there."""
    send = channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")
    with refused(grpc.StatusCode.UNIMPLEMENTED):
        send(b"", timeout=30)


def test_what_answered(call: Calls) -> None:
    for method in ("Predict", "Classify"):
        answered = call(method, spec()).model_spec
        assert answered == model_pb2.ModelSpec(
            name="examples", version={"value": 2}, signature_name="serving_default"
        )
    assert call("GetModelMetadata", spec()).model_spec == model_pb2.ModelSpec(
        name="examples", version={"value": 2}
    )


# The method_name of a signature, where it is checked.


@pytest.fixture(scope="module")
def checked(start_for_module, models: Path) -> Calls:
    arguments = ["examples", "half_plus_two"]
    process = start_for_module(
        *(str(models / name) for name in arguments), "--check-method-name"
    ).wait_serving()
    return Calls(process.channel())


def test_a_signature_of_the_right_kind(checked: Calls) -> None:
    assert len(checked("Classify", spec()).result.classifications) == 1
    assert len(checked("Regress", spec(signature="values")).result.regressions) == 1
    # Predict runs signatures of all three kinds.
    for signature in ("serving_default", "values", "other_output"):
        with_names = spec(signature=signature)
        assert checked("Predict", with_names).model_spec.signature_name == signature


@pytest.mark.parametrize(
    ("method", "signature", "code", "text"),
    [
        (
            "Classify",
            "flat_scores",
            INVALID,
            "Expected classification signature method_name to be tensorflow/serving/classify. "
            "Was: tensorflow/serving/predict",
        ),
        (
            "Classify",
            "values",
            INVALID,
            "Expected classification signature method_name to be tensorflow/serving/classify. "
            "Was: tensorflow/serving/regress",
        ),
        (
            "MultiInference",
            "values",
            INVALID,
            "Expected classification signature method_name to be tensorflow/serving/classify. "
            "Was: tensorflow/serving/regress",
        ),
        (
            "Regress",
            "",
            INVALID,
            "Expected regression signature method_name to be tensorflow/serving/regress. "
            "Was: tensorflow/serving/classify",
        ),
        (
            "Predict",
            "numbers",
            INTERNAL,
            "Expected prediction signature method_name to be one of {tensorflow/serving/predict, "
            "tensorflow/serving/classify, tensorflow/serving/regress}. Was: odd",
        ),
    ],
)
def test_a_signature_of_another_kind(
    checked: Calls, method: str, signature: str, code: grpc.StatusCode, text: str
) -> None:
    with refused(code, text):
        checked(method, spec(signature=signature))


def test_it_is_not_checked_unless_asked_for(channel: grpc.Channel) -> None:
    client = ExampleClient(channel)
    text = "Expected Tensor shape: [batch_size num_classes] but got [1]"
    with refused(INVALID, text):
        client.classify(EXAMPLES, "flat_scores")
    (result,) = client.several(EXAMPLES, [("values", REGRESS)]).results
    assert result.regression_result.regressions[0].value == 3.0
    answer = PredictionClient(channel).predict("examples", {"inputs": [1.0]}, signature="numbers")
    assert answer["outputs"].tolist() == [1.0]
