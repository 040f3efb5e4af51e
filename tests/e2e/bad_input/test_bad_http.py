"""HTTP that is no gRPC, and bytes that are no HTTP."""

import contextlib
import itertools
import random
import socket

import h2.errors
import h2.exceptions
import numpy as np
import pytest

from harness.predict import TIMEOUT_SECONDS, PredictionClient, good_request, predict_request
from harness.raw_http2 import PREDICT, Connection, frame, grpc_headers, speak
from harness.server_process import ServerProcess

OK = 0
UNIMPLEMENTED = 12


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/grpcx", ""])
def test_wrong_content_type(connection: Connection, kind: str) -> None:
    answer = connection.call(grpc_headers(content_type=kind), frame(good_request()))
    assert answer.http_status == 415


def test_no_content_type(connection: Connection) -> None:
    answer = connection.call(grpc_headers(content_type=None), frame(good_request()))
    assert answer.http_status == 415


@pytest.mark.parametrize(
    "kind", ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"]
)
def test_right_content_types(connection: Connection, kind: str) -> None:
    answer = connection.call(grpc_headers(content_type=kind), frame(good_request()))
    assert (answer.http_status, answer.grpc_status) == (200, OK)


def test_without_te(connection: Connection) -> None:
    """gRPC asks clients for `te: trailers`; a proxy may drop it, so it works without."""
    answer = connection.call(grpc_headers(te=None), frame(good_request()))
    assert answer.grpc_status == OK


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "BREW"])
def test_other_methods(connection: Connection, method: str) -> None:
    stream = connection.begin(grpc_headers(_method=method), end=True)
    answer = connection.answer(stream)
    assert (
        answer.reset is not None
        or answer.http_status in (400, 404, 405, 501)
        or (answer.grpc_status not in (None, OK))
    )


def test_headers_that_are_too_many(connection: Connection) -> None:
    headers = [*grpc_headers(), *((f"x-{n}", "v" * 1000) for n in range(500))]
    stream = connection.begin(headers, end=True)
    answer = connection.answer(stream)
    # The stream or the whole connection is refused: headers are not kept to be counted.
    refused_without_words = answer.reset is not None or not answer.headers
    assert refused_without_words or answer.http_status == 431 or answer.grpc_status != OK


def test_old_http(target: ServerProcess) -> None:
    request = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
    request += "Content-Type: application/grpc\r\nConnection: close\r\n\r\n"
    answer = speak(target.port, request.encode(), hang_up=False)
    assert (
        not answer or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")) or answer[3:4] == b"\x04"
    )


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"PRI * HTTP/2.0\r\n", id="half a preface"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 5000, id="preface, garbage"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 500, id="TLS"),
        pytest.param(random.Random(1).randbytes(100_000), id="garbage"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"x" * 1_000_000, id="endless header"),
    ],
)
def test_bytes_that_are_no_http2(target: ServerProcess, data: bytes) -> None:
    speak(target.port, data)


def test_connections_left_half_open(target: ServerProcess, client: PredictionClient) -> None:
    """Silent ones, and some that stop within a request, then vanish all at once."""
    silent = [socket.create_connection(("127.0.0.1", target.port)) for _ in range(100)]
    stuck = [Connection(target.port) for _ in range(20)]
    for connection in stuck:
        stream = connection.begin(grpc_headers())
        connection.send(stream, frame(good_request())[:-3])
    for _ in range(20):
        client.is_well()
    for opened in itertools.chain(silent, stuck):
        getattr(opened, "socket", opened).close()


def test_streams_begun_and_reset(connection: Connection) -> None:
    """A thousand cancellations as fast as can be; the server may have enough of them
    and hang up, as servers do since such floods have taken some of them down."""
    body = frame(good_request())
    with contextlib.suppress(h2.exceptions.ProtocolError):
        for _ in range(1000):
            stream = connection.begin(grpc_headers())
            connection.send(stream, body)
            connection.h2.reset_stream(stream, h2.errors.ErrorCodes.CANCEL)
            connection.flush()


def test_calls_cancelled_by_grpcio(client: PredictionClient) -> None:
    """At the pace of an honest client, on the connection that others use too."""
    request = predict_request("sleep", {"milliseconds": np.int32(2)})
    for _ in range(300):
        call = client.prediction.Predict.future(request, timeout=TIMEOUT_SECONDS)
        call.cancel()
    client.is_well()


def test_a_burst_of_cancelled_calls_costs_no_other_its_answer(target: ServerProcess) -> None:
    """As a client makes it whose calls all have a deadline of nothing."""
    with Connection(target.port) as connection:
        patient = connection.begin(grpc_headers())
        for _ in range(200):
            # All in one packet, so that they are there before any was looked at.
            stream = connection.h2.get_next_available_stream_id()
            connection.h2.send_headers(stream, grpc_headers())
            connection.h2.reset_stream(stream)
        connection.flush()
        connection.send(patient, frame(good_request()), end=True)
        assert connection.answer(patient).grpc_status == OK


def test_refused_calls_do_not_use_a_connection_up(target: ServerProcess) -> None:
    with Connection(target.port) as connection:
        for _ in range(1500):
            stream = connection.begin(grpc_headers("/no.such.Service/Method"))
            connection.send(stream, b"\0\0\0\0\x01")
            assert connection.answer(stream).grpc_status == UNIMPLEMENTED
        assert connection.call(grpc_headers(), frame(good_request())).grpc_status == OK
