"""`:classify` and `:regress` over REST."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.rest import RestClient
from harness.server_process import ServerProcess, model_arguments


@pytest.fixture(scope="module")
def rest(start_for_module, models: Path) -> Iterator[RestClient]:
    server: ServerProcess = start_for_module(*model_arguments({"examples": models / "examples"}))
    server.wait_serving()
    with RestClient(server.port) as client:
        yield client


def test_classify(rest: RestClient) -> None:
    body = {
        "examples": [{"x": [1.0, 2.0], "name": "a"}, {"x": [0.0, 0.0], "name": {"b64": "Yg=="}}]
    }
    answer = rest.post("examples", body, "classify")
    assert answer.status == 200, answer.body
    assert answer.headers["tensorwire-model-version"] == "2"
    assert answer.json == {
        "results": [
            [["a-low", 1.5], ["a-middle", -1.5], ["a-high", 4.0]],
            [["b-low", 0.0], ["b-middle", 0.0], ["b-high", 0.0]],
        ]
    }


def test_one_of_labels_and_scores(rest: RestClient) -> None:
    body = {"signature_name": "scores", "examples": [{"x": [1.0, 2.0]}]}
    assert rest.post("examples", body, "classify").json == {
        "results": [[["", 1.5], ["", -1.5], ["", 4.0]]]
    }
    body = {"signature_name": "classes", "examples": [{"x": [1.0, 2.0]}]}
    assert rest.post("examples", body, "classify").json == {
        "results": [[["nobody-low", 0.0], ["nobody-middle", 0.0], ["nobody-high", 0.0]]]
    }


@pytest.mark.parametrize(("signature", "times"), [("values", 1), ("column", 10)])
def test_regress(rest: RestClient, signature: str, times: float) -> None:
    body = {"signature_name": signature, "examples": [{"x": [1.0, 2.5]}, {"x": [0.0, -1.0]}]}
    answer = rest.post("examples/versions/2", body, "regress")
    assert (answer.status, answer.json) == (200, {"results": [3.5 * times, -1.0 * times]})


def test_a_context(rest: RestClient) -> None:
    body = {
        "signature_name": "values",
        "context": {"factor": 2.0},
        "examples": [{"x": [1.0, 2.0]}, {"x": [1.0, 2.0], "factor": 3.0}],
    }
    assert rest.post("examples", body, "regress").json == {"results": [6.0, 9.0]}


def test_labels_that_are_no_text(rest: RestClient) -> None:
    body = {"signature_name": "bytes_for_labels", "examples": [{"x": [1.0, 2.0], "name": "a"}]}
    answer = rest.post("examples", body, "classify")
    assert answer.json == {"results": [[[{"b64": "Yf8="}, 0.0]]]}


@pytest.mark.parametrize(
    ("method", "body", "status", "error"),
    [
        (
            "classify",
            "{}",
            400,
            "JSON Value: {} When method is classify, key 'examples' is expected and was not found",
        ),
        (
            "regress",
            "{}",
            400,
            "JSON Value: {} When method is classify, key 'examples' is expected and was not found",
        ),
        ("regress", '{"examples": [1]}', 400, "Example must be JSON object but got JSON Number"),
        (
            "classify",
            '{"examples": [{"x": null}]}',
            400,
            "Feature: x has element with unexpected JSON type: Null",
        ),
        (
            "classify",
            '{"examples": [{"x": [1, 2.0]}]}',
            400,
            "Unexpected element type in feature: x expecting type: int64",
        ),
        (
            "classify",
            '{"signature_name": "foo", "examples": [{}]}',
            400,
            "No signature was found with the name: foo",
        ),
        ("regress", '{"signature_name": "scores", "examples": [{}]}', 400, None),
        (
            "classify",
            '{"examples": [{"x": [1, 2]}]}',
            400,
            "Data types don't match. Data type: int64 but expected type: float",
        ),
        (
            "classify",
            '{"examples": [{}]}',
            400,
            "Feature: x (data type: float) is required but could not be found.",
        ),
        ("classify", '{"examples": [', 400, "JSON Parse error: Invalid value. at offset: 14"),
    ],
)
def test_what_is_refused(
    rest: RestClient, method: str, body: str, status: int, error: str | None
) -> None:
    answer = rest.post("examples", body, method)
    assert answer.status == status
    assert (error or "") in answer.error


def test_no_such_model(rest: RestClient) -> None:
    answer = rest.post("none", {"examples": [{}]}, "classify")
    assert (answer.status, answer.error) == (404, "Servable not found for request: Latest(none)")
