"""Unix sockets, the port for REST alone, and the limits of connections."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest

import tensorwire as tw
from harness.predict import TIMEOUT_SECONDS, PredictionClient, predict_request, refused
from harness.scrape import get
from harness.server_process import ServerProcess, model_arguments, serve_command

CLIENT_SECONDS = 20.0
ON_THIS_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="names are Linux's")


@pytest.fixture
def serve(models: Path, start):
    """Starts a server of a few models with these further arguments."""
    served = model_arguments({name: models / name for name in ("half_plus_two", "sleep")})
    return lambda *arguments: start(*served, *arguments).wait_serving()


def run_server(models: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One that is expected to end by itself."""
    return subprocess.run(
        [*serve_command(["--port", "0"]), str(models / "half_plus_two"), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class UnixHttp(http.client.HTTPConnection):
    """HTTP/1.1 over a Unix socket."""

    def __init__(self, path: Path):
        super().__init__("localhost", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_SECONDS)
        self.sock.connect(str(self._path))


def test_a_unix_socket(serve, tmp_path: Path) -> None:
    path = tmp_path / "tensorwire.sock"
    process: ServerProcess = serve("--unix-socket", str(path))
    target = f"unix:{path}"
    assert process.places["unix_socket"] == target
    process.wait_line(f"Listening on {target} (gRPC and REST)")
    PredictionClient(process.channel(target=target)).is_well()
    PredictionClient(process.channel()).is_well()
    for address in (target, f"unix://{path}"):
        with tw.Client(address, timeout=CLIENT_SECONDS) as client:
            large = np.zeros(1 << 20, np.float32)
            assert client.predict("half_plus_two", large)["y"].shape == large.shape
            assert [status.name for status in client.models()] == ["half_plus_two", "sleep"]
    connection = UnixHttp(path)
    connection.request("GET", "/metrics")
    assert connection.getresponse().status == 200
    connection.close()
    process.stop()
    assert not path.exists()


def test_what_came_over_a_unix_socket_is_answered(serve, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    process = serve("--unix-socket", str(path))
    client = PredictionClient(process.channel(target=f"unix:{path}"))
    request = predict_request("sleep", {"milliseconds": np.int32(1500)})
    running = client.prediction.Predict.future(request, timeout=TIMEOUT_SECONDS)
    client.is_well()
    process.signal(signal.SIGTERM)
    assert running.result().outputs["slept"].int_val == [1500]
    assert process.wait() == 0
    assert not path.exists()


def test_a_socket_that_was_left_behind_is_replaced(serve, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    killed = serve("--unix-socket", str(path))
    killed.process.kill()
    killed.process.wait(TIMEOUT_SECONDS)
    assert path.is_socket()
    process = serve("--unix-socket", str(path))
    PredictionClient(process.channel(target=f"unix:{path}")).is_well()


def test_a_socket_that_is_listened_on_is_not(serve, models: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    process = serve("--unix-socket", str(path))
    done = run_server(models, "--unix-socket", str(path))
    assert done.returncode != 0
    words = f"cannot listen on unix:{path}: another process listens there"
    assert words in done.stderr, done.stderr
    PredictionClient(process.channel(target=f"unix:{path}")).is_well()


def test_a_file_that_is_no_socket_stays(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    for given, words in [
        (path, "there is a file of this name that is no socket"),
        (tmp_path / "nowhere" / "socket", "there is no directory"),
        (tmp_path / ("x" * 120), "more than the system takes for a socket"),
    ]:
        done = run_server(models, "--unix-socket", str(given))
        assert done.returncode != 0
        assert words in done.stderr, done.stderr
    assert path.read_text() == "mine"


@ON_THIS_LINUX
def test_a_name_of_the_abstract_namespace(serve) -> None:
    name = f"tensorwire-test-{os.getpid()}"
    process = serve("--unix-socket", f"@{name}")
    target = f"unix-abstract:{name}"
    assert process.places["unix_socket"] == target
    PredictionClient(process.channel(target=target)).is_well()
    with tw.Client(target, timeout=CLIENT_SECONDS) as client:
        assert client.predict("half_plus_two", [2.0])["y"].tolist() == [4.0]


def test_no_port_at_all(models: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with tw.Server(models / "half_plus_two", port=None, unix_socket=path) as server:
        assert server.address == f"unix:{path}"
        assert [place.kind for place in server.places] == ["unix_socket"]
        with tw.Client(server.address, timeout=CLIENT_SECONDS) as client:
            assert client.predict("half_plus_two", [2.0])["y"].tolist() == [4.0]
        with pytest.raises(tw.TensorWireError, match="the server has no port"):
            _ = server.port
    assert not path.exists()
    with pytest.raises(tw.errors.ConfigError, match="there is nothing to listen on"):
        tw.Server(models / "half_plus_two", port="off")


def test_a_port_for_rest_alone(serve) -> None:
    process = serve("--rest-port", "0")
    port = process.places["rest_port"]
    assert port not in (0, process.port)
    assert get(port).status == 200
    with refused(grpc.StatusCode.UNIMPLEMENTED) as refusal:
        PredictionClient(process.channel(target=f"127.0.0.1:{port}")).is_well()
    assert "serves plain HTTP (REST) alone" in refusal.details
    PredictionClient(process.channel()).is_well()


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closes it at once: one that it keeps it waits for."""
    connection.settimeout(1)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def test_connections_over_the_limit_are_closed(serve) -> None:
    process = serve("--max-connections", "4")
    refused_so_far = "tensorwire_connections_refused_total "
    with contextlib.ExitStack() as kept:
        place = ("127.0.0.1", process.port)
        # The harness's own, from waiting for health, is one of the four.
        for _ in range(5):
            one_more = kept.enter_context(socket.create_connection(place, TIMEOUT_SECONDS))
            if is_closed(one_more):
                break
        else:
            raise AssertionError("nothing was closed")
    end = time.monotonic() + TIMEOUT_SECONDS
    while "as many as max_connections allows" not in process.stderr:
        assert time.monotonic() < end, process.report()
        time.sleep(0.05)
    text = ""
    while refused_so_far not in text:
        assert time.monotonic() < end
        # The others' places are free once their end has been seen.
        with contextlib.suppress(OSError, http.client.HTTPException):
            text = get(process.port).body.decode()
    (line,) = (line for line in text.splitlines() if line.startswith(refused_so_far))
    assert float(line.split()[1]) >= 1


def test_connections_of_age_are_made_anew_and_lose_nothing(serve) -> None:
    process = serve("--max-connection-age", "500ms")
    states: list[grpc.ChannelConnectivity] = []
    channel = process.channel()
    channel.subscribe(states.append)
    client = PredictionClient(channel)
    end = time.monotonic() + 4
    request = predict_request("sleep", {"milliseconds": np.int32(1200)})
    # One that outlives its connection's age.
    running = client.prediction.Predict.future(request, timeout=TIMEOUT_SECONDS)
    while time.monotonic() < end:
        client.is_well()
    assert running.result().outputs["slept"].int_val == [1200]
    assert states.count(grpc.ChannelConnectivity.READY) >= 3, states
    # The same for HTTP/1.1 and for our client.
    with tw.Client(process.address, timeout=CLIENT_SECONDS) as ours:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert ours.predict("half_plus_two", [2.0])["y"].tolist() == [4.0]
    with socket.create_connection(("127.0.0.1", process.port), TIMEOUT_SECONDS) as kept:
        kept.settimeout(TIMEOUT_SECONDS)
        kept.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        began = time.monotonic()
        while kept.recv(1 << 16):
            pass
        assert time.monotonic() - began < 10


EMBEDDED = """
import dataclasses, json, sys
from tensorwire.server import Server

server = Server({"half_plus_two": sys.argv[1]}, port=0)
listener = server.config.listener
connections = dataclasses.replace(listener.connections, **json.loads(sys.argv[2]))
listener = dataclasses.replace(listener, connections=connections)
server.config = dataclasses.replace(server.config, listener=listener)
with server:
    print(server.address, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def embedded(models: Path):
    """Starts a server with connection settings that have no flag; answers its address."""
    processes = []

    def start(**connections: float | None) -> str:
        settings = json.dumps(connections)
        process = subprocess.Popen(
            [sys.executable, "-c", EMBEDDED, str(models / "half_plus_two"), settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    yield start
    for process in processes:
        try:
            process.communicate(timeout=TIMEOUT_SECONDS)
        finally:
            process.kill()


def test_idle_connections_end(embedded) -> None:
    address = embedded(max_connection_idle=0.5)
    states: list[grpc.ChannelConnectivity] = []
    went = threading.Event()

    def note(state: grpc.ChannelConnectivity) -> None:
        states.append(state)
        if grpc.ChannelConnectivity.READY in states and state is grpc.ChannelConnectivity.IDLE:
            went.set()

    with grpc.insecure_channel(address) as channel:
        channel.subscribe(note)
        client = PredictionClient(channel)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            client.is_well()
            time.sleep(0.05)
        assert not went.is_set(), "it had requests all the time"
        assert went.wait(TIMEOUT_SECONDS)
        client.is_well()


FLOATS = 1_500_000


def begin_large(address: str) -> socket.socket:
    """A request over HTTP/1.1 whose reply is far more than the kernel keeps for a client."""
    host, _, port = address.rpartition(":")
    body = json.dumps({"inputs": [1.25] * FLOATS}).encode()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    client.settimeout(TIMEOUT_SECONDS)
    client.connect((host, int(port)))
    head = f"POST /v1/models/half_plus_two:predict HTTP/1.1\r\nContent-Length: {len(body)}"
    client.sendall(head.encode() + b"\r\nHost: x\r\n\r\n" + body)
    return client


def test_idle_http1_connections_end_and_slow_readers_are_no_such(embedded) -> None:
    address = embedded(max_connection_idle=0.6)
    with begin_large(address) as client:
        received = client.recv(1 << 16)
        while not received.endswith(b"]}"):
            # Some 3 s in all, or more.
            time.sleep(0.02)
            received += client.recv(1 << 16, socket.MSG_WAITALL)
        assert received.count(b"3.625") == FLOATS
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), TIMEOUT_SECONDS) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        began = time.monotonic()
        assert client.recv(1) == b""
        assert 0.5 < time.monotonic() - began < 10
    # One that never comes to an end of what it wants is idle.
    with socket.create_connection((host, int(port)), TIMEOUT_SECONDS) as client:
        began = time.monotonic()
        client.settimeout(0.1)
        with contextlib.suppress(ConnectionError):
            while True:
                client.sendall(b"G")
                with contextlib.suppress(TimeoutError):
                    assert client.recv(1) == b""
                    break
                assert time.monotonic() - began < 10


def test_at_their_age_http1_connections_have_their_grace_and_no_more(embedded) -> None:
    address = embedded(max_connection_age=0.3, max_connection_age_grace=0.3)
    with begin_large(address) as client:
        # Nothing is read before both are over.
        time.sleep(3)
        received = 0
        while chunk := client.recv(1 << 16):
            received += len(chunk)
        assert 0 < received < 6 * FLOATS


def test_a_client_that_answers_no_ping_is_gone(embedded) -> None:
    address = embedded(keepalive_time=0.3, keepalive_timeout=0.5)
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), TIMEOUT_SECONDS) as mute:
        mute.settimeout(TIMEOUT_SECONDS)
        mute.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        began = time.monotonic()
        while mute.recv(4096):
            pass
        assert 0.6 < time.monotonic() - began < 10
    # Those that answer live on.
    with grpc.insecure_channel(address) as channel:
        states: list[grpc.ChannelConnectivity] = []
        client = PredictionClient(channel)
        client.is_well()
        channel.subscribe(states.append)
        time.sleep(2)
        client.is_well()
        assert set(states) == {grpc.ChannelConnectivity.READY}
