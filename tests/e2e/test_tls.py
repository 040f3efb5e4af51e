"""TLS: gRPC and HTTP over it, clients' certificates, renewal, and what goes wrong."""

import contextlib
import datetime
import http.client
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import tensorwire as tw
from harness.certificates import Authority, Identity, self_signed
from harness.predict import TIMEOUT_SECONDS, PredictionClient, predict_request
from harness.server_process import ServerProcess, model_arguments, serve_command
from tensorwire.errors import ConfigError, InvalidArgumentError, UnavailableError

CLIENT_SECONDS = 20.0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody here trusts."""
    return Authority(tmp_path_factory.mktemp("stranger"))


def served(models: Path) -> list[str]:
    return model_arguments({name: models / name for name in ("half_plus_two", "sleep")})


@pytest.fixture(scope="module")
def secure(models: Path, authority: Authority, start_for_module) -> ServerProcess:
    """A server that speaks TLS."""
    arguments = authority.issue("server").arguments
    process = start_for_module(
        *served(models),
        *arguments,
        *("--rest-port", "0", "--log-level", "debug"),
        credentials=authority.credentials(),
    )
    return process.wait_serving()


@pytest.fixture(scope="module")
def mutual(models: Path, authority: Authority, start_for_module) -> ServerProcess:
    """One that wants clients' certificates."""
    client = authority.issue("watcher", "watcher.test")
    arguments = [*authority.issue("server").arguments, "--tls-client-ca", str(authority.root)]
    credentials = authority.credentials(client)
    return start_for_module(*served(models), *arguments, credentials=credentials).wait_serving()


def trusting(authority: Authority, identity: Identity | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.root))
    if identity is not None:
        context.load_cert_chain(identity.certificate, identity.key)
    return context


def page(port: int, context: ssl.SSLContext, path: str = "/metrics") -> tuple[int, str]:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port, context=context, timeout=TIMEOUT_SECONDS
    )
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def handshake_failures(process: ServerProcess, authority: Authority) -> float:
    text = page(process.port, trusting(authority))[1]
    found = re.search(r"^tensorwire_tls_handshake_failures_total (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_grpcio_over_tls(secure: ServerProcess) -> None:
    PredictionClient(secure.channel()).is_well()
    assert "(gRPC and REST with TLS)" in secure.wait_line("Listening on 127.0.0.1")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_http_over_tls_on_both_ports(
    secure: ServerProcess, authority: Authority, version: ssl.TLSVersion
) -> None:
    context = trusting(authority)
    context.minimum_version = context.maximum_version = version
    for port in (secure.port, secure.places["rest_port"]):
        status, text = page(port, context)
        assert status == 200
        assert "tensorwire_connections" in text


def test_what_is_spoken_is_agreed_on_in_the_handshake(
    secure: ServerProcess, authority: Authority
) -> None:
    for offered, agreed in [
        (["h2", "http/1.1"], "h2"),
        (["http/1.1"], "http/1.1"),
        ([], None),
    ]:
        context = trusting(authority)
        if offered:
            context.set_alpn_protocols(offered)
        with (
            socket.create_connection(("127.0.0.1", secure.port), TIMEOUT_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname="localhost") as stream,
        ):
            assert stream.selected_alpn_protocol() == agreed


def test_our_client_over_tls(secure: ServerProcess, authority: Authority) -> None:
    for tls in (tw.Tls(ca=authority.root), tw.Tls(ca=authority.root.read_text())):
        with tw.Client(secure.address, tls=tls, timeout=CLIENT_SECONDS) as client:
            assert client.predict("half_plus_two", [2.0])["y"].tolist() == [4.0]
    large = np.zeros(2 << 20, np.float32)
    with tw.Client(f"https://{secure.address}", tls=tls, timeout=CLIENT_SECONDS) as client:
        assert client.predict("half_plus_two", large)["y"].shape == large.shape


async def test_our_asyncio_client_over_tls(secure: ServerProcess, authority: Authority) -> None:
    tls = tw.Tls(ca=authority.root, server_name="localhost")
    async with tw.AsyncClient(secure.address, tls=tls, timeout=CLIENT_SECONDS) as client:
        assert (await client.predict("half_plus_two", [2.0]))["y"].tolist() == [4.0]


def test_the_commands_over_tls(secure: ServerProcess, authority: Authority) -> None:
    tls = ["--tls-ca", str(authority.root)]
    for command in (
        ["predict", secure.address, "half_plus_two", "--input", "[2]", "--json", *tls],
        ["inspect", secure.address, "half_plus_two", *tls, "--tls"],
        ["bench", secure.address, "half_plus_two", "--requests", "20", "--warmup", "0s", *tls],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "tensorwire", *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_client_that_trusts_another_root(
    secure: ServerProcess, authority: Authority, stranger: Authority
) -> None:
    before = handshake_failures(secure, authority)
    with pytest.raises(grpc.RpcError) as refused:
        PredictionClient(secure.channel(credentials=stranger.credentials())).is_well()
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    # Nobody waits for what stays wrong, not even who waits for a server.
    for roots in (tw.Tls(ca=stranger.root), True):
        with (
            tw.Client(secure.address, tls=roots, wait_for_ready=True) as client,
            pytest.raises(UnavailableError, match="signed by none of the trusted roots"),
        ):
            client.predict("half_plus_two", [2.0])
    assert handshake_failures(secure, authority) > before


def test_a_certificate_for_another_name(secure: ServerProcess, authority: Authority) -> None:
    tls = tw.Tls(ca=authority.root, server_name="models.test")
    with (
        tw.Client(secure.address, tls=tls) as client,
        pytest.raises(UnavailableError, match=r"certificate .*models\.test"),
    ):
        client.predict("half_plus_two", [2.0])


def test_clients_in_the_clear_are_told(secure: ServerProcess, authority: Authority) -> None:
    before = handshake_failures(secure, authority)
    with socket.create_connection(("127.0.0.1", secure.port), TIMEOUT_SECONDS) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        while connection.recv(4096):
            pass
    assert handshake_failures(secure, authority) == before + 1
    assert "the client does not speak TLS" in secure.stderr
    with (
        tw.Client(secure.address, timeout=CLIENT_SECONDS) as client,
        pytest.raises(UnavailableError, match="TLS"),
    ):
        client.predict("half_plus_two", [2.0])


class LateNetwork:
    """A way to a port that is blocked at first: nothing goes through the first connection."""

    def __init__(self, port: int):
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            blocked, _ = self._listener.accept()
            with blocked:
                while True:
                    client, _ = self._listener.accept()
                    server = socket.create_connection(("127.0.0.1", self._port))
                    for ends in ((client, server), (server, client)):
                        threading.Thread(target=self._hand_on, args=ends, daemon=True).start()

    def _hand_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(1 << 16):
                target.sendall(data)

    def close(self) -> None:
        self._listener.close()


def test_an_attempt_that_was_given_up_is_not_taken_up_again(
    secure: ServerProcess, authority: Authority
) -> None:
    """Who calls later connects anew, and has all of the time for it."""
    tls = tw.Tls(ca=authority.root)
    with (
        contextlib.closing(LateNetwork(secure.port)) as network,
        tw.Client(network.address, tls=tls, retry=None, connect_timeout=1.0) as client,
    ):
        with pytest.raises(tw.errors.DeadlineExceededError):
            client.predict("half_plus_two", [2.0], timeout=0.3)
        time.sleep(1)
        outputs = client.predict("half_plus_two", np.float32([2.0]), timeout=CLIENT_SECONDS)
        assert outputs["y"].tolist() == [4.0]


def test_a_silent_client_is_not_waited_for_by_others(secure: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", secure.port), TIMEOUT_SECONDS):
        PredictionClient(secure.channel()).is_well()


def test_tls_where_there_is_none(server: ServerProcess, authority: Authority) -> None:
    with pytest.raises(ssl.SSLError):
        page(server.port, trusting(authority))
    with (
        tw.Client(server.address, tls=True, wait_for_ready=True) as client,
        pytest.raises(UnavailableError, match="it does not speak TLS"),
    ):
        client.predict("half_plus_two", [2.0])


def test_clients_certificates(
    mutual: ServerProcess, authority: Authority, stranger: Authority
) -> None:
    PredictionClient(mutual.channel()).is_well()
    known = authority.issue("client", "client.test")
    unknown = stranger.issue("client", "client.test")
    for identity in (None, unknown):
        credentials = authority.credentials(identity)
        with pytest.raises(grpc.RpcError) as refused:
            PredictionClient(mutual.channel(credentials=credentials)).is_well()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert page(mutual.port, trusting(authority, known))[0] == 200
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        page(mutual.port, trusting(authority))


def test_our_clients_certificates(
    mutual: ServerProcess, authority: Authority, stranger: Authority
) -> None:
    known = authority.issue("ours", "client.test")
    tls = tw.Tls(ca=authority.root, certificate=known.certificate, key=known.key)
    with tw.Client(mutual.address, tls=tls, timeout=CLIENT_SECONDS) as client:
        assert client.predict("half_plus_two", [2.0])["y"].tolist() == [4.0]
    unknown = stranger.issue("ours", "client.test")
    for tls, why in [
        (tw.Tls(ca=authority.root), "it wants a client certificate"),
        (
            tw.Tls(ca=authority.root, certificate=unknown.certificate, key=unknown.key),
            "certificate",
        ),
    ]:
        with (
            tw.Client(mutual.address, tls=tls, wait_for_ready=True) as client,
            pytest.raises(UnavailableError, match=why),
        ):
            client.predict("half_plus_two", [2.0])


def test_an_expired_certificate_is_warned_of(models: Path, authority: Authority, start) -> None:
    expired = authority.issue("expired", not_after=datetime.datetime(2020, 1, 1))
    process = start(*served(models), *expired.arguments).wait_listening()
    assert f"the certificate in {expired.certificate} has expired" in process.stderr
    with (
        tw.Client(process.address, tls=tw.Tls(ca=authority.root)) as client,
        pytest.raises(UnavailableError, match="its certificate has expired"),
    ):
        client.predict("half_plus_two", [2.0])


def test_a_certificate_that_is_its_own_root(models: Path, tmp_path: Path, start) -> None:
    own = self_signed(tmp_path)
    credentials = grpc.ssl_channel_credentials(own.certificate.read_bytes())
    process = start(*served(models), *own.arguments, credentials=credentials)
    process.wait_listening()
    port = process.port
    tls = tw.Tls(ca=own.certificate)
    with tw.Client(f"localhost:{port}", tls=tls, wait_for_ready=True) as client:
        answer = until_served(lambda: client.predict("half_plus_two", [2.0], timeout=5))
        assert answer["y"].tolist() == [4.0]
    with (
        tw.Client(f"127.0.0.1:{port}", tls=tls) as client,
        pytest.raises(UnavailableError, match="its certificate is for another name"),
    ):
        client.predict("half_plus_two", [2.0])


def until_served(call: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    end = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            return call()
        except tw.errors.NotFoundError:
            assert time.monotonic() < end
            time.sleep(0.05)


def subject_numbers(port: int) -> str:
    """The certificate that a new connection is greeted with."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)


def test_a_renewed_certificate_is_taken_up(
    models: Path, tmp_path: Path, stranger: Authority, start
) -> None:
    authority = Authority(tmp_path / "renewing")
    identity = authority.issue("server")
    process = start(*served(models), *identity.arguments, credentials=authority.credentials())
    process.wait_serving()
    first = subject_numbers(process.port)
    old_connection = PredictionClient(process.channel())
    old_connection.is_well()
    authority.issue("server")
    end = time.monotonic() + TIMEOUT_SECONDS
    while subject_numbers(process.port) == first:
        assert time.monotonic() < end, process.report()
        time.sleep(0.1)
    second = subject_numbers(process.port)
    assert second.split() == identity.certificate.read_text().split()
    old_connection.is_well()
    PredictionClient(process.channel()).is_well()
    # What can't be used is not taken.
    identity.key.write_bytes(stranger.issue("other").key.read_bytes())
    while "are not taken" not in process.stderr:
        assert time.monotonic() < end + TIMEOUT_SECONDS, process.report()
        time.sleep(0.1)
    assert str(identity.key) in process.stderr
    assert subject_numbers(process.port) == second
    process.stop()


def test_a_stop_answers_what_came_over_tls(models: Path, authority: Authority, start) -> None:
    process = start(
        *served(models),
        *authority.issue("stopping").arguments,
        credentials=authority.credentials(),
    ).wait_serving()
    client = PredictionClient(process.channel())
    request = predict_request("sleep", {"milliseconds": np.int32(1500)})
    running = client.prediction.Predict.future(request, timeout=TIMEOUT_SECONDS)
    client.is_well()
    began = time.monotonic()
    process.signal(signal.SIGTERM)
    assert running.result().outputs["slept"].int_val == [1500]
    assert process.wait() == 0
    assert time.monotonic() - began < 10
    assert "cut off" not in process.stderr


def test_who_has_just_connected_at_a_stop_is_answered(
    models: Path, authority: Authority, start
) -> None:
    process = start(
        *served(models),
        *authority.issue("greeting").arguments,
        credentials=authority.credentials(),
    ).wait_serving()
    health = health_pb2_grpc.HealthStub(process.channel())
    updates = health.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
    next(updates)
    context = trusting(authority)
    with socket.create_connection(("127.0.0.1", process.port), TIMEOUT_SECONDS) as connection:
        # Connections are taken in their order.
        assert page(process.port, context, "/healthz")[0] == 200
        process.signal(signal.SIGTERM)
        assert next(updates).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with context.wrap_socket(connection, server_hostname="localhost") as stream:
            stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert stream.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
    assert process.wait() == 0


def test_a_stop_does_not_wait_for_who_agreed_and_says_nothing(
    models: Path, authority: Authority, start
) -> None:
    process = start(*served(models), *authority.issue("quiet").arguments).wait_listening()
    context = trusting(authority)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", process.port), TIMEOUT_SECONDS) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as stream,
    ):
        assert stream.selected_alpn_protocol() == "h2"
        # What it is greeted with shows that it is served.
        stream.settimeout(TIMEOUT_SECONDS)
        assert stream.recv(9)[3] == 4
        process.wait_line("Call it with")
        began = time.monotonic()
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
        assert time.monotonic() - began < 2.5


def test_files_that_cannot_be_used(
    models: Path, tmp_path: Path, authority: Authority, stranger: Authority
) -> None:
    good, other = authority.issue("good"), stranger.issue("other")
    encrypted = self_signed(tmp_path, encrypt=True)
    empty = tmp_path / "empty.pem"
    empty.touch()
    # As variables have it whose line breaks were lost, the key in it too.
    in_one_line = tmp_path / "one_line.pem"
    both = good.key.read_text() + good.certificate.read_text()
    in_one_line.write_text(both.replace("\n", ""))
    for certificate, key, words in [
        (empty, good.key, f"{empty} can't be used for TLS: there is no certificate in it"),
        (good.key, good.certificate, "certificate and key may be swapped"),
        (good.certificate, empty, f"{empty} can't be used for TLS: there is no private key"),
        (good.certificate, other.key, f"{other.key} can't be used for TLS: the key is not that"),
        (encrypted.certificate, encrypted.key, "the key in it is encrypted"),
        (in_one_line, good.key, "it is no PEM text that can be read: a part of it is missing"),
        (tmp_path / "nowhere.pem", good.key, "there is no file"),
        (good.certificate, None, "tls_certificate is given without tls_key"),
    ]:
        arguments = ["--tls-certificate", str(certificate)]
        arguments += [] if key is None else ["--tls-key", str(key)]
        done = subprocess.run(
            [*serve_command(["--port", "0"]), str(models / "half_plus_two"), *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert words in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr) < 1000


def test_a_clients_files_that_cannot_be_used(tmp_path: Path, authority: Authority) -> None:
    good = authority.issue("fine")
    other = authority.issue("another")
    empty = tmp_path / "empty.pem"
    empty.touch()
    with pytest.raises(ConfigError, match="go together"):
        tw.Tls(certificate=good.certificate)
    with pytest.raises(ConfigError, match="there is no file"):
        tw.Tls(ca=tmp_path / "nowhere.pem")
    for tls, words in [
        (tw.Tls(ca=empty), "no certificate in it"),
        (tw.Tls(certificate=good.certificate, key=other.key), "the key is not that of"),
        (tw.Tls(server_name="a b"), "no name that a certificate can have"),
    ]:
        with pytest.raises(InvalidArgumentError, match=words):
            tw.Client("localhost:1", tls=tls)
    with pytest.raises(InvalidArgumentError, match="wants TLS, and tls is off"):
        tw.Client("https://localhost:1", tls=False)
    with pytest.raises(InvalidArgumentError, match="in the clear, and tls is on"):
        tw.Client("http://localhost:1", tls=True)
    with pytest.raises(ConfigError, match="tls must be"):
        tw.Client("localhost:1", tls="yes")
