"""gRPC framing, compression and deadlines that are wrong, by the `h2` package."""

import gzip
import zlib
from pathlib import Path

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import predict_pb2

from harness.memory import MIB, peak_bytes, reset_peak, resident_bytes
from harness.predict import (
    PredictionClient,
    good_request,
    predict_request,
    refused,
)
from harness.raw_http2 import Connection, frame, grpc_headers
from harness.server_process import ServerProcess, model_arguments

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED

OK, INVALID_NUMBER, DEADLINE, EXHAUSTED_NUMBER, UNIMPLEMENTED, INTERNAL = 0, 3, 4, 8, 12, 13


def test_an_ordinary_call_through_the_raw_client(connection: Connection) -> None:
    answer = connection.call(grpc_headers(), frame(good_request()))
    assert (answer.http_status, answer.grpc_status) == (200, OK)
    assert answer.headers["content-type"].startswith("application/grpc")
    reply = predict_pb2.PredictResponse.FromString(answer.data[5:])
    assert list(reply.outputs["y"].float_val) == [3.5, 4.0]


def test_a_prefix_of_three_gibibytes(connection: Connection) -> None:
    stream = connection.begin(grpc_headers())
    connection.send(stream, frame(b"\0" * 100, length=3 << 30))
    answer = connection.answer(stream)
    assert answer.grpc_status == EXHAUSTED_NUMBER
    assert str(3 << 30) in answer.grpc_message


@pytest.mark.parametrize("claimed", [1 << 30, (2 << 30) - 1], ids=["1 GiB", "2 GiB - 1"])
def test_a_prefix_that_promises_much(target, connection: Connection, claimed: int) -> None:
    """Within the limit, so it waits for the bytes, but holds none for them before."""
    before = resident_bytes(target.pid)
    stream = connection.begin(grpc_headers())
    connection.send(stream, frame(b"\0" * 100, length=claimed))
    connection.call(grpc_headers(), frame(good_request()))
    assert resident_bytes(target.pid) - before < 64 * MIB
    connection.send(stream, b"", end=True)
    assert connection.answer(stream).grpc_status not in (None, OK)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="no message"),
        pytest.param(b"\0\0", id="half a prefix"),
        pytest.param(frame(good_request(), length=1000), id="shorter than it says"),
        pytest.param(frame(good_request()) + b"\0\0", id="half a second prefix"),
        pytest.param(frame(good_request()) * 2, id="two messages"),
        pytest.param(frame(good_request(), compressed=2), id="flag 2"),
    ],
)
def test_wrong_framing(connection: Connection, body: bytes) -> None:
    answer = connection.call(grpc_headers(), body)
    assert answer.http_status == 200
    assert answer.grpc_status in (INVALID_NUMBER, UNIMPLEMENTED, INTERNAL)
    assert answer.grpc_message


def test_compressed_without_saying_how(connection: Connection) -> None:
    answer = connection.call(grpc_headers(), frame(good_request(), compressed=1))
    assert answer.grpc_status == INTERNAL
    assert answer.grpc_message


def test_compressed_in_an_unknown_way(connection: Connection) -> None:
    headers = grpc_headers(grpc_encoding="snappy")
    answer = connection.call(headers, frame(good_request(), compressed=1))
    assert answer.grpc_status == UNIMPLEMENTED
    assert "snappy" in answer.grpc_message
    accepted = answer.headers | answer.trailers
    assert "gzip" in accepted["grpc-accept-encoding"]


def test_compressed_data_that_is_none(connection: Connection) -> None:
    headers = grpc_headers(grpc_encoding="gzip")
    for body in (b"not gzip", gzip.compress(good_request())[:-6], b""):
        answer = connection.call(headers, frame(body, compressed=1))
        assert answer.grpc_status in (INVALID_NUMBER, INTERNAL), body
        assert answer.grpc_message


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_work(target: ServerProcess, compression) -> None:
    options = [("grpc.default_compression_algorithm", int(compression))]
    client = PredictionClient(target.channel(options))
    x = np.zeros(100_000, np.float32)
    np.testing.assert_array_equal(client.predict("half_plus_two", {"x": x})["y"], x + 3)


def test_an_expansion_bomb(models: Path, start) -> None:
    """4 MiB that inflate to 4 GiB, against a limit of 32 MiB."""
    process = start(
        *model_arguments({"half_plus_two": models / "half_plus_two"}),
        "--max-message-size",
        str(32 * MIB),
    )
    process.wait_serving()
    before = resident_bytes(process.pid)
    reset_peak(process.pid)
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = b"\0" * (64 * MIB)
    start_of_gzip = deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)
    # After a full flush the same input gives the same output, so it can be repeated.
    more_zeros = deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)
    bomb = start_of_gzip + more_zeros * 63
    with Connection(process.port) as connection:
        headers = grpc_headers(grpc_encoding="gzip")
        answer = connection.call(headers, frame(bomb, compressed=1))
    assert answer.grpc_status == EXHAUSTED_NUMBER
    assert str(32 * MIB) in answer.grpc_message
    assert peak_bytes(process.pid) - before < 160 * MIB
    PredictionClient(process.channel()).is_well()
    process.stop()


def test_the_message_limit(models: Path, start) -> None:
    process = start(
        *model_arguments({"half_plus_two": models / "half_plus_two"}),
        "--max-message-size",
        str(1 * MIB),
    )
    process.wait_serving()
    client = PredictionClient(process.channel())
    client.predict("half_plus_two", {"x": np.zeros(200_000, np.float32)})
    with refused(EXHAUSTED) as refusal:
        client.predict("half_plus_two", {"x": np.zeros(300_000, np.float32)})
    assert str(1 * MIB) in refusal.details
    client.is_well()
    process.stop()


def test_deadlines_on_the_wire(connection: Connection) -> None:
    slow = predict_request("sleep", {"milliseconds": np.int32(20_000)}).SerializeToString()
    answer = connection.call(grpc_headers(grpc_timeout="200m"), frame(slow))
    assert answer.grpc_status == DEADLINE
    assert answer.grpc_message == "Timed out waiting for notification"
    for generous in ("99999999H", "5S", "1M"):
        headers = grpc_headers(grpc_timeout=generous)
        assert connection.call(headers, frame(good_request())).grpc_status == OK


@pytest.mark.parametrize("timeout", ["", "5", "S", "-1S", "5x", "999999999S", "1.5S", "é"])
def test_deadlines_that_are_none(connection: Connection, timeout: str) -> None:
    """An error, or taken as no deadline; never a crash nor a hang."""
    answer = connection.call(grpc_headers(grpc_timeout=timeout), frame(good_request()))
    assert answer.reset is not None or answer.http_status == 400 or answer.grpc_status is not None
