"""Deadlines of requests that wait: answered in time, though every runner is busy."""

import re
from pathlib import Path
from types import ModuleType

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from harness import raw_http2
from harness.predict import PredictionClient, predict_request
from harness.queueing import (
    Reading,
    batches,
    hold,
    send_all,
    sleep_request,
    until,
    wait_idle,
    while_held,
)
from harness.server_process import ServerProcess, model_arguments

RUNNERS = 2
EXPIRED = "Timed out waiting for notification"
HOPELESS = re.compile(
    r"the request would have to wait about (\d+) ms and then run for about (\d+) ms, and its "
    r"deadline is in (\d+) ms"
)
DEADLINE_EXCEEDED = grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


def start_server(start, models: Path, folder: Path, *arguments: str) -> ServerProcess:
    file = folder / "for_runners"
    file.write_text(f"num_batch_threads {{ value: {RUNNERS} }}")
    names = ("half_plus_two", "sleep", "counter")
    return start(
        *model_arguments({name: models / name for name in names}),
        "--batching-parameters",
        str(file),
        f"--runner-threads={RUNNERS}",
        "--measure-budget=0",
        *arguments,
    ).wait_serving()


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory, start_for_module):
    process = start_server(start_for_module, models, tmp_path_factory.mktemp("parameters"))
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> PredictionClient:
    return PredictionClient(server.channel())


def count_request(amount: int) -> predict_pb2.PredictRequest:
    return predict_request("counter", {"amount": np.int64(amount)})


def counted(server: ServerProcess) -> float:
    """How many requests the counter has run; asking it would need a runner."""
    return batches(server, "counter").requests


def raw_call(server: ServerProcess, request: object, timeout: str) -> raw_http2.Answer:
    """A call by a client that leaves its deadline to the server."""
    with raw_http2.Connection(server.port) as connection:
        headers = raw_http2.grpc_headers(grpc_timeout=timeout)
        return connection.call(headers, raw_http2.frame(request.SerializeToString()))


def test_answered_though_every_runner_is_busy(
    server: ServerProcess, client: PredictionClient
) -> None:
    def act() -> tuple[float, raw_http2.Answer]:
        return counted(server), raw_call(server, count_request(1), "50m")

    before, answer = while_held(server, client, act, RUNNERS)
    assert (answer.grpc_status, answer.grpc_message) == (DEADLINE_EXCEEDED, EXPIRED)
    # When its turn comes, it is not run.
    wait_idle(server)
    assert counted(server) == before


def test_expired_ones_leave_the_others_to_run(
    server: ServerProcess, client: PredictionClient
) -> None:
    def act() -> tuple[float, list[grpc.Future]]:
        before = counted(server)
        patient = send_all(client, [count_request(1)] * 5)
        hasty = [
            client.prediction.Predict.future(count_request(1), timeout=0.05) for _ in range(5)
        ]
        assert {call.code() for call in hasty} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert not any(call.done() for call in patient)
        return before, patient

    before, patient = while_held(server, client, act, RUNNERS)
    for call in patient:
        call.result()
    wait_idle(server)
    assert counted(server) == before + len(patient)


def test_a_run_ends_at_its_deadline(server: ServerProcess, client: PredictionClient) -> None:
    """The sleep model would go on for a minute; TensorFlow looks between its ops."""
    answer = raw_call(server, sleep_request(60_000), "100m")
    assert answer.grpc_status == DEADLINE_EXCEEDED
    wait_idle(server)
    client.is_well()


def test_refused_if_it_can_not_be_done_in_time(models: Path, start, tmp_path: Path) -> None:
    server = start_server(start, models, tmp_path)
    client = PredictionClient(server.channel())
    # The first run of a size is not kept.
    for _ in range(3):
        client.send(sleep_request(150))
    answer = raw_call(server, sleep_request(150), "20m")
    assert answer.grpc_status == DEADLINE_EXCEEDED
    wait, own, left = map(int, HOPELESS.fullmatch(answer.grpc_message).groups())
    assert (wait, own >= 140, left < 20) == (0, True, True)
    # There was nothing to wait for: without a run, it was never in a batch.
    assert Reading(server).total("tensorwire_batch_requests_total", model="sleep") == 3

    holding = hold(server, client, 400, RUNNERS)
    queue = send_all(client, [sleep_request(150)] * 20)
    until(lambda: Reading(server), lambda found: found.queued >= 20 or holding[0].done())
    answer = raw_call(server, sleep_request(150), "300m")
    assert answer.grpc_status == DEADLINE_EXCEEDED
    wait, own, left = map(int, HOPELESS.fullmatch(answer.grpc_message).groups())
    assert wait + own > 300 >= left
    assert not any(call.done() for call in queue[-4:])
    for call in queue:
        call.result()
    server.stop()


def test_default_timeout(
    models: Path,
    start,
    tmp_path: Path,
    text_modules: tuple[ModuleType, ModuleType],
) -> None:
    server = start_server(start, models, tmp_path, "--default-timeout=100ms")
    client = PredictionClient(server.channel())
    messages, stubs = text_modules
    text = stubs.PredictionServiceStub(client.channel)

    def act() -> tuple[float, object]:
        before = counted(server)
        # Without a deadline of their own: all that ends them is the server's.
        call = client.prediction.Predict.future(count_request(1))
        words = text.Predict.future(
            messages.PredictionRequest(input_data="1"), metadata=[("model", "counter")]
        )
        assert (call.code(), call.details()) == (grpc.StatusCode.DEADLINE_EXCEEDED, EXPIRED)
        return before, words.result()

    before, reply = while_held(server, client, act, RUNNERS)
    assert (reply.prediction, reply.error_message) == ("", EXPIRED)
    wait_idle(server)
    assert counted(server) == before
    server.stop()
