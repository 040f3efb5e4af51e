"""Over its limits a server refuses at once, says what is full, and takes requests again."""

from collections.abc import Sequence
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from harness.predict import PredictionClient, predict_request
from harness.queueing import (
    Reading,
    send_all,
    sleep_request,
    until,
    wait_for,
    wait_idle,
    while_held,
)
from harness.server_process import ServerProcess, model_arguments

PUSHBACK = "grpc-retry-pushback-ms"
REQUESTS, ROWS, BYTES = 4, 100, 4096

# A request of the sleep model, which holds the place: one row, one int32.
HELD_BYTES = 4


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory, start_for_module):
    # So that a request queues however quick its model is.
    file = tmp_path_factory.mktemp("parameters") / "for_runners"
    file.write_text("num_batch_threads { value: 1 }")
    names = ("half_plus_two", "sleep", "identity_float")
    process: ServerProcess = start_for_module(
        *model_arguments({name: models / name for name in names}),
        "--batching-parameters",
        str(file),
        "--runner-threads=1",
        "--measure-budget=0",
        f"--max-requests={REQUESTS}",
        f"--max-rows={ROWS}",
        f"--max-bytes={BYTES}",
    ).wait_serving()
    yield process
    process.stop()


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> PredictionClient:
    return PredictionClient(server.channel())


def half(rows: int) -> predict_pb2.PredictRequest:
    return predict_request("half_plus_two", {"x": np.ones(rows, np.float32)})


def row_of(elements: int) -> predict_pb2.PredictRequest:
    """One row of so many floats."""
    return predict_request("identity_float", {"x": np.ones((1, elements), np.float32)})


def admit(
    server: ServerProcess, client: PredictionClient, requests: Sequence[predict_pb2.PredictRequest]
) -> list[grpc.Future]:
    """The calls of requests that wait behind the one that holds the runner."""
    calls = send_all(client, requests)
    wait_for(
        server,
        lambda found: found.queued == len(requests) or any(call.done() for call in calls),
    )
    return calls


def check_full(call: grpc.Future, text: str) -> None:
    assert call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert call.details() == text
    pushback = int(dict(call.trailing_metadata())[PUSHBACK])
    assert 1 <= pushback <= 10_000


OVER = {
    "requests": (
        [sleep_request(1)] * (REQUESTS - 1),
        sleep_request(1),
        f"the server is full: {REQUESTS} requests of {REQUESTS} are in flight, and this request "
        "has 1; try again later",
    ),
    "rows": (
        [half(ROWS - 11)],
        half(11),
        f"the server is full: {ROWS - 10} rows of {ROWS} are in flight, and this request has 11; "
        "try again later",
    ),
    "bytes": (
        [row_of(BYTES // 4 - 10)],
        row_of(10),
        f"the server is full: {BYTES - 40 + HELD_BYTES} bytes of input of {BYTES} are in flight, "
        "and this request has 40; try again later",
    ),
}


@pytest.mark.parametrize("limit", list(OVER))
def test_over_a_limit(server: ServerProcess, client: PredictionClient, limit: str) -> None:
    waiting, more, text = OVER[limit]

    def fill() -> list[grpc.Future]:
        calls = admit(server, client, waiting)
        # At once: while what fills the server is still there.
        for refused in send_all(client, [more] * 3):
            check_full(refused, text)
        return calls

    for call in while_held(server, client, fill):
        call.result()
    wait_idle(server)
    client.send(more)
    wait_idle(server)


def test_what_just_fits(server: ServerProcess, client: PredictionClient) -> None:
    for request in (half(ROWS), row_of(BYTES // 4)):
        client.send(request)

    def fill() -> list[grpc.Future]:
        return admit(server, client, [half(ROWS - 2), half(1)])

    for call in while_held(server, client, fill):
        call.result()


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (
            half(ROWS + 1),
            f"the request alone has {ROWS + 1} rows, and the server takes {ROWS} rows at once for "
            "all requests together; send it in smaller ones",
        ),
        (
            row_of(BYTES // 4 + 1),
            f"the request alone has {BYTES + 4} bytes of input, and the server takes {BYTES} "
            "bytes of input at once for all requests together; send it in smaller ones",
        ),
    ],
)
def test_one_that_never_fits_is_not_told_to_come_back(
    client: PredictionClient, request_: predict_pb2.PredictRequest, text: str
) -> None:
    (call,) = send_all(client, [request_])
    assert call.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert call.details() == text
    assert PUSHBACK not in dict(call.trailing_metadata())


@pytest.mark.parametrize("limit", list(OVER))
def test_cancelled_requests_give_their_place_back(
    server: ServerProcess, client: PredictionClient, limit: str
) -> None:
    """At once as well, and not when their turn would have come."""
    waiting, more, _ = OVER[limit]

    def replace() -> grpc.Future:
        calls = admit(server, client, waiting)
        full = Reading(server).in_hand[:3]
        for call in calls:
            call.cancel()

        def try_again() -> grpc.Future:
            (call,) = send_all(client, [more])
            # Refused, it is done at once; let in, it is there in place of what was cancelled.
            wait_for(server, lambda found: call.done() or found.in_hand[:3] != full)
            return call

        return until(try_again, lambda call: not call.done() or call.code().value[0] == 0)

    while_held(server, client, replace).result()
    wait_idle(server)


def test_nothing_is_lost_under_a_flood(server: ServerProcess, client: PredictionClient) -> None:
    """Each is answered, well or with a refusal, and then there is room for all again."""
    codes = [call.code() for call in send_all(client, [half(3)] * 500)]
    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert codes.count(grpc.StatusCode.OK) >= 1
    wait_idle(server)
    client.send(half(ROWS))
