"""Predict's rules, to code and text as TensorFlow Serving's clients see them."""

from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2

from harness.predict import TIMEOUT_SECONDS, PredictionClient, predict_request, refused

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION

X = {"x": np.array([1.0, 2.0, 5.0], np.float32)}


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def feed_name(models: Path, model: str, alias: str) -> str:
    """The graph's name for an input of the default signature."""
    version = min((models / model).iterdir())
    saved = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    return saved.meta_graphs[0].signature_def["serving_default"].inputs[alias].name


# Which model, version and signature answered.


def test_model_spec_of_the_reply(client: PredictionClient) -> None:
    spec = client.send(predict_request("half_plus_two", X)).model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == (
        "half_plus_two",
        2,
        "serving_default",
    )
    assert spec.HasField("version")
    assert spec.WhichOneof("version_choice") == "version"


def test_a_version_asked_for(client: PredictionClient) -> None:
    reply = client.send(predict_request("half_plus_two", X, version=2))
    assert reply.model_spec.version.value == 2


def test_a_named_signature(client: PredictionClient) -> None:
    request = predict_request("half_plus_two", {**X, "factor": np.float32(2)}, signature="scaled")
    reply = client.send(request)
    assert reply.model_spec.signature_name == "scaled"
    assert list(reply.outputs["y"].float_val) == [7.0, 8.0, 11.0]


def test_several_outputs_and_a_filter(client: PredictionClient) -> None:
    everything = client.predict("half_plus_two", X, signature="summary")
    assert set(everything) == {"least", "most", "y"}
    one = client.predict("half_plus_two", X, signature="summary", outputs=["most"])
    assert set(one) == {"most"}
    two = client.predict("half_plus_two", X, signature="summary", outputs=["y", "least"])
    assert set(two) == {"y", "least"}
    assert two["least"] == floats(3.5)


# What runs although it looks odd.


def test_typed_values_by_default(client: PredictionClient) -> None:
    y = client.send(predict_request("half_plus_two", X)).outputs["y"]
    assert list(y.float_val) == [3.5, 4.0, 5.5]
    assert y.tensor_content == b""


def test_raw_values_on_request(client: PredictionClient) -> None:
    metadata = [("tensorwire-encoding", "tensor_content")]
    y = client.send(predict_request("half_plus_two", X), metadata=metadata).outputs["y"]
    assert y.tensor_content == floats(3.5, 4.0, 5.5).tobytes()
    assert not y.float_val


def test_raw_values_by_flag(models: Path, start) -> None:
    process = start(str(models / "half_plus_two"), "--tensor-content").wait_serving()
    y = PredictionClient(process.channel()).send(predict_request("half_plus_two", X)).outputs["y"]
    assert y.tensor_content == floats(3.5, 4.0, 5.5).tobytes()
    assert not y.float_val
    process.stop()


def test_no_inputs(client: PredictionClient) -> None:
    answer = client.predict("no_inputs")
    assert answer["answer"] == 42
    assert answer["primes"].tolist() == [2, 3, 5, 7]


def test_a_scalar(client: PredictionClient) -> None:
    answer = client.predict("scalar", {"x": np.float32(3)})
    assert answer["square"].shape == ()
    assert answer["square"] == 9


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,), (0, 1)])
def test_shapes_are_not_checked(client: PredictionClient, shape: tuple[int, ...]) -> None:
    """The signature says [None]; TensorFlow Serving's clients send what they like."""
    x = np.ones(shape, np.float32)
    answer = client.predict("half_plus_two", {"x": x})["y"]
    assert answer.shape == shape
    np.testing.assert_array_equal(answer, x * 0.5 + 3)


def test_not_a_number_and_infinity(client: PredictionClient) -> None:
    answer = client.predict("half_plus_two", {"x": floats(np.nan, np.inf, -np.inf)})["y"]
    np.testing.assert_array_equal(answer, floats(np.nan, np.inf, -np.inf))


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({}, [12.0]),
        ({"offset": np.float32(0)}, [2.0]),
        ({"scale": np.float32(-1)}, [9.0]),
        ({"offset": np.float32(0), "scale": np.float32(5)}, [5.0]),
    ],
)
def test_defaults(client: PredictionClient, sent: dict, expected: list[float]) -> None:
    assert client.predict("defaults", {"x": floats(1), **sent})["y"].tolist() == expected


# What is refused, and in which words.


def test_no_model_spec(client: PredictionClient) -> None:
    with refused(INVALID, "Missing ModelSpec"):
        client.send(predict_pb2.PredictRequest())


def test_no_model_name(client: PredictionClient) -> None:
    with refused(INVALID, "ModelSpec has no name specified."):
        client.send(predict_request("", X))


def test_unknown_model(client: PredictionClient) -> None:
    with refused(NOT_FOUND, "Servable not found for request: Latest(foo)"):
        client.predict("foo", X)


@pytest.mark.parametrize("version", [1, 99, 0, -1])
def test_unknown_version(client: PredictionClient, version: int) -> None:
    text = f"Servable not found for request: Specific(half_plus_two, {version})"
    with refused(NOT_FOUND, text):
        client.predict("half_plus_two", X, version=version)


def test_version_of_an_unknown_model(client: PredictionClient) -> None:
    with refused(NOT_FOUND, "Servable not found for request: Specific(foo, 99)"):
        client.predict("foo", X, version=99)


@pytest.mark.parametrize("model", ["half_plus_two", "foo"])
def test_unknown_label(client: PredictionClient, model: str) -> None:
    request = predict_request(model, X)
    request.model_spec.version_label = "stable"
    with refused(INVALID, "Unrecognized servable version label: stable"):
        client.send(request)


@pytest.mark.parametrize("signature", ["foo", "__saved_model_init_op"])
def test_unknown_signature(client: PredictionClient, signature: str) -> None:
    with refused(PRECONDITION, f'Serving signature key "{signature}" not found.'):
        client.predict("half_plus_two", X, signature=signature)


def test_a_signature_that_the_graph_lacks(client: PredictionClient) -> None:
    """It alone is unusable; the other one of that model works (see test_values)."""
    with refused(PRECONDITION) as refusal:
        client.predict("broken_signature", {"a": floats(1), "b": floats(1)}, signature="broken")
    assert "broken" in refusal.details
    assert "nowhere" in refusal.details


def test_input_missing(client: PredictionClient) -> None:
    text = (
        "input size does not match signature: 0!=1 len({}) != len({x}). "
        "Sent extra: {}. Missing but required: {x}."
    )
    with refused(INVALID, text):
        client.predict("half_plus_two", {})


def test_one_of_two_inputs_missing(client: PredictionClient) -> None:
    text = (
        "input size does not match signature: 1!=2 len({a}) != len({a,b}). "
        "Sent extra: {}. Missing but required: {b}."
    )
    with refused(INVALID, text):
        client.predict("add", {"a": floats(1)})


def test_too_many_inputs(client: PredictionClient) -> None:
    text = (
        "input size does not match signature: 2!=1 len({x,z}) != len({x}). "
        "Sent extra: {z}. Missing but required: {}."
    )
    with refused(INVALID, text):
        client.predict("half_plus_two", {**X, "z": floats(1)})


def test_wrong_input_name(client: PredictionClient, models: Path) -> None:
    text = (
        f"Signature input alias: x(feed name: {feed_name(models, 'half_plus_two', 'x')}) not "
        "found in request and no default value provided. Inputs expected to be in the request "
        "{z}, or default input alias set: "
    )
    with refused(INVALID, text):
        client.predict("half_plus_two", {"z": floats(1)})


def test_required_input_missing_beside_defaults(client: PredictionClient, models: Path) -> None:
    text = (
        f"Signature input alias: x(feed name: {feed_name(models, 'defaults', 'x')}) not found "
        "in request and no default value provided. Inputs expected to be in the request "
        "{offset}, or default input alias set: offset,scale"
    )
    with refused(INVALID, text):
        client.predict("defaults", {"offset": np.float32(1)})


def test_unknown_name_beside_defaults(client: PredictionClient) -> None:
    text = "Inputs contains invalid name. Used request inputs: x, request input: b,x"
    with refused(INVALID, text):
        client.predict("defaults", {"x": floats(1), "b": floats(1)})


def test_wrong_dtype(client: PredictionClient) -> None:
    with refused(INVALID, "Expects arg[0] to be float but string is provided"):
        client.predict("half_plus_two", {"x": np.array([b"a"], object)})
    with refused(INVALID, "Expects arg[0] to be float but double is provided"):
        client.predict("half_plus_two", {"x": np.ones(3)})


def test_wrong_size_inside(client: PredictionClient) -> None:
    with refused(INVALID) as refusal:
        client.predict("mlp", {"x": np.ones((2, 31), np.float32)})
    first, _, rest = refusal.details.partition("\n")
    assert first == "Matrix size-incompatible: In[0]: [2,31], In[1]: [32,64]"
    assert rest.startswith("\t [[{{")


def test_sizes_that_do_not_fit_together(client: PredictionClient) -> None:
    with refused(INVALID) as refusal:
        client.predict("add", {"a": floats(1, 2), "b": floats(1, 2, 3)})
    assert refusal.details.startswith("Incompatible shapes: [2] vs. [3]")


def test_unknown_output(client: PredictionClient) -> None:
    text = "output tensor alias not found in signature: foo Outputs expected to be in the set {y}."
    with refused(INVALID, text):
        client.predict("half_plus_two", X, outputs=["foo"])


def test_output_twice(client: PredictionClient) -> None:
    with refused(INVALID, "duplicate output tensor alias: y"):
        client.predict("half_plus_two", X, outputs=["y", "y"])


def test_a_long_message_is_cut(client: PredictionClient) -> None:
    name = "m" * 3000
    whole = f"Servable not found for request: Latest({name})"
    with refused(NOT_FOUND, whole[:1024] + "...TRUNCATED"):
        client.predict(name, X)


def test_text_outside_ascii(client: PredictionClient) -> None:
    with refused(NOT_FOUND, "Servable not found for request: Latest(modèle\n50%)"):
        client.predict("modèle\n50%", X)


def test_the_deadline_ends_a_run(client: PredictionClient) -> None:
    request = predict_request("sleep", {"milliseconds": np.int32(5000)})
    with refused(grpc.StatusCode.DEADLINE_EXCEEDED):
        client.send(request, timeout=0.3)
    client.is_well()


def test_an_impossible_allocation(client: PredictionClient) -> None:
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED):
        client.predict("fill", {"size": np.int64(1 << 42)})
    client.is_well()


# Methods that are not offered.


@pytest.mark.parametrize(
    "path",
    [
        "/tensorflow.serving.PredictionService/predict",
        "/tensorflow.serving.SessionService/SessionRun",
        "/prediction_service.PredictionService/Forget",
        "/no.such.Service/Method",
        "/nonsense",
        "/",
    ],
)
def test_what_is_not_offered(channel: grpc.Channel, client: PredictionClient, path: str) -> None:
    call = channel.unary_unary(path, request_serializer=None, response_deserializer=None)
    with refused(grpc.StatusCode.UNIMPLEMENTED) as refusal:
        call(b"", timeout=TIMEOUT_SECONDS)
    assert refusal.details
    client.is_well()
