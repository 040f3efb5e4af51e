"""How the REST API's requests and replies travel: compression, pipelining, slow, broken
and huge bodies, clients that go away, deadlines and the end of the server."""

import gzip
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.memory import MIB, peak_bytes, reset_peak, resident_bytes
from harness.raw_http2 import Connection, grpc_headers
from harness.rest import TIMEOUT_SECONDS, RestClient
from harness.scrape import scrape
from harness.server_process import ServerProcess, model_arguments

BODY = json.dumps({"instances": [2.0]}).encode()
PATH = "/v1/models/half_plus_two:predict"


def head(length: int | str, *lines: str) -> bytes:
    more = "".join(f"{line}\r\n" for line in lines)
    return (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{more}\r\n").encode()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)


def read_until(client: socket.socket, part: bytes, count: int = 1) -> bytes:
    """What comes until `part` has come so many times; all if the server closes before."""
    received = b""
    while received.count(part) < count:
        chunk = client.recv(65536)
        if not chunk:
            break
        received += chunk
    return received


@pytest.fixture
def rest(server: ServerProcess) -> Iterator[RestClient]:
    with RestClient(server.port) as client:
        yield client


@pytest.mark.parametrize("count", [1, 100_000])
def test_a_compressed_request(rest: RestClient, count: int) -> None:
    body = gzip.compress(json.dumps({"inputs": [2.0] * count}).encode())
    answer = rest.post("half_plus_two", body, **{"Content-Encoding": "gzip"})
    assert answer.json == {"outputs": [4.0] * count}


def test_what_is_not_compressed(rest: RestClient) -> None:
    for body in (BODY, gzip.compress(BODY)[:-12]):
        answer = rest.post("half_plus_two", body, **{"Content-Encoding": "gzip"})
        assert answer.status == 400
        assert answer.error.startswith("cannot decompress the message: ")


def test_a_small_body_that_is_a_large_one(rest: RestClient) -> None:
    """As zeros are in JSON: up to the 100 MB that TensorFlow Serving takes."""
    spaces = 98_000_000
    body = gzip.compress(b'{"instances": [2.0]' + b" " * spaces + b"}", 9)
    assert len(body) < spaces / 500
    answer = rest.post("half_plus_two", body, **{"Content-Encoding": "gzip"})
    assert answer.json == {"predictions": [4.0]}


def test_bombs(rest: RestClient, server: ServerProcess) -> None:
    bomb = gzip.compress(b" " * (120 << 20), 9)
    assert len(bomb) < 1 << 20
    answer = rest.post("half_plus_two", bomb, **{"Content-Encoding": "x-gzip"})
    assert answer.status == 413
    assert "larger than max" in answer.error

    def send(_number: int) -> int:
        with RestClient(server.port) as client:
            return client.post("half_plus_two", bomb, **{"Content-Encoding": "gzip"}).status

    # Many at once are not inflated at once: that would take gigabytes.
    before = resident_bytes(server.pid)
    reset_peak(server.pid)
    with ThreadPoolExecutor(24) as pool:
        assert set(pool.map(send, range(24))) == {413}
    assert peak_bytes(server.pid) - before < 12 * 100 * MIB


@pytest.mark.parametrize("count", [1000, 100_000])
def test_a_compressed_reply(rest: RestClient, count: int) -> None:
    body = {"inputs": [2.0] * count}
    plain = rest.post("half_plus_two", body)
    assert "content-encoding" not in plain.headers
    answer = rest.post("half_plus_two", body, **{"Accept-Encoding": "br, gzip;q=0.8"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "accept-encoding"
    assert len(answer.body) < len(plain.body) / 10
    assert gzip.decompress(answer.body) == plain.body


def test_replies_that_stay_plain(rest: RestClient) -> None:
    small = rest.post("half_plus_two", BODY, **{"Accept-Encoding": "gzip"})
    assert small.json == {"predictions": [4.0]}
    large = {"inputs": [2.0] * 1000}
    refused = rest.post("half_plus_two", large, **{"Accept-Encoding": "gzip;q=0, identity"})
    assert "content-encoding" not in refused.headers


def test_a_thousand_requests_on_one_connection(rest: RestClient) -> None:
    rest.connection.connect()
    opened = rest.connection.sock
    for number in range(1000):
        assert rest.predict("half_plus_two", {"instances": [number]}) == [number / 2 + 3]
    assert rest.connection.sock is opened


def test_requests_before_their_replies(server: ServerProcess) -> None:
    """Pipelined in one packet; replies come in the order of the requests."""
    requests = b""
    for number in range(20):
        body = json.dumps({"instances": [number]}).encode()
        requests += head(len(body)) + body
    with connect(server.port) as client:
        client.sendall(requests)
        received = read_until(client, b'{"predictions":[', 20)
    answers = [part.split(b"]}")[0] for part in received.split(b'{"predictions":[')[1:]]
    assert [float(answer) for answer in answers] == [number / 2 + 3 for number in range(20)]


def test_a_client_that_asks_whether_to_go_on(server: ServerProcess) -> None:
    with connect(server.port) as client:
        client.sendall(head(len(BODY), "Expect: 100-continue"))
        assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 100 Continue\r\n")
        client.sendall(BODY)
        assert b'{"predictions":[4.0]}' in read_until(client, b"]}")


def test_a_body_in_chunks(server: ServerProcess) -> None:
    lines = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with connect(server.port) as client:
        client.sendall(lines)
        for byte in BODY:
            client.sendall(b"1\r\n%c\r\n" % byte)
        client.sendall(b"0\r\n\r\n")
        assert b'{"predictions":[4.0]}' in read_until(client, b"]}")


def test_a_slow_body(server: ServerProcess) -> None:
    with connect(server.port) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in head(len(BODY)) + BODY:
            client.sendall(bytes([byte]))
            time.sleep(0.001)
        assert b'{"predictions":[4.0]}' in read_until(client, b"]}")


def test_a_body_that_breaks_off(server: ServerProcess) -> None:
    with connect(server.port) as client:
        client.sendall(head(len(BODY) + 10) + BODY)
        client.shutdown(socket.SHUT_WR)
        assert b" 200 " not in client.recv(65536)
    with RestClient(server.port) as rest:
        assert rest.post("half_plus_two", BODY).status == 200


def test_huge_bodies(start, models: Path) -> None:
    arguments = model_arguments({"half_plus_two": models / "half_plus_two"})
    own = start(*arguments, "--max-message-size", "1MiB").wait_serving()
    limit = 1 << 20
    with connect(own.port) as client:
        # Refused by its length, before any of it is sent.
        client.sendall(head(10**15, "Expect: 100-continue"))
        answer = read_until(client, b"}")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert f"({10**15} vs. {limit})".encode() in answer
    with connect(own.port) as client:
        chunked = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(chunked.encode())
        try:
            for _ in range(1000):
                client.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        except OSError:
            pass  # It has stopped reading, and said so.
        assert read_until(client, b"}").startswith(b"HTTP/1.1 413 ")
    with RestClient(own.port) as rest:
        fits = b'{"instances": [2.0]' + b" " * (limit - 20) + b"}"
        assert len(fits) == limit
        assert rest.post("half_plus_two", fits).json == {"predictions": [4.0]}
        assert rest.post("half_plus_two", fits + b" ").status == 413


def test_an_error_does_not_repeat_a_large_body(rest: RestClient) -> None:
    name = "k" * 1_000_000
    for body in (
        {"instances": [{name: 1}]},
        {"signature_name": name, "instances": [1]},
    ):
        answer = rest.post("half_plus_two", body)
        assert answer.status == 400
        assert answer.error.endswith("kkk...TRUNCATED")
        assert len(answer.body) < 1100


def test_deep_nesting(rest: RestClient) -> None:
    depth = 1_000_000
    answer = rest.post("half_plus_two", '{"inputs": ' + "[" * depth + "]" * depth + "}")
    assert answer.status == 400
    assert answer.error == "input x goes deeper in lists than the 254 possible"
    answer = rest.post("half_plus_two", '{"x": ' + '{"a":' * depth + "1" + "}" * depth + "}")
    assert answer.error == "Missing 'inputs' or 'instances' key"
    answer = rest.post("half_plus_two", '{"inputs": ' + "[" * depth)
    assert answer.error.startswith("JSON Parse error: ")


def running(port: int) -> float:
    return scrape(port).value("tensorwire_requests_in_flight")


def wait_until(what, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def cancelled(port: int) -> float:
    return scrape(port).total("tensorwire_requests_total", model="sleep", code="CANCELLED")


@pytest.fixture
def sleeper(start, models: Path) -> ServerProcess:
    """A server whose requests take as long as they say."""
    return start(
        *model_arguments({"sleep": models / "sleep"}), "--runner-threads", "1"
    ).wait_serving()


def sleep_request(milliseconds: int) -> bytes:
    body = json.dumps({"inputs": milliseconds}).encode()
    line = f"POST /v1/models/sleep:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
    return f"{line}\r\n\r\n".encode() + body


@pytest.mark.parametrize("ending", ["close", "half"])
def test_a_client_that_goes_away(sleeper: ServerProcess, ending: str) -> None:
    """What waits for its turn is never run once its client is gone."""
    first = connect(sleeper.port)
    first.sendall(sleep_request(1500))
    time.sleep(0.2)
    before = cancelled(sleeper.port)
    second = connect(sleeper.port)
    second.sendall(sleep_request(60_000))
    time.sleep(0.2)
    if ending == "close":
        second.close()
    else:
        second.shutdown(socket.SHUT_WR)
        assert second.recv(65536).startswith(b"HTTP/1.1 499 ")
        second.close()
    wait_until(lambda: cancelled(sleeper.port) == before + 1, 5.0)
    assert b" 200 " in read_until(first, b"}")
    first.close()
    with RestClient(sleeper.port) as rest:
        # The minute of the one that is gone was not slept.
        assert rest.post("sleep", {"inputs": 1}).status == 200


def test_a_client_that_resets_its_stream(sleeper: ServerProcess) -> None:
    before = cancelled(sleeper.port)
    with Connection(sleeper.port) as connection:
        headers = grpc_headers(
            "/v1/models/sleep:predict", content_type="application/json", te=None
        )
        busy = connection.begin(headers)
        connection.send(busy, b'{"inputs": 1000}', end=True)
        time.sleep(0.2)
        stream = connection.begin(headers)
        connection.send(stream, b'{"inputs": 60000}', end=True)
        time.sleep(0.2)
        connection.h2.reset_stream(stream)
        connection.flush()
        wait_until(lambda: cancelled(sleeper.port) == before + 1, 5.0)
        assert connection.answer(busy).http_status == 200


def test_a_deadline(start, models: Path) -> None:
    arguments = model_arguments({"sleep": models / "sleep"})
    own = start(*arguments, "--rest-timeout", "300ms").wait_serving()
    with RestClient(own.port) as rest:
        begun = time.monotonic()
        answer = rest.post("sleep", {"inputs": 5000})
        assert time.monotonic() - begun < 3.0
        assert answer.status == 504
        assert answer.error == "Timed out waiting for notification"
        assert rest.post("sleep", {"inputs": 1}).status in (200, 504)


def test_the_end_waits_for_what_runs(sleeper: ServerProcess) -> None:
    with RestClient(sleeper.port) as idle, connect(sleeper.port) as client:
        assert idle.get("/readyz").status == 200
        client.sendall(sleep_request(1500))
        time.sleep(0.3)
        stopping = threading.Thread(target=sleeper.process.send_signal, args=[signal.SIGTERM])
        stopping.start()
        answer = read_until(client, b"}")
        assert b"HTTP/1.1 200 OK" in answer
        assert client.recv(65536) == b""
        stopping.join()
    assert sleeper.process.wait(TIMEOUT_SECONDS) == 0


def test_counted_like_any_other(rest: RestClient, server: ServerProcess) -> None:
    def counts() -> tuple[float, float]:
        seen = scrape(server.port)
        labels = {"model": "half_plus_two", "signature": "serving_default"}
        return (
            seen.total("tensorwire_requests_total", code="OK", **labels),
            seen.total("tensorwire_requests_total", code="INVALID_ARGUMENT", **labels),
        )

    before = counts()
    rest.post("half_plus_two", BODY)
    rest.post("half_plus_two", '{"instances": ["x"]}')
    assert counts() == (before[0] + 1, before[1] + 1)
