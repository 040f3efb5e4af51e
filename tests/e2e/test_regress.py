"""Regress: tf.Examples in, one number for each out, as TensorFlow Serving answers."""

from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import regression_pb2

from harness.examples import ExampleClient, example, input_of, values
from harness.predict import refused
from harness.scrape import scrape
from harness.server_process import ServerProcess

INVALID = grpc.StatusCode.INVALID_ARGUMENT

THREE = [example(x=[1.0, 2.0]), example(x=[0.0, 0.0]), example(x=[-3.5, 0.25], factor=2.0)]
SUMS = [3.0, 0.0, -6.5]


@pytest.fixture(scope="module")
def client(channel: grpc.Channel) -> ExampleClient:
    return ExampleClient(channel)


def test_a_vector_of_values(client: ExampleClient) -> None:
    reply = client.regress(THREE)
    assert values(reply.result).tolist() == SUMS
    spec = reply.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("examples", 2, "values")


def test_a_column_of_values(client: ExampleClient) -> None:
    reply = client.regress(THREE, "column")
    assert values(reply.result).tolist() == [30.0, 0.0, -65.0]


def test_a_context_is_merged_into_each(client: ExampleClient) -> None:
    context = example(x=[2.0, 4.0], factor=0.5)
    reply = client.regress(
        [example(), example(x=[1.0, 1.0]), example(factor=1.0)], context=context
    )
    assert values(reply.result).tolist() == [3.0, 1.0, 6.0]


def test_no_examples(client: ExampleClient) -> None:
    with refused(INVALID, "Input is empty."):
        client.regress([])


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("foo", "No signature was found with the name: foo"),
        ("two_inputs", "Expected one input Tensor."),
        ("three_outputs", "Expected one output Tensor."),
        (
            "wide_values",
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            "[3,2]",
        ),
        ("one_value", "Input batch size did not match output batch size: 3 vs. 1"),
        ("whole_values", "Expected output Tensor of DT_FLOAT.  Got: DT_INT32"),
    ],
)
def test_a_wrong_signature(client: ExampleClient, signature: str, text: str) -> None:
    with refused(INVALID, text):
        client.regress(THREE, signature)


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("other_input", "No regression inputs found in SignatureDef: inputs {"),
        ("other_output", "No regression outputs found in SignatureDef: inputs {"),
    ],
)
def test_other_names(client: ExampleClient, signature: str, text: str) -> None:
    with refused(INVALID) as refusal:
        client.regress(THREE, signature)
    assert refusal.details.startswith(text)


def test_a_bad_example(client: ExampleClient) -> None:
    with refused(INVALID) as refusal:
        client.regress([example(x=[1.0])])
    assert refusal.details.startswith("Name: <unknown>, Key: x, Index: 0.  Number of float values")


def test_requests_share_batches(start, models: Path) -> None:
    """What arrives together runs together, and each gets its own (issue #1529 there)."""
    process: ServerProcess = start(
        str(models / "examples"), "--max-batch-size", "32", "--batch-timeout", "50ms"
    ).wait_serving()
    client = ExampleClient(process.channel())
    requests = []
    for number in range(64):
        own = [example(x=[float(number), float(row)]) for row in range(1 + number % 3)]
        request = regression_pb2.RegressionRequest(input=input_of(own))
        request.model_spec.name = "examples"
        request.model_spec.signature_name = "values"
        requests.append(request)
    for _ in range(5):
        calls = [client.stub.Regress.future(request, timeout=30) for request in requests]
        for number, call in enumerate(calls):
            expected = [float(number + row) for row in range(1 + number % 3)]
            np.testing.assert_array_equal(values(call.result().result), expected)
    page = scrape(process.port)
    labels = {"model": "examples", "version": "2", "signature": "values"}
    assert page.value("tensorwire_requests_total", labels, code="OK") == 320
    assert page.value("tensorwire_batch_rows_count", labels) < 100
    process.stop()
