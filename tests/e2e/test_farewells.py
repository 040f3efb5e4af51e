"""Connections that end in the midst of requests: what is under way is answered, whatever the
client, which does not know yet or has said so itself, still sends."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    WindowUpdateFrame,
)

from harness.predict import predict_request
from harness.raw_http2 import Connection, frame, grpc_headers
from harness.server_process import ServerProcess, model_arguments

FIRST, LATE = 1, 3


FRAMES = {
    "a request": [DataFrame(LATE, frame(b"\x0a\x00"), flags=["END_STREAM"])],
    "an unfinished request": [DataFrame(LATE, b"\0")],
    "room for the reply": [WindowUpdateFrame(LATE, window_increment=1 << 16)],
    "room for the reply, after the request": [
        DataFrame(LATE, frame(b""), flags=["END_STREAM"]),
        WindowUpdateFrame(LATE, window_increment=1 << 16),
    ],
    "a cancellation": [RstStreamFrame(LATE, error_code=8)],
    "a priority": [PriorityFrame(LATE, depends_on=0, stream_weight=7)],
}


def frames(connection: Connection) -> Iterator[Frame]:
    """What the server sends, until it hangs up."""
    held = b""
    while True:
        while len(held) >= 9:
            parsed, length = Frame.parse_frame_header(memoryview(held[:9]))
            if len(held) < 9 + length:
                break
            parsed.parse_body(memoryview(held[9 : 9 + length]))
            held = held[9 + length :]
            yield parsed
        received = connection.socket.recv(1 << 16)
        if not received:
            return
        held += received


@pytest.mark.parametrize("late", FRAMES.values(), ids=FRAMES)
def test_frames_of_a_stream_that_began_too_late(models: Path, start, late: list[Frame]) -> None:
    process = start(*model_arguments({"sleep": models / "sleep"})).wait_serving()
    request = predict_request("sleep", {"milliseconds": np.int32(1500)})
    with Connection(process.port) as connection:
        stream = connection.begin(grpc_headers())
        assert stream == FIRST
        connection.send(stream, frame(request.SerializeToString()), end=True)
        # One connection is read in order: when this is answered, that one was read.
        connection.socket.sendall(PingFrame(0, b"was read").serialize())
        came = frames(connection)
        assert any(isinstance(each, PingFrame) and "ACK" in each.flags for each in came)
        process.signal(signal.SIGTERM)
        farewells = []
        while len(farewells) < 2:
            each = next(came)
            if isinstance(each, PingFrame) and "ACK" not in each.flags:
                pong = PingFrame(0, each.opaque_data, flags=["ACK"])
                connection.socket.sendall(pong.serialize())
            if isinstance(each, GoAwayFrame):
                farewells.append(each)
        assert [each.error_code for each in farewells] == [0, 0]
        assert farewells[1].last_stream_id == FIRST
        block = connection.h2.encoder.encode(grpc_headers())
        head = HeadersFrame(LATE, block, flags=["END_HEADERS"])
        connection.socket.sendall(b"".join(each.serialize() for each in [head, *late]))
        statuses = []
        for each in came:
            assert not isinstance(each, GoAwayFrame), each
            assert each.stream_id in (0, FIRST), each
            if isinstance(each, HeadersFrame) and "END_STREAM" in each.flags:
                statuses.append(dict(connection.h2.decoder.decode(each.data))["grpc-status"])
            elif isinstance(each, HeadersFrame):
                connection.h2.decoder.decode(each.data)
        assert statuses == ["0"]
    assert process.wait() == 0
    assert "cut off" not in process.stderr, process.report()


def test_a_client_that_says_farewell_itself_gets_its_last_reply(server: ServerProcess) -> None:
    """As Java's clients do when they are closed; what the server has sent is not lost to what
    they say while they read it."""
    x = np.zeros(200_000, np.float32)
    body = frame(predict_request("half_plus_two", {"x": x}).SerializeToString())
    with Connection(server.port, receive_buffer=4096) as connection:
        stream = connection.begin(grpc_headers())
        connection.h2.increment_flow_control_window(1 << 24, stream)
        connection.send(stream, body, end=True)
        connection.socket.sendall(GoAwayFrame(0, last_stream_id=0).serialize())
        received = 0
        statuses = []
        for each in frames(connection):
            # Slower than the server, and never quite silent.
            time.sleep(0.002)
            connection.socket.sendall(PingFrame(0, b"reading!").serialize())
            if isinstance(each, DataFrame):
                received += len(each.data)
            if isinstance(each, HeadersFrame):
                headers = dict(connection.h2.decoder.decode(each.data))
                statuses.append(headers.get("grpc-status"))
        assert statuses[-1] == "0"
        assert received > x.nbytes
