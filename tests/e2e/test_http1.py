"""HTTP/1.1, and pages over HTTP/2, on the port of gRPC."""

import contextlib
import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from harness.predict import PredictionClient, good_request
from harness.raw_http2 import Connection, frame, grpc_headers, speak
from harness.scrape import TEXT, TIMEOUT_SECONDS, Scrape, ask, get
from harness.server_process import ServerProcess, model_arguments

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST_GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def keep_alive(server: ServerProcess) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
    yield connection
    connection.close()


def test_a_thousand_requests_on_one_connection(
    keep_alive: http.client.HTTPConnection,
) -> None:
    keep_alive.connect()
    opened = keep_alive.sock
    for _ in range(1000):
        assert ask(keep_alive).status == 200
    # http.client would have opened another without a word.
    assert keep_alive.sock is opened


def test_get_and_head(keep_alive: http.client.HTTPConnection) -> None:
    got = ask(keep_alive)
    assert got.headers["content-type"] == TEXT
    assert int(got.headers["content-length"]) == len(got.body)
    head = ask(keep_alive, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-type"] == TEXT
    assert int(head.headers["content-length"]) == pytest.approx(len(got.body), rel=0.05)
    assert ask(keep_alive).status == 200


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metric", '/"quoted"/%22', "/" + "x" * 5000])
def test_nothing_there(keep_alive: http.client.HTTPConnection, path: str) -> None:
    answer = ask(keep_alive, path)
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/json"
    error = json.loads(answer.body)["error"]
    assert path[:200] in error
    assert "/metrics" in error
    assert len(error) < 400
    assert ask(keep_alive).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods(server: ServerProcess, method: str) -> None:
    answer = get(server.port, method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert method in json.loads(answer.body)["error"]


def test_a_query_is_no_part_of_the_path(server: ServerProcess) -> None:
    assert get(server.port, "/metrics?name[]=up").status == 200


def test_an_answer_in_spite_of_a_body_that_nobody_reads(server: ServerProcess) -> None:
    head = b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n"
    answer = speak(server.port, head + b"x" * 3_000_000)
    assert answer.startswith(b"HTTP/1.1 405 "), answer[:100]


def test_over_http2(server: ServerProcess) -> None:
    with Connection(server.port) as connection:

        def page(path: str, method: str = "GET"):
            headers = grpc_headers(path, _method=method, content_type=None, te=None)
            return connection.answer(connection.begin(headers, end=True))

        got = page("/metrics")
        assert got.http_status == 200
        assert got.headers["content-type"] == TEXT
        assert int(got.headers["content-length"]) == len(got.data)
        assert not got.trailers
        assert Scrape(got.data.decode()).value("tensorwire_build_info", version="0.1.0") == 1
        head = page("/metrics", "HEAD")
        assert (head.http_status, head.data) == (200, b"")
        missing = page("/nowhere")
        assert missing.http_status == 404
        assert "/nowhere" in json.loads(missing.data)["error"]
        # The same connection goes on with gRPC.
        assert connection.call(grpc_headers(), frame(good_request())).grpc_status == 0


def test_one_byte_at_a_time(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in LAST_GET:
            client.send(bytes([byte]))
            time.sleep(0.003)
        assert _all_of(client).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_preface_one_byte_at_a_time(server: ServerProcess) -> None:
    class Slow(Connection):
        def flush(self) -> None:
            for byte in self.h2.data_to_send():
                self.socket.send(bytes([byte]))
                time.sleep(0.002)

    with Slow(server.port) as connection:
        assert connection.call(grpc_headers(), frame(good_request())).grpc_status == 0


def test_requests_before_their_answers(server: ServerProcess) -> None:
    """As pipelining has it, in one packet, the last with its end."""
    answer = speak(server.port, GET * 4 + LAST_GET, hang_up=False)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 5


def test_the_old_protocol(server: ServerProcess) -> None:
    answer = speak(server.port, b"GET /metrics HTTP/1.0\r\n\r\n", hang_up=False)
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"tensorwire_build_info" in answer


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET\r\n\r\n", id="no path"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x5a" * 500, id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", id="nearly a preface"),
        pytest.param(b"\x00" * 5000, id="zeros"),
        pytest.param(b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n", id="no header"),
    ],
)
def test_what_is_no_http(server: ServerProcess, data: bytes) -> None:
    answer = speak(server.port, data, hang_up=False)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:100]
    assert get(server.port).status == 200


def test_a_head_that_is_too_large(server: ServerProcess) -> None:
    answer = speak(server.port, b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000, hang_up=False)
    assert answer.startswith(b"HTTP/1.1 431 "), answer[:100]


def test_many_scrapes_at_once(server: ServerProcess, client: PredictionClient) -> None:
    with ThreadPoolExecutor(60) as pool:
        # Reading all of them as a scraper does would take longer than answering them.
        scrapes = [pool.submit(get, server.port) for _ in range(300)]
        for _ in range(20):
            client.is_well()
        answers = [each.result() for each in scrapes]
    for answer in answers:
        assert answer.status == 200
        assert b"\ntensorwire_connections" in answer.body
    assert Scrape(answers[-1].body.decode()).total("tensorwire_connections") >= 1


def test_a_silent_connection_is_closed(server: ServerProcess) -> None:
    """After the ten seconds that it has to say what it is."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as silent:
        begun = time.monotonic()
        assert silent.recv(1) == b""
        assert 8 < time.monotonic() - begun < 15


@pytest.fixture
def own(models: Path, start) -> ServerProcess:
    arguments = model_arguments({"half_plus_two": models / "half_plus_two"})
    return start(*arguments).wait_serving()


def test_a_stop_does_not_wait_for_idle_connections(own: ServerProcess) -> None:
    idle = http.client.HTTPConnection("127.0.0.1", own.port, timeout=TIMEOUT_SECONDS)
    ask(idle)
    silent = socket.create_connection(("127.0.0.1", own.port), TIMEOUT_SECONDS)
    half = socket.create_connection(("127.0.0.1", own.port), TIMEOUT_SECONDS)
    half.sendall(PREFACE[:10])
    with contextlib.closing(idle), silent, half:
        begun = time.monotonic()
        # Hanging up when the other side does, as clients do.
        closers = [
            threading.Thread(target=_close_when_told, args=(opened,))
            for opened in (idle.sock, silent, half)
        ]
        for closer in closers:
            closer.start()
        own.stop()
        assert time.monotonic() - begun < 3
        for closer in closers:
            closer.join()


def test_a_stop_does_not_wait_for_pools(own: ServerProcess) -> None:
    """They look at a connection when they use it, and don't see that the server closed it."""
    pool = [
        http.client.HTTPConnection("127.0.0.1", own.port, timeout=TIMEOUT_SECONDS)
        for _ in range(3)
    ]
    for connection in pool:
        ask(connection, "/healthz")
    begun = time.monotonic()
    own.stop()
    assert time.monotonic() - begun < 3
    assert "cut off" not in own.stderr, own.report()
    for connection in pool:
        connection.close()


def test_who_has_just_connected_at_a_stop_is_answered(own: ServerProcess) -> None:
    """Its request is on its way when the stop begins."""
    health = health_pb2_grpc.HealthStub(own.channel())
    updates = health.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
    next(updates)
    with (
        socket.create_connection(("127.0.0.1", own.port), TIMEOUT_SECONDS) as client,
        contextlib.closing(http.client.HTTPConnection("127.0.0.1", own.port)) as later,
    ):
        # Connections are taken in their order.
        ask(later, "/healthz")
        own.signal(signal.SIGTERM)
        assert next(updates).status == health_pb2.HealthCheckResponse.NOT_SERVING
        client.sendall(GET)
        received = _all_of(client)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n"), received
    assert own.wait() == 0


def test_a_scrape_that_is_being_read_is_finished(own: ServerProcess) -> None:
    """More than the kernel holds for a client that reads nothing until the drain."""
    count = 400
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(TIMEOUT_SECONDS)
        slow.connect(("127.0.0.1", own.port))
        slow.sendall(GET * count)
        received = slow.recv(1000)
        own.signal(signal.SIGTERM)
        received += _all_of(slow)
    # Whole answers only: those it had begun, the last of which says that it is the last.
    heads = received.count(b"HTTP/1.1 200 OK\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in received.split(b"\r\n")
        if line.startswith(b"content-length:")
    ]
    assert heads == len(lengths) >= 1
    bodies = received.split(b"\r\n\r\n", 1)[1]
    assert len(bodies) >= lengths[0]
    last = received.rpartition(b"HTTP/1.1 200 OK\r\n")[2].partition(b"\r\n\r\n")
    assert len(last[2]) == lengths[-1]
    assert own.wait() == 0
    own.assert_no_crash()


def _all_of(client: socket.socket) -> bytes:
    received = b""
    while chunk := client.recv(1 << 16):
        received += chunk
    return received


def _close_when_told(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):
        opened.recv(1 << 16)
    opened.close()
