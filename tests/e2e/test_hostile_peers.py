"""Peers that mean ill, or are broken in ways that look like it: the server gives none of
them more than their share, and answers everybody else meanwhile."""

import contextlib
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.predict import PredictionClient, good_request
from harness.raw_http2 import Connection, frame, grpc_headers
from harness.rest import RestClient
from harness.server_process import ServerProcess, model_arguments

TIMEOUT_SECONDS = 30.0
DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED = 4, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"


@pytest.fixture(scope="module")
def server(models: Path, start_for_module) -> ServerProcess:
    """One I/O thread: whoever holds it up holds up all."""
    arguments = model_arguments({"half_plus_two": models / "half_plus_two"})
    return start_for_module(*arguments, "--io-threads", "1", "--max-bytes", "1MiB").wait_serving()


@pytest.fixture
def client(server: ServerProcess) -> PredictionClient:
    return PredictionClient(server.channel())


def connect(server: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS)


@contextlib.contextmanager
def sending(client: socket.socket, data: bytes) -> Iterator[None]:
    """Sends it again and again, as fast as it is taken, from another thread."""
    ended = threading.Event()

    def send() -> None:
        with contextlib.suppress(OSError):
            while not ended.is_set():
                client.sendall(data)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        thread.join(TIMEOUT_SECONDS)


def test_a_body_without_end_after_its_answer(
    server: ServerProcess, client: PredictionClient
) -> None:
    """What comes after the answer is read for a while, but not by everybody's thread alone."""
    head = b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n"
    with contextlib.ExitStack() as kept:
        for _ in range(3):
            flood = kept.enter_context(connect(server))
            flood.sendall(head)
            kept.enter_context(sending(flood, bytes(1 << 20)))
        end = time.monotonic() + 3
        while time.monotonic() < end:
            began = time.monotonic()
            client.is_well()
            assert time.monotonic() - began < 2


def test_half_a_message_is_waited_for_until_its_deadline(server: ServerProcess) -> None:
    with Connection(server.port) as connection:
        stream = connection.begin(grpc_headers(grpc_timeout="300m"))
        connection.send(stream, frame(good_request())[:-1])
        began = time.monotonic()
        answer = connection.answer(stream)
        assert answer.grpc_status == DEADLINE_EXCEEDED
        assert 0.2 < time.monotonic() - began < 5
        # The connection and its other calls live on.
        assert connection.call(grpc_headers(), frame(good_request())).grpc_status == 0


def test_messages_that_never_end_do_not_fill_the_memory(server: ServerProcess) -> None:
    """All that are still coming may have 64 MiB here, whatever each of them promises."""
    part = bytes(40 << 20)
    with Connection(server.port) as first, Connection(server.port) as second:
        stream = first.begin(grpc_headers())
        first.send(stream, frame(b"", length=1 << 30) + part)
        other = second.begin(grpc_headers())
        answer = second.offer(other, frame(b"", length=1 << 30) + part)
        assert answer.grpc_status == RESOURCE_EXHAUSTED
        assert "requests that are still coming have" in answer.grpc_message
        assert "grpc-retry-pushback-ms" in answer.headers
        # Small ones go on.
        assert second.call(grpc_headers(), frame(good_request())).grpc_status == 0
    with RestClient(server.port) as rest:
        assert rest.post("half_plus_two", {"instances": [2.0]}).status == 200


def test_the_same_over_rest(server: ServerProcess) -> None:
    head = (
        b"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    )
    with connect(server) as first, connect(server) as second:
        for each in (first, second):
            each.sendall(head % (1 << 30))
        first.sendall(bytes(40 << 20))
        with contextlib.suppress(OSError):
            second.sendall(bytes(40 << 20))
        second.settimeout(TIMEOUT_SECONDS)
        assert second.recv(1 << 16).startswith(b"HTTP/1.1 429 ")


def http2_frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
    return head + struct.pack(">I", stream) + payload


def ends(client: socket.socket) -> bool:
    """Whether the server hangs up within the time."""
    client.settimeout(TIMEOUT_SECONDS)
    with contextlib.suppress(ConnectionError):
        while client.recv(1 << 16):
            pass
    return True


def test_headers_without_end(server: ServerProcess, client: PredictionClient) -> None:
    with connect(server) as flood:
        flood.sendall(PREFACE + http2_frame(1, 0, 1, b"\x83"))
        continuation = http2_frame(9, 0, 1, b"\x40\x01x\x01y" * 100)
        with contextlib.suppress(OSError):
            for _ in range(10_000):
                flood.sendall(continuation)
        assert ends(flood)
    client.is_well()


def test_requests_taken_back_at_once(server: ServerProcess, client: PredictionClient) -> None:
    """Whose headers are 0x83 0x86 0x84: POST http / and no more."""
    with connect(server) as flood:
        flood.sendall(PREFACE)
        with contextlib.suppress(OSError):
            for first in range(1, 400_000, 2000):
                pairs = [
                    http2_frame(1, 5, stream, b"\x83\x86\x84")
                    + http2_frame(3, 0, stream, b"\0\0\0\x08")
                    for stream in range(first, first + 2000, 2)
                ]
                flood.sendall(b"".join(pairs))
        client.is_well()
    client.is_well()


@pytest.mark.parametrize(
    "once",
    [
        pytest.param(http2_frame(6, 0, 0, bytes(8)), id="pings"),
        pytest.param(http2_frame(4, 0, 0, b"\0\x04\0\0\xff\xff"), id="settings"),
    ],
)
def test_a_flood_whose_answers_nobody_reads(
    server: ServerProcess, client: PredictionClient, once: bytes
) -> None:
    with connect(server) as flood:
        flood.sendall(PREFACE)
        with sending(flood, once * 1000):
            end = time.monotonic() + 2
            while time.monotonic() < end:
                client.is_well()
        before = memory(server)
    assert memory(server) < before + (64 << 20)
    client.is_well()


def memory(server: ServerProcess) -> int:
    """What is resident of it, bytes."""
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_no_file_left_for_a_connection(models: Path, start) -> None:
    """It waits for one without keeping a core busy, says so, and goes on then."""
    process = start(
        *model_arguments({"half_plus_two": models / "half_plus_two"}), "--max-connections", "0"
    ).wait_serving()
    # The last line of its start: from there on it opens nothing of its own.
    process.wait_line("Call it with")
    time.sleep(0.5)
    open_now = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (open_now + 5, open_now + 5))
    with contextlib.ExitStack() as kept:
        for _ in range(20):
            kept.enter_context(connect(process))
        end = time.monotonic() + TIMEOUT_SECONDS
        while "cannot accept connections" not in process.stderr:
            assert time.monotonic() < end, process.report()
            time.sleep(0.05)
        before = cpu_seconds(process.pid)
        time.sleep(1)
        assert cpu_seconds(process.pid) - before < 0.5
    assert process.process.poll() is None, process.report()
    with RestClient(process.port) as rest:
        assert rest.post("half_plus_two", {"instances": [2.0]}).status == 200
    assert process.stderr.count("cannot accept connections") <= 2
    process.stop()
