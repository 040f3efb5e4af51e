"""Metrics under TensorFlow Serving's names: what its dashboards and alerts read."""

import http.client
import json
from pathlib import Path

import grpc
import numpy as np
import pytest

from harness.examples import CLASSIFY, REGRESS, ExampleClient, example
from harness.predict import PredictionClient, predict_request, refused
from harness.scrape import Scrape, get
from harness.server_process import ServerProcess, model_arguments

PATH = "/monitoring/prometheus/metrics"
MODELS = ("half_plus_two", "examples", "sleep")
SERVING = ":tensorflow:serving:"
BATCHING = f"{SERVING}batching_session:"
THREE = [example(x=[1.0, 2.0]), example(x=[0.0, 0.0]), example(x=[1.0, 0.0])]

# Of TensorFlow Serving's own code: 10 * 1.8^i as C's %g writes it.
LATENCY_BOUNDS = [f"{10 * 1.8**power:.6g}" for power in range(33)]

TYPES = {
    f"{SERVING}request_count": "counter",
    f"{SERVING}request_latency": "histogram",
    f"{SERVING}runtime_latency": "histogram",
    f"{SERVING}request_example_counts": "histogram",
    f"{SERVING}request_example_count_total": "counter",
    f"{SERVING}request_log_count": "counter",
    f"{SERVING}model_warmup_latency": "histogram",
    f"{SERVING}model_warmup_records_read": "counter",
    f"{BATCHING}queuing_latency": "histogram",
    f"{BATCHING}wrapped_run_count": "counter",
    f"{BATCHING}padding_size": "histogram",
    f"{BATCHING}input_batch_size": "histogram",
    f"{BATCHING}processed_batch_size": "histogram",
    ":tensorflow:cc:saved_model:load_attempt_count": "counter",
    ":tensorflow:cc:saved_model:load_latency": "counter",
    ":tensorflow:core:direct_session_runs": "counter",
    ":tensorflow:core:graph_runs": "counter",
    ":tensorflow:core:graph_run_time_usecs": "counter",
}


@pytest.fixture
def server(models: Path, start) -> ServerProcess:
    arguments = model_arguments({name: models / name for name in MODELS})
    return start(*arguments, "--measure-budget", "0").wait_serving()


def monitored(server: ServerProcess, path: str = PATH) -> Scrape:
    answer = get(server.port, path)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "text/plain"
    return Scrape(answer.body.decode())


def half(rows: int) -> object:
    return predict_request("half_plus_two", {"x": np.ones(rows, np.float32)})


def test_names_and_types_and_nothing_else(server: ServerProcess) -> None:
    text = monitored(server).text
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert comments == [f"# TYPE {name} {kind}" for name, kind in TYPES.items()]


def test_requests_by_model_and_status(server: ServerProcess) -> None:
    client = PredictionClient(server.channel())
    examples = ExampleClient(server.channel())
    for _ in range(3):
        client.send(half(2))
    with refused(grpc.StatusCode.FAILED_PRECONDITION):
        client.send(predict_request("half_plus_two", signature="foo"))
    examples.classify(THREE)
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        examples.regress(THREE, "one_value")
    # A client can make no series: whatever it names, it is counted under no name.
    for name in ("foo", "bar"):
        with refused(grpc.StatusCode.NOT_FOUND):
            client.send(predict_request(name))
    found = monitored(server)
    counted = {
        dict(labels)["model_name"] + " " + dict(labels)["status"]: value
        for (name, labels), value in found.samples.items()
        if name in (f"{SERVING}request_count", f"{SERVING}request_count_total")
    }
    assert counted == {
        " NOT_FOUND": 2,
        "half_plus_two OK": 3,
        "half_plus_two FAILED_PRECONDITION": 1,
        "examples OK": 1,
        "examples INVALID_ARGUMENT": 1,
    }


def test_every_rest_request_is_counted(server: ServerProcess) -> None:
    def ask(method: str, path: str, body: str | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        try:
            connection.request(method, path, body)
            return connection.getresponse().status
        finally:
            connection.close()

    assert ask("GET", "/v1/models/sleep") == 200
    assert ask("GET", "/v1/models/sleep/metadata") == 200
    assert ask("GET", "/v1/models/sleep/versions/99") == 404
    assert ask("POST", "/v1/models/sleep:predict", '{"inputs": 1}') == 200
    assert ask("GET", "/v1/models/none") == 404
    assert ask("GET", "/v1/foo") == 400
    found = monitored(server)

    def count(name: str, status: str) -> float:
        labels = {"model_name": name, "status": status}
        # Its parser adds an ending to counters that have none.
        names = (f"{SERVING}request_count", f"{SERVING}request_count_total")
        return sum(found.total(each, **labels) for each in names)

    assert (count("sleep", "OK"), count("sleep", "NOT_FOUND")) == (3, 1)
    assert (count("", "NOT_FOUND"), count("", "INVALID_ARGUMENT")) == (1, 1)
    for api, calls, runs in (("", 2, 0), ("predict", 1, 1)):
        labels = {"model_name": "sleep", "API": api}
        latency = f"{SERVING}request_latency_count"
        assert found.total(latency, entrypoint="REST", **labels) == calls
        runtime = f"{SERVING}runtime_latency_count"
        assert found.total(runtime, runtime="TF1", **labels) == runs


def test_latencies_of_each_call(server: ServerProcess) -> None:
    client = PredictionClient(server.channel())
    examples = ExampleClient(server.channel())
    for _ in range(2):
        client.send(predict_request("sleep", {"milliseconds": np.int32(20)}))
    examples.classify(THREE)
    examples.regress(THREE)
    found = monitored(server)

    labels = {"model_name": "sleep", "API": "Predict", "entrypoint": "GRPC"}
    latency = f"{SERVING}request_latency"
    buckets = found.buckets(latency, **labels)
    assert [line for line in found.text.splitlines() if 'le="10"' in line]
    written = [
        line.split('le="')[1].split('"')[0]
        for line in found.text.splitlines()
        if line.startswith(f'{latency}_bucket{{model_name="sleep"')
    ]
    assert written == [*LATENCY_BOUNDS, "+Inf"]
    assert buckets["+Inf"] == found.value(f"{latency}_count", labels) == 2
    # 20 ms and more: in no bucket below.
    assert buckets["11568.3"] == 0
    assert 40_000 <= found.value(f"{latency}_sum", labels) < 10_000_000

    runtime = {"model_name": "sleep", "API": "Predict", "runtime": "TF1"}
    assert found.value(f"{SERVING}runtime_latency_count", runtime) == 2
    assert found.value(f"{SERVING}runtime_latency_sum", runtime) >= 40_000
    for api in ("Classify", "Regress"):
        labels = {"model_name": "examples", "API": api, "entrypoint": "GRPC"}
        assert found.value(f"{latency}_count", labels) == 1


def test_rest_is_an_entrypoint_of_its_own(server: ServerProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    body = json.dumps({"instances": [1.0, 2.0]})
    for path, expected in (("half_plus_two", 200), ("foo", 404)):
        connection.request("POST", f"/v1/models/{path}:predict", body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == expected
    connection.close()
    found = monitored(server)
    labels = {"model_name": "half_plus_two", "API": "predict", "entrypoint": "REST"}
    assert found.value(f"{SERVING}request_latency_count", labels) == 1
    assert f'{SERVING}request_count{{model_name="",status="NOT_FOUND"}} 1' in found.text


def test_examples(server: ServerProcess) -> None:
    examples = ExampleClient(server.channel())
    examples.classify(THREE)
    examples.regress(THREE[:1])
    examples.several(THREE[:2], [("values", REGRESS), ("", CLASSIFY)])
    PredictionClient(server.channel()).send(half(5))
    found = monitored(server)
    counts = f"{SERVING}request_example_counts"
    assert found.value(f"{counts}_count", model="examples") == 3
    assert found.value(f"{counts}_sum", model="examples") == 6
    buckets = found.buckets(counts, model="examples")
    # A value on a bound counts above it, as TensorFlow's own buckets do.
    assert (buckets["1"], buckets["2"], buckets["4"]) == (0, 1, 3)
    assert list(map(float, buckets))[:-1] == [2.0**power for power in range(15)]
    assert f'{SERVING}request_example_count_total{{model="examples"}} 6' in found.text
    assert found.total(f"{counts}_count") == 3


def test_batches(models: Path, start) -> None:
    server = start(
        str(models / "half_plus_two"), "--allowed-batch-sizes", "4,8", "--max-batch-size", "8"
    ).wait_serving()
    client = PredictionClient(server.channel())
    for rows in (3, 4, 5):
        client.send(half(rows))
    found = monitored(server)
    assert found.value(f"{BATCHING}queuing_latency_count", thread_pool_name="") == 3
    assert f"{BATCHING}wrapped_run_count{{}} 3" in found.text
    assert found.value(f"{BATCHING}input_batch_size_sum") == 12
    assert found.value(f"{BATCHING}processed_batch_size_sum") == 16
    assert found.value(f"{BATCHING}padding_size_sum", execution_batch_size="4") == 1
    assert found.value(f"{BATCHING}padding_size_sum", execution_batch_size="8") == 3
    assert ":tensorflow:core:graph_runs{} 3" in found.text
    server.stop()


def test_loads(models: Path, server: ServerProcess) -> None:
    found = monitored(server)
    attempts = [
        line
        for line in found.text.splitlines()
        if line.startswith(":tensorflow:cc:saved_model:load_attempt_count{")
    ]
    assert len(attempts) == len(MODELS)
    path = str(models / "examples" / "2")
    wanted = f':tensorflow:cc:saved_model:load_attempt_count{{model_path="{path}",'
    assert f'{wanted}status="success"}} 1' in attempts
    latency = ":tensorflow:cc:saved_model:load_latency"
    assert found.total(latency) + found.total(f"{latency}_total") > 0


def test_off_and_elsewhere(models: Path, start) -> None:
    model = str(models / "half_plus_two")
    off = start(model, "--monitoring-path", "off").wait_serving()
    assert get(off.port, PATH).status == 404
    off.stop()
    elsewhere = start(model, "--monitoring-path", "/metrics/tfs").wait_serving()
    assert get(elsewhere.port, PATH).status == 404
    assert SERVING in monitored(elsewhere, "/metrics/tfs").text
    assert get(elsewhere.port, "/metrics/tfs", "POST").status == 405
    elsewhere.stop()


def test_what_a_version_takes(models: Path, server: ServerProcess) -> None:
    found = Scrape(get(server.port).body.decode())
    folder = models / "examples" / "2"
    files = [folder / "saved_model.pb", *(folder / "variables").iterdir()]
    size = sum(file.stat().st_size for file in files)
    assert found.value("tensorwire_model_file_bytes", model="examples", version="2") == size
