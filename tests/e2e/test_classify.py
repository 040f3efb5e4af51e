"""Classify: tf.Examples in, labels and scores out, as TensorFlow Serving answers."""

from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2

from harness.examples import (
    CLASSIFY,
    REGRESS,
    ExampleClient,
    example,
    input_of,
    labels,
    scores,
)
from harness.predict import refused
from harness.raw_http2 import Connection, frame, grpc_headers
from harness.server_process import ServerProcess

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND

THREE = [
    example(x=[1.0, 2.0], name="ann"),
    example(x=[0.0, 0.0]),
    example(x=[-3.5, 0.25], factor=2.0, name="bob"),
]


@pytest.fixture(scope="module")
def client(channel: grpc.Channel) -> ExampleClient:
    return ExampleClient(channel)


@pytest.fixture(scope="module")
def oracle(models: Path) -> tf.Module:
    """The same model in this process."""
    return tf.saved_model.load(str(models / "examples" / "2"))


def by_tensorflow(
    oracle: tf.Module, signature: str, examples: list[tf.train.Example]
) -> dict[str, np.ndarray]:
    encoded = tf.constant([each.SerializeToString() for each in examples])
    outputs = oracle.signatures[signature](inputs=encoded)
    return {name: tensor.numpy() for name, tensor in outputs.items()}


def test_labels_and_scores(client: ExampleClient, oracle: tf.Module) -> None:
    reply = client.classify(THREE)
    expected = by_tensorflow(oracle, "serving_default", THREE)
    assert labels(reply.result) == [
        [each.decode() for each in row] for row in expected["classes"].tolist()
    ]
    assert labels(reply.result)[0] == ["ann-low", "ann-middle", "ann-high"]
    np.testing.assert_array_equal(scores(reply.result), expected["scores"])


def test_labels_alone(client: ExampleClient) -> None:
    reply = client.classify(THREE, "classes")
    assert labels(reply.result)[1] == ["nobody-low", "nobody-middle", "nobody-high"]
    assert not scores(reply.result).any()


@pytest.mark.parametrize("signature", ["scores", "scores_and_more"])
def test_scores_alone(client: ExampleClient, oracle: tf.Module, signature: str) -> None:
    reply = client.classify(THREE, signature)
    expected = by_tensorflow(oracle, signature, THREE)["scores"]
    np.testing.assert_array_equal(scores(reply.result), expected)
    assert labels(reply.result) == [["", "", ""]] * 3


def test_what_answered(client: ExampleClient) -> None:
    spec = client.classify(THREE).model_spec
    assert (spec.name, spec.signature_name) == ("examples", "serving_default")
    assert (spec.version.value, spec.WhichOneof("version_choice")) == (2, "version")
    assert client.classify(THREE, "scores").model_spec.signature_name == "scores"


def test_a_version_asked_for(start, models: Path) -> None:
    client = ExampleClient(start(str(models / "examples")).wait_serving().channel())
    request = classification_pb2.ClassificationRequest(input=input_of(THREE))
    request.model_spec.name = "examples"
    request.model_spec.version.value = 2
    assert client.stub.Classify(request, timeout=30).model_spec.version.value == 2
    request.model_spec.version.value = 1
    with refused(NOT_FOUND, "Servable not found for request: Specific(examples, 1)"):
        client.stub.Classify(request, timeout=30)


def test_a_context_is_merged_into_each(client: ExampleClient) -> None:
    context = example(x=[1.0, 1.0], name="context", factor=3.0)
    reply = client.classify([example(), example(name="own"), example(factor=1.0)], context=context)
    first, second, third = labels(reply.result)
    assert (first[0], second[0], third[0]) == ("context-low", "own-low", "context-low")
    whole = [example(x=[1.0, 1.0], factor=factor) for factor in (3.0, 3.0, 1.0)]
    expected = scores(client.classify(whole).result)
    np.testing.assert_array_equal(scores(reply.result), expected)


def test_an_empty_context_changes_nothing(client: ExampleClient) -> None:
    reply = client.classify(THREE, context=tf.train.Example())
    assert reply.result == client.classify(THREE).result


@pytest.mark.parametrize("context", [None, example(x=[1.0, 2.0])])
def test_no_examples(client: ExampleClient, context: tf.train.Example | None) -> None:
    with refused(INVALID, "Input is empty."):
        client.classify([], context=context)


def test_no_input_at_all(client: ExampleClient) -> None:
    request = classification_pb2.ClassificationRequest()
    request.model_spec.name = "examples"
    with refused(INVALID, "Input is empty."):
        client.stub.Classify(request, timeout=30)


def test_a_context_times_many_examples_is_bounded(client: ExampleClient) -> None:
    """A request of 3 MB that asks for 20 GB."""
    context = example(name=b"x" * 20_000)
    many = [example()] * 1_000_000
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED) as refusal:
        client.classify(many, context=context)
    assert refusal.details.startswith("1000000 examples with their context take 200")
    assert refusal.details.endswith("are taken; send fewer at once")


# What the model says of bad examples, word for word.


def test_a_feature_is_missing(client: ExampleClient) -> None:
    with refused(INVALID) as refusal:
        client.classify([*THREE, example(name="x")])
    first, second = refusal.details.split("\n", 1)
    assert first == (
        "Name: <unknown>, Feature: x (data type: float) is required but could not be found."
    )
    assert second.startswith("\t [[{{")


def test_a_feature_of_another_type(client: ExampleClient) -> None:
    with refused(INVALID) as refusal:
        client.classify([example(x=[1, 2])])
    assert refusal.details.startswith(
        "Name: <unknown>, Key: x, Index: 0.  Data types don't match. "
        "Data type: int64 but expected type: float"
    )


def test_bytes_that_are_no_example(channel: grpc.Channel) -> None:
    """The server does not look into an example; the model does."""
    inner = b"\x0a\x03\xff\xff\xff"
    listed = b"\x0a" + bytes([len(inner)]) + inner
    kind = b"\x0a" + bytes([len(listed)]) + listed
    spec = b"\x0a\x0a\x0a\x08examples"
    message = spec + b"\x12" + bytes([len(kind)]) + kind
    send = channel.unary_unary("/tensorflow.serving.PredictionService/Classify")
    with refused(INVALID) as refusal:
        send(message, timeout=30)
    assert refusal.details.startswith("Could not parse example input, value: ")


def test_a_bad_example_spoils_no_other_request(client: ExampleClient) -> None:
    """They run in one batch, and only the guilty one gets the error."""
    request = classification_pb2.ClassificationRequest(input=input_of(THREE))
    request.model_spec.name = "examples"
    bad = classification_pb2.ClassificationRequest(input=input_of([example(name="x")]))
    bad.model_spec.name = "examples"
    calls = [
        client.stub.Classify.future(bad if n == 7 else request, timeout=30) for n in range(32)
    ]
    expected = client.classify(THREE).result
    for number, call in enumerate(calls):
        if number == 7:
            assert call.code() == INVALID
        else:
            assert call.result().result == expected


# Signatures that are not for Classify.


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("foo", "No signature was found with the name: foo"),
        ("two_inputs", "Expected one input Tensor."),
        ("three_outputs", "Expected one or two output Tensors, found 3"),
        ("flat_scores", "Expected Tensor shape: [batch_size num_classes] but got [3]"),
        ("whole_scores", "Expected scores Tensor of DT_FLOAT. Got: DT_INT32"),
        ("score_classes", "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        ("one_row", "Expected scores output batch size of 3. Got: 1"),
        ("fewer_scores", "Tensors class and score should match in dim_size(1). Got 3 vs. 2"),
        ("numbers", "Expects arg[0] to be float but string is provided"),
    ],
)
def test_a_wrong_signature(client: ExampleClient, signature: str, text: str) -> None:
    with refused(INVALID, text):
        client.classify(THREE, signature)


def test_an_input_of_another_name(client: ExampleClient) -> None:
    with refused(INVALID) as refusal:
        client.classify(THREE, "other_input")
    text = "No classification inputs found in SignatureDef: "
    assert refusal.details.startswith(text + 'inputs {\n  key: "examples"\n  value {\n')
    assert refusal.details.endswith('method_name: "tensorflow/serving/predict"\n')


def test_outputs_of_other_names(client: ExampleClient) -> None:
    with refused(INVALID) as refusal:
        client.classify(THREE, "other_output")
    assert refusal.details.startswith(
        "Expected classification signature outputs to contain at least one of "
        '"classes" or "scores". Signature was: inputs {\n  key: "inputs"\n'
    )
    assert 'outputs {\n  key: "sum"\n' in refusal.details


def test_labels_that_no_reply_can_carry(client: ExampleClient) -> None:
    """TensorFlow Serving sends them, and its clients can't read the reply."""
    text = "label 0 of example 0 is not text in UTF-8, as a reply must have it"
    with refused(grpc.StatusCode.INTERNAL, text):
        client.classify(THREE, "bytes_for_labels")


@pytest.mark.parametrize("method", ["Classify", "Regress", "MultiInference"])
def test_a_deadline_that_has_passed(
    client: ExampleClient, server: ServerProcess, method: str
) -> None:
    tasks = [("values", REGRESS), ("", CLASSIFY)]
    request = client.several_request(THREE, tasks)
    if method != "MultiInference":
        request = classification_pb2.ClassificationRequest(input=input_of(THREE))
        request.model_spec.name = "examples"
        request.model_spec.signature_name = "values" if method == "Regress" else ""
    path = f"/tensorflow.serving.PredictionService/{method}"
    headers = grpc_headers(path, **{"grpc-timeout": "1n"})
    with Connection(server.port) as connection:
        answer = connection.call(headers, frame(request.SerializeToString()))
    assert answer.grpc_status == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert answer.grpc_message == "Timed out waiting for notification"


def test_many_examples(client: ExampleClient, oracle: tf.Module) -> None:
    many = [example(x=[float(n), n / 7], name=str(n)) for n in range(3000)]
    reply = client.classify(many)
    expected = by_tensorflow(oracle, "serving_default", many)
    np.testing.assert_allclose(scores(reply.result), expected["scores"], rtol=1e-6)
    assert [row[2] for row in labels(reply.result)] == [f"{n}-high" for n in range(3000)]
