"""`/metrics`: what is counted is what was sent."""

import itertools
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf

from harness.memory import resident_bytes
from harness.predict import PredictionClient, predict_request, refused
from harness.raw_http2 import Connection
from harness.scrape import Scrape, scrape
from harness.server_process import ServerProcess, model_arguments
from harness.text_client import TextClient

MODELS = ("half_plus_two", "mlp", "multi", "sleep", "add")
PHASES = ["decode", "queue", "merge", "execute", "split", "encode"]
WAIT_SECONDS = 20.0

HALF = {"model": "half_plus_two", "version": "1", "signature": "serving_default"}
NOBODY = {"model": "", "version": "", "signature": ""}


@pytest.fixture
def server(models: Path, start) -> ServerProcess:
    """A server that has counted nothing yet."""
    return start(*model_arguments({name: models / name for name in MODELS})).wait_serving()


@pytest.fixture
def client(server: ServerProcess) -> PredictionClient:
    return PredictionClient(server.channel())


def half(rows: int) -> object:
    return predict_request("half_plus_two", {"x": np.ones(rows, np.float32)})


def version_of(models: Path, name: str) -> str:
    return next(entry.name for entry in (models / name).iterdir() if entry.name.isdigit())


def wait_for(server: ServerProcess, wanted) -> Scrape:
    """The first scrape of which `wanted` is true; what ends in the background takes a while."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        found = scrape(server.port)
        if wanted(found):
            return found
        assert time.monotonic() < end, found.text
        time.sleep(0.01)


def test_every_request_row_and_byte(
    server: ServerProcess, client: PredictionClient, models: Path
) -> None:
    labels = {**HALF, "version": version_of(models, "half_plus_two")}
    sizes = [1, 2, 3, 4, 5, 8, 9, 100, 2048, 2049, 5000]
    requests = [half(rows) for rows in sizes for _ in range(3)]
    replies = [client.send(request) for request in requests]
    found = scrape(server.port)

    assert found.value("tensorwire_requests_total", labels, code="OK") == len(requests)
    assert found.total("tensorwire_requests_total") == len(requests)
    received = sum(request.ByteSize() for request in requests)
    assert found.value("tensorwire_request_bytes_total", labels) == received
    sent = sum(reply.ByteSize() for reply in replies)
    assert found.value("tensorwire_reply_bytes_total", labels) == sent

    assert found.value("tensorwire_request_rows_count", labels) == len(requests)
    assert found.value("tensorwire_request_rows_sum", labels) == 3 * sum(sizes)
    rows = found.buckets("tensorwire_request_rows", **labels)
    bounds = [*(2.0**power for power in range(12)), float("inf")]
    assert {float(bound): count for bound, count in rows.items()} == {
        bound: 3 * sum(size <= bound for size in sizes) for bound in bounds
    }

    # However they were batched, every row ran once.
    assert found.value("tensorwire_batch_requests_total", labels) == len(requests)
    assert found.value("tensorwire_batch_rows_sum", labels) == 3 * sum(sizes)
    assert 1 <= found.value("tensorwire_batch_rows_count", labels) <= len(requests)
    assert found.value("tensorwire_batch_failures_total", labels) == 0
    assert found.value("tensorwire_batches_running", labels) == 0


def test_every_phase_of_every_request(
    server: ServerProcess, client: PredictionClient, models: Path
) -> None:
    """The sleep model's 20 ms are in the phase they belong to, and in the whole."""
    request = predict_request("sleep", {"milliseconds": np.int32(20)})
    begun = time.monotonic()
    for _ in range(5):
        client.send(request)
    passed = time.monotonic() - begun
    labels = {**HALF, "model": "sleep", "version": version_of(models, "sleep")}
    found = scrape(server.port)

    whole = found.value("tensorwire_request_seconds_sum", labels)
    assert 0.1 <= whole <= passed
    name = "tensorwire_request_phase_seconds"
    parts = {phase: found.value(f"{name}_sum", labels, phase=phase) for phase in PHASES}
    assert parts["execute"] >= 0.1
    assert sum(parts.values()) <= whole
    for phase in PHASES:
        assert found.value(f"{name}_count", labels, phase=phase) == 5
    execute = found.buckets(name, **labels, phase="execute")
    assert execute["0.00512"] == 0
    assert execute["+Inf"] == 5
    total = found.buckets("tensorwire_request_seconds", **labels)
    assert [float(bound) for bound in total][:-1] == [5e-6 * 2**power for power in range(25)]
    assert total["0.01024"] == 0
    busy = found.value("tensorwire_batch_execute_seconds_total", labels)
    assert busy == pytest.approx(parts["execute"], rel=0.05)


def test_failures_by_code_and_no_label_of_a_clients_choice(
    server: ServerProcess, client: PredictionClient, models: Path
) -> None:
    labels = {**HALF, "version": version_of(models, "half_plus_two")}
    for _ in range(3):
        with refused(grpc.StatusCode.NOT_FOUND):
            client.send(predict_request("chosen_by_client", {"x": np.float32(1)}))
    with refused(grpc.StatusCode.NOT_FOUND):
        client.send(predict_request("half_plus_two", {"x": np.float32(1)}, version=424242))
    with refused(grpc.StatusCode.FAILED_PRECONDITION):
        client.send(predict_request("half_plus_two", {}, signature="chosen_by_client"))
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        client.send(predict_request("half_plus_two", {"chosen_by_client": np.float32(1)}))
    with refused(grpc.StatusCode.INVALID_ARGUMENT):
        x = tf.constant([1, 2, 3], tf.int64)
        client.send(predict_request("half_plus_two", {"x": x}))
    found = scrape(server.port)
    count = "tensorwire_requests_total"
    assert found.value(count, NOBODY, code="NOT_FOUND") == 4
    assert found.value(count, {**labels, "signature": ""}, code="FAILED_PRECONDITION") == 1
    assert found.value(count, labels, code="INVALID_ARGUMENT") == 2
    assert found.total(count) == 7
    assert "chosen_by_client" not in found.text
    assert "424242" not in found.text


def test_cancelled_and_expired_requests(
    server: ServerProcess, client: PredictionClient, models: Path
) -> None:
    labels = {**HALF, "model": "sleep", "version": version_of(models, "sleep")}
    request = predict_request("sleep", {"milliseconds": np.int32(300)})
    call = client.prediction.Predict.future(request)
    wait_for(server, lambda found: found.value("tensorwire_batches_running", labels) == 1)
    call.cancel()
    count = "tensorwire_requests_total"
    wait_for(server, lambda found: found.value(count, labels, code="CANCELLED") == 1)
    wait_for(server, lambda found: found.value("tensorwire_in_flight_requests") == 0)
    with refused(grpc.StatusCode.DEADLINE_EXCEEDED):
        client.send(request, timeout=0.05)
    # Either side may be the first to notice the deadline.
    wait_for(
        server,
        lambda found: (
            found.value(count, labels, code="DEADLINE_EXCEEDED")
            + found.value(count, labels, code="CANCELLED")
            == 2
        ),
    )


def test_what_is_in_hand(server: ServerProcess, client: PredictionClient, models: Path) -> None:
    request = predict_request("sleep", {"milliseconds": np.int32(400)})
    calls = [client.prediction.Predict.future(request) for _ in range(3)]
    busy = wait_for(server, lambda found: found.value("tensorwire_in_flight_requests") == 3)
    assert busy.value("tensorwire_in_flight_rows") == 3
    assert busy.value("tensorwire_in_flight_bytes") == 12
    assert busy.total("tensorwire_open_requests") >= 3
    # This scrape's own, the client's, and the one that health was asked on.
    assert busy.total("tensorwire_connections") >= 2
    for call in calls:
        call.result()
    idle = wait_for(server, lambda found: found.value("tensorwire_in_flight_requests") == 0)
    assert idle.value("tensorwire_in_flight_rows") == 0
    assert idle.value("tensorwire_in_flight_bytes") == 0
    assert idle.value("tensorwire_queued_requests") == 0
    assert idle.total("tensorwire_batches_running") == 0


def test_models_by_state(models: Path, start) -> None:
    server = start(
        *model_arguments({"half_plus_two": models / "half_plus_two", "gone": models / "nowhere"})
    )
    server.wait_listening()
    found = wait_for(
        server,
        lambda found: found.value(
            "tensorwire_model_versions", model="half_plus_two", state="AVAILABLE"
        ),
    )
    assert found.total("tensorwire_model_versions", model="half_plus_two") == 1
    assert found.total("tensorwire_model_versions", model="gone", state="AVAILABLE") == 0


def test_the_process(server: ServerProcess, client: PredictionClient) -> None:
    before = scrape(server.port)
    for _ in range(300):
        client.is_well()
    found = scrape(server.port)
    cpu = "process_cpu_seconds_total"
    assert before.value(cpu) < found.value(cpu) < before.value(cpu) + 60
    resident = found.value("process_resident_memory_bytes")
    assert resident == pytest.approx(resident_bytes(server.pid), rel=0.1)
    open_files = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
    assert found.value("process_open_fds") == pytest.approx(open_files, abs=4)
    assert found.value("process_max_fds") >= open_files
    assert found.value("process_threads") >= 4
    started = found.value("process_start_time_seconds")
    assert 0 < time.time() - started < 600


def test_the_text_itself(server: ServerProcess, client: PredictionClient) -> None:
    client.is_well()
    found = scrape(server.port)
    lines = found.text.splitlines()
    described = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    typed = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert described == typed
    assert len(set(typed)) == len(typed)
    for family in found.families.values():
        assert family.type in ("counter", "gauge", "histogram"), family
        assert family.name.startswith(("tensorwire_", "process_"))
        assert len(family.documentation) > 10
        names = {sample.name for sample in family.samples}
        if family.type == "counter":
            assert names == {f"{family.name}_total"}
    for name, family in found.families.items():
        if family.type == "histogram":
            _check_histograms(found, name)
    samples = [line for line in lines if not line.startswith("#")]
    assert len(found.samples) == len(samples), "a series is there twice"
    info = found.families["tensorwire_build_info"].samples
    assert [sample.value for sample in info] == [1]
    # A model that nobody has called has its counter, and no histogram yet.
    assert found.total("tensorwire_request_seconds_count", model="mlp") == 0
    assert 'tensorwire_request_seconds_bucket{model="mlp"' not in found.text
    assert 'tensorwire_requests_total{model="mlp"' in found.text


def _check_histograms(found: Scrape, name: str) -> None:
    counts = [key for key in found.samples if key[0] == f"{name}_count"]
    assert counts
    for _, labels in counts:
        buckets = list(found.buckets(name, **dict(labels)).values())
        assert buckets == sorted(buckets)
        assert buckets[-1] == found.value(f"{name}_count", dict(labels))
        assert found.value(f"{name}_sum", dict(labels)) >= 0


def test_the_text_service_counts_too(server: ServerProcess, text_modules, models: Path) -> None:
    text = TextClient(*text_modules, server.channel())
    labels = {**HALF, "version": version_of(models, "half_plus_two")}
    for data in ("[1, 2, 3]", "[4]", "not JSON"):
        text.ask(data, "half_plus_two")
    text.ask("1", "chosen_by_client")
    found = scrape(server.port)
    count = "tensorwire_requests_total"
    assert found.value(count, labels, code="OK") == 2
    assert found.value("tensorwire_request_rows_sum", labels) == 4
    assert found.value(count, labels, code="INVALID_ARGUMENT") == 1
    assert found.value(count, NOBODY, code="NOT_FOUND") == 1


def test_counters_never_go_back_under_load(server: ServerProcess) -> None:
    clients = [PredictionClient(server.channel()) for _ in range(4)]
    stop = threading.Event()
    sent = [0] * len(clients)

    def load(index: int) -> None:
        request = half(index + 1)
        while not stop.is_set():
            clients[index].send(request)
            sent[index] += 1

    threads = [threading.Thread(target=load, args=(index,)) for index in range(len(clients))]
    for thread in threads:
        thread.start()
    try:
        scrapes = [scrape(server.port) for _ in range(40)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for earlier, later in itertools.pairwise(scrapes):
        for family in earlier.families.values():
            if family.type in ("counter", "histogram"):
                for sample in family.samples:
                    assert later.value(sample.name, sample.labels) >= sample.value, sample
        for name, family in later.families.items():
            if family.type == "histogram":
                _check_histograms(later, name)
    last = scrape(server.port)
    assert last.total("tensorwire_requests_total", code="OK") == sum(sent)
    rows = sum(count * (index + 1) for index, count in enumerate(sent))
    assert last.total("tensorwire_request_rows_sum") == rows
    assert last.total("tensorwire_batch_rows_sum") == rows


def test_pages_that_nobody_waits_for_are_not_made(server: ServerProcess) -> None:
    """A client that asks and resets at once costs what its frames do, not what pages do."""
    headers = [(":method", "GET"), (":scheme", "http"), (":path", "/metrics")]
    headers.append((":authority", "localhost"))

    def busy() -> float:
        # It has its turn after all pages that were asked for before.
        return scrape(server.port).value("process_cpu_seconds_total")

    with Connection(server.port) as connection:
        begun = busy()
        for _ in range(500):
            answer = connection.answer(connection.begin(headers, end=True))
            assert answer.http_status == 200
        answered = busy()
        for _ in range(500):
            stream = connection.h2.get_next_available_stream_id()
            connection.h2.send_headers(stream, headers, end_stream=True)
            connection.h2.reset_stream(stream)
            connection.flush()
        assert busy() - answered < (answered - begun) / 2
