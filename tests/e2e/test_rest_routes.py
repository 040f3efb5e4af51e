"""The REST API's paths, statuses and headers, as TensorFlow Serving has them and beyond."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.raw_http2 import Connection, grpc_headers
from harness.rest import RestClient
from harness.server_process import ServerProcess, model_arguments

PREDICT = {"instances": [1.0, 2.0, 5.0]}
CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, GET",
    "access-control-allow-headers": "Content-Type",
}


@pytest.fixture
def rest(server: ServerProcess) -> Iterator[RestClient]:
    with RestClient(server.port) as client:
        yield client


@pytest.fixture(scope="module")
def version(server: ServerProcess) -> str:
    with RestClient(server.port) as client:
        return client.get("/v1/models/half_plus_two").json["model_version_status"][0]["version"]


def predictions_of(rest: RestClient, path: str) -> object:
    answer = rest.ask("POST", path, json.dumps(PREDICT))
    return answer.json if answer.status != 200 else answer.json["predictions"]


def test_a_prediction(rest: RestClient, version: str) -> None:
    answer = rest.post("half_plus_two", PREDICT)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["tensorwire-model-version"] == version
    assert "server-timing" not in answer.headers
    assert answer.json == {"predictions": [1.0 * 0.5 + 3, 1 + 3, 2.5 + 3]}


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/half_plus_two/versions/{version}:predict",
        "/v1/models/half_plus_two/versions/00{version}:predict",
        "/V1/MODELS/half_plus_two/Versions/{version}:predict",
        "/v1/models/half%5Fplus%5ftwo:predict",
        "/v1/models/half_plus_two:predict?",
        "/v1/models/half_plus_two:predict?key=value&x=:regress",
    ],
)
def test_ways_to_one_model(rest: RestClient, path: str, version: str) -> None:
    assert predictions_of(rest, path.format(version=version)) == [3.5, 4.0, 5.5]


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/v1/models/none:predict", 404, "Servable not found for request: Latest(none)"),
        (
            "/v1/models/HALF_PLUS_TWO:predict",
            404,
            "Servable not found for request: Latest(HALF_PLUS_TWO)",
        ),
        (
            "/v1/models/half_plus_two/versions/99:predict",
            404,
            "Servable not found for request: Specific(half_plus_two, 99)",
        ),
        (
            "/v1/models/half_plus_two/labels/can%20ary:predict",
            400,
            "Unrecognized servable version label: can ary",
        ),
        (
            "/v1/models/half_plus_two/versions/9223372036854775808:predict",
            400,
            "Failed to convert version: 9223372036854775808 to numeric.",
        ),
        (
            "/v1/models/half_plus_two:PREDICT",
            400,
            "Malformed request: POST /v1/models/half_plus_two:PREDICT",
        ),
        ("/v1/models/half_plus_two", 400, "Malformed request: POST /v1/models/half_plus_two"),
        ("/v1/models/a/b:predict", 400, "Malformed request: POST /v1/models/a/b:predict"),
        (
            "/v1/models/half_plus_two:shout",
            400,
            "Malformed request: POST /v1/models/half_plus_two:shout",
        ),
        ("/v1/", 400, "Malformed request: POST /v1/"),
    ],
)
def test_ways_to_nothing(rest: RestClient, path: str, status: int, error: str) -> None:
    answer = rest.ask("POST", path, json.dumps(PREDICT))
    assert (answer.status, answer.error) == (status, error)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
def test_other_methods(rest: RestClient, method: str) -> None:
    answer = rest.ask(method, "/v1/models/half_plus_two")
    assert answer.status == 400
    if method != "HEAD":
        assert answer.error == f"Malformed request: {method} /v1/models/half_plus_two"


def test_get_of_what_is_none(rest: RestClient) -> None:
    answer = rest.get("/v1/foo")
    assert (answer.status, answer.error) == (400, "Malformed request: GET /v1/foo")


@pytest.mark.parametrize("path", ["/v1", "/v2/models/half_plus_two", "/models", "/"])
def test_outside_the_api(rest: RestClient, path: str) -> None:
    answer = rest.get(path)
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/json"
    assert path in answer.error


def test_status(rest: RestClient, version: str) -> None:
    wanted = {
        "model_version_status": [
            {
                "version": version,
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    for path in ("", f"/versions/{version}", "/labels/no_such"):
        answer = rest.get(f"/v1/models/half_plus_two{path}?pretty=1")
        assert (answer.status, answer.json) == (200, wanted)
    assert answer.body.startswith(b'{\n "model_version_status": [\n  {\n   "version": ')


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("none", "Could not find any versions of model none"),
        ("half_plus_two/versions/99", "Could not find version 99 of model half_plus_two"),
    ],
)
def test_status_of_nothing(rest: RestClient, path: str, error: str) -> None:
    answer = rest.get(f"/v1/models/{path}")
    assert (answer.status, answer.error) == (404, error)


def test_metadata(rest: RestClient, version: str) -> None:
    for path in ("", f"/versions/{version}"):
        answer = rest.get(f"/v1/models/half_plus_two{path}/metadata")
        assert answer.status == 200
        assert answer.json["model_spec"] == {
            "name": "half_plus_two",
            "signature_name": "",
            "version": version,
        }
        signatures = answer.json["metadata"]["signature_def"]["signature_def"]
        assert "__saved_model_init_op" in signatures
        signature = signatures["serving_default"]
        assert signature["method_name"] == "tensorflow/serving/predict"
        assert signature["defaults"] == {}
        x = signature["inputs"]["x"]
        assert x["dtype"] == "DT_FLOAT"
        assert x["tensor_shape"] == {
            "dim": [{"size": "-1", "name": ""}],
            "unknown_rank": False,
        }
        assert signatures["scaled"]["inputs"]["factor"]["tensor_shape"] == {
            "dim": [],
            "unknown_rank": False,
        }


def test_metadata_says_what_grpc_says(rest: RestClient, client) -> None:
    """By protobuf's own JSON mapping, for every model that is served."""
    from google.protobuf.json_format import MessageToDict
    from tensorflow_serving.apis import get_model_metadata_pb2

    for listed in rest.get("/v1/models").json["models"]:
        name = listed["name"]
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = name
        packed = client.prediction.GetModelMetadata(request).metadata["signature_def"]
        signatures = get_model_metadata_pb2.SignatureDefMap()
        packed.Unpack(signatures)
        wanted = MessageToDict(
            signatures,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        found = rest.get(f"/v1/models/{name}/metadata").json["metadata"]["signature_def"]
        assert found == wanted, name


@pytest.mark.parametrize("path", ["none", "half_plus_two/versions/99"])
def test_metadata_of_nothing(rest: RestClient, path: str) -> None:
    answer = rest.get(f"/v1/models/{path}/metadata")
    assert answer.status == 404
    assert answer.error.startswith("Servable not found for request: ")


def test_all_models(rest: RestClient, version: str) -> None:
    answer = rest.get("/v1/models")
    assert answer.status == 200
    models = {each.pop("name"): each for each in answer.json["models"]}
    assert list(models) == sorted(models)
    assert models["half_plus_two"] == rest.get("/v1/models/half_plus_two").json


def test_server_timing(rest: RestClient) -> None:
    answer = rest.post("half_plus_two", PREDICT, **{"tensorwire-timings": "1"})
    assert "execute;dur=" in answer.headers["server-timing"]
    assert answer.headers["tensorwire-rows"] == "3"


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://example.com", 200), ("https://example.com", 200), ("null", 400), (None, 400)],
)
def test_preflight(rest: RestClient, origin: str | None, status: int) -> None:
    headers = {} if origin is None else {"Origin": origin}
    answer = rest.ask("OPTIONS", "/v1/models/half_plus_two:predict", headers=headers)
    assert (answer.status, answer.body) == (status, b"")
    assert not CORS.keys() & answer.headers.keys()


def test_cors(start, models: Path) -> None:
    own = start(*model_arguments({"m": models / "half_plus_two"}), "--cors").wait_serving()
    with RestClient(own.port) as rest:
        for answer, status in (
            (rest.post("m", PREDICT), 200),
            (rest.post("m", "{"), 400),
            (rest.get("/v1/models/m"), 200),
            (rest.ask("OPTIONS", "/v1/x", headers={"Origin": "https://a"}), 200),
            (rest.ask("OPTIONS", "/v1/x"), 400),
        ):
            assert answer.status == status
            assert CORS.items() <= answer.headers.items()
        assert not CORS.keys() & rest.get("/metrics").headers.keys()


def test_health(rest: RestClient) -> None:
    answer = rest.get("/healthz")
    assert (answer.status, answer.json) == (200, {"alive": True})
    answer = rest.get("/readyz?verbose")
    assert answer.status == 200
    assert answer.json["ready"] is True
    assert answer.json["missing"] == []
    assert rest.ask("HEAD", "/readyz").status == 200
    assert rest.ask("POST", "/healthz").status == 405


def test_not_ready_without_a_model(start, models: Path) -> None:
    arguments = model_arguments({"good": models / "half_plus_two", "bad": models / "corrupt"})
    own = start(*arguments).wait_serving("good")
    with RestClient(own.port) as rest:
        assert rest.get("/healthz").status == 200
        answer = rest.get("/readyz")
        assert answer.status == 503
        assert answer.json == {"ready": False, "draining": False, "models": 2, "missing": ["bad"]}
        assert rest.post("good", PREDICT).status == 200
        listed = {each["name"]: each for each in rest.get("/v1/models").json["models"]}
        [status] = listed["bad"]["model_version_status"]
        assert status["state"] == "END"
        assert status["status"]["error_code"] != "OK"
        assert status["status"]["error_message"]


def test_over_http2(server: ServerProcess, version: str) -> None:
    body = json.dumps(PREDICT).encode()
    with Connection(server.port) as connection:

        def ask(method: str, path: str, data: bytes = b"") -> object:
            headers = grpc_headers(path, _method=method, content_type="application/json", te=None)
            stream = connection.begin(headers, end=not data)
            if data:
                connection.send(stream, data, end=True)
            return connection.answer(stream)

        answer = ask("POST", "/v1/models/half_plus_two:predict", body)
        assert answer.http_status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["tensorwire-model-version"] == version
        assert json.loads(answer.data) == {"predictions": [3.5, 4.0, 5.5]}
        answer = ask("POST", "/v1/models/none:predict", body)
        assert answer.http_status == 404
        assert ask("GET", "/v1/models").http_status == 200
        assert ask("GET", "/healthz").http_status == 200
        assert ask("PUT", "/v1/models/x", body).http_status == 400
        # Its method says that no body comes, whatever the answer.
        head = ask("HEAD", "/v1/models/half_plus_two")
        assert (head.http_status, head.data) == (400, b"")
        assert int(head.headers["content-length"]) > 0
