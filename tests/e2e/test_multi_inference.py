"""MultiInference: several signatures of one model on the same examples, in one reply."""

import grpc
import pytest
from tensorflow_serving.apis import inference_pb2

from harness.examples import (
    CLASSIFY,
    REGRESS,
    ExampleClient,
    example,
    input_of,
    labels,
    scores,
    values,
)
from harness.predict import refused
from harness.scrape import Scrape, scrape
from harness.versions import until

INVALID = grpc.StatusCode.INVALID_ARGUMENT

THREE = [example(x=[1.0, 2.0], name="ann"), example(x=[0.0, 0.0]), example(x=[-3.5, 0.25])]
TASKS = [("values", REGRESS), ("", CLASSIFY), ("column", REGRESS), ("scores", CLASSIFY)]


@pytest.fixture(scope="module")
def client(channel: grpc.Channel) -> ExampleClient:
    return ExampleClient(channel)


def test_each_result_is_that_of_its_own_call(client: ExampleClient) -> None:
    reply = client.several(THREE, TASKS)
    first, second, third, fourth = reply.results
    assert values(first.regression_result).tolist() == [3.0, 0.0, -3.25]
    assert second.classification_result == client.classify(THREE).result
    assert third.regression_result == client.regress(THREE, "column").result
    assert fourth.classification_result == client.classify(THREE, "scores").result
    kinds = [each.WhichOneof("result") for each in reply.results]
    assert kinds == ["regression_result", "classification_result"] * 2
    specs = [each.model_spec for each in reply.results]
    assert [spec.signature_name for spec in specs] == [
        "values",
        "serving_default",
        "column",
        "scores",
    ]
    assert {(spec.name, spec.version.value) for spec in specs} == {("examples", 2)}


def test_one_task(client: ExampleClient) -> None:
    (only,) = client.several(THREE, [("", CLASSIFY)]).results
    assert labels(only.classification_result)[0][0] == "ann-low"
    assert scores(only.classification_result).shape == (3, 3)


def test_a_context_goes_to_all(client: ExampleClient) -> None:
    request = client.several_request([], TASKS[:2])
    context = example(x=[1.0, 1.0], name="context")
    request.input.CopyFrom(input_of([example(), example(name="own")], context))
    first, second = client.stub.MultiInference(request, timeout=30).results
    assert values(first.regression_result).tolist() == [2.0, 2.0]
    assert [row[0] for row in labels(second.classification_result)] == ["context-low", "own-low"]


def test_many_at_once(client: ExampleClient) -> None:
    requests = [
        client.several_request([example(x=[float(n), 0.0])] * (1 + n % 3), TASKS)
        for n in range(50)
    ]
    calls = [client.stub.MultiInference.future(request, timeout=30) for request in requests]
    for number, call in enumerate(calls):
        first, _, third, _ = call.result().results
        count = 1 + number % 3
        assert values(first.regression_result).tolist() == [float(number)] * count
        assert values(third.regression_result).tolist() == [number * 10.0] * count


# What is refused, and in which words.


def test_no_tasks(client: ExampleClient) -> None:
    with refused(INVALID, "ModelSpec has no name specified."):
        client.several(THREE, [])


def test_a_first_task_without_a_model(client: ExampleClient) -> None:
    request = inference_pb2.MultiInferenceRequest(input=input_of(THREE))
    request.tasks.add(method_name=CLASSIFY)
    with refused(INVALID, "ModelSpec has no name specified."):
        client.stub.MultiInference(request, timeout=30)


def test_a_later_task_without_a_model(client: ExampleClient) -> None:
    request = client.several_request(THREE, TASKS)
    request.tasks[2].model_spec.name = ""
    with refused(INVALID, "Found ModelSpec with an empty model name."):
        client.stub.MultiInference(request, timeout=30)


def test_two_models(client: ExampleClient) -> None:
    request = client.several_request(THREE, TASKS)
    request.tasks[1].model_spec.name = "half_plus_two"
    text = "All ModelSpecs in a MultiInferenceRequest must access the same model name."
    with refused(INVALID, text):
        client.stub.MultiInference(request, timeout=30)


def test_an_unknown_model(channel: grpc.Channel) -> None:
    with refused(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(foo)"):
        ExampleClient(channel, "foo").several(THREE, TASKS)


def test_one_signature_twice(client: ExampleClient) -> None:
    with refused(INVALID, "Duplicate evaluation of signature: serving_default"):
        client.several(THREE, [("", CLASSIFY), ("serving_default", CLASSIFY)])


def test_an_unknown_signature(client: ExampleClient) -> None:
    with refused(INVALID, "Requested signature not found in model graph: foo"):
        client.several(THREE, [("values", REGRESS), ("foo", CLASSIFY)])


@pytest.mark.parametrize("method", ["", "tensorflow/serving/predict", "foo"])
def test_an_unknown_method(client: ExampleClient, method: str) -> None:
    text = f"Unsupported signature method_name: {method}"
    with refused(grpc.StatusCode.UNIMPLEMENTED, text):
        client.several(THREE, [("values", method)])


def test_no_examples(client: ExampleClient) -> None:
    with refused(INVALID, "Input is empty."):
        client.several([], TASKS)


def test_a_signature_of_another_kind(client: ExampleClient) -> None:
    with refused(INVALID, "Expected one output Tensor."):
        client.several(THREE, [("scores", CLASSIFY), ("", REGRESS)])


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 0, 1], [1, 2, 0]])
def test_one_that_fails_fails_all(client: ExampleClient, order: list[int]) -> None:
    tasks = [("values", REGRESS), ("one_value", REGRESS), ("scores", CLASSIFY)]
    with refused(INVALID, "Input batch size did not match output batch size: 3 vs. 1"):
        client.several(THREE, [tasks[each] for each in order])


def test_a_bad_example(client: ExampleClient) -> None:
    with refused(INVALID) as refusal:
        client.several([*THREE, example()], TASKS)
    assert refusal.details.startswith("Name: <unknown>, Feature: x (data type: float) is required")


# Versions: TensorFlow Serving runs the first task's, whatever the others name (issue #1254
# there).


def test_tasks_that_mean_the_same_version(client: ExampleClient) -> None:
    request = client.several_request(THREE, TASKS)
    request.tasks[1].model_spec.version.value = 2
    assert len(client.stub.MultiInference(request, timeout=30).results) == 4


def test_tasks_that_mean_another_version(start, models) -> None:
    process = start(str(models / "examples")).wait_serving()
    client = ExampleClient(process.channel())
    request = client.several_request(THREE, TASKS)
    request.tasks[1].model_spec.version.value = 1
    with refused(
        grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(examples, 1)"
    ):
        client.stub.MultiInference(request, timeout=30)
    process.stop()


def test_each_task_is_counted(start, models) -> None:
    process = start(str(models / "examples")).wait_serving()
    client = ExampleClient(process.channel())
    client.several(THREE, TASKS)
    with refused(INVALID):
        client.several(THREE, [("values", REGRESS), ("one_value", REGRESS)])
    page = scrape(process.port)

    def count(signature: str, code: str) -> float:
        labels = {"model": "examples", "version": "2", "signature": signature, "code": code}
        return page.value("tensorwire_requests_total", labels)

    for signature in ("values", "serving_default", "column", "scores"):
        assert count(signature, "OK") >= 1
    assert count("one_value", "INVALID_ARGUMENT") == 1
    # The message's bytes are counted once, whatever it asks for.
    request = client.several_request(THREE, TASKS)
    received = page.total("tensorwire_request_bytes_total", model="examples")
    assert len(request.SerializeToString()) <= received <= 2 * len(request.SerializeToString())
    process.stop()


def test_a_client_that_goes_away_abandons_every_task(start, models) -> None:
    """Also when the task that was the last to ask after it is done."""
    process = start(
        str(models / "examples"), "--max-batch-size", "32", "--batch-timeout", "5s"
    ).wait_serving()
    client = ExampleClient(process.channel())
    request = client.several_request(THREE[:1], [("values", REGRESS), ("column", REGRESS)])
    call = client.stub.MultiInference.future(request, timeout=30)
    # The second task's batch is full with this; the first waits for its own.
    client.regress([example(x=[1.0, 2.0])] * 31, "column")

    def count(page: Scrape, signature: str, code: str) -> float:
        labels = {"model": "examples", "version": "2", "signature": signature, "code": code}
        return page.value("tensorwire_requests_total", labels)

    until(lambda: count(scrape(process.port), "column", "OK") == 2)
    call.cancel()
    until(lambda: count(scrape(process.port), "values", "CANCELLED") == 1)
    assert count(scrape(process.port), "values", "OK") == 0
    process.stop()
