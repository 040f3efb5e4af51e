"""Retries, several addresses, servers that come and go."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import numpy as np
import pytest
from stub_server import MODEL, Refusal, StubServer

import tensorwire as tw
from tensorwire import errors

X = {"x": np.ones((1, 2), np.float32)}
QUICK = tw.Retry(retries=3, initial_backoff=0.001)


def free_port() -> int:
    with socket.create_server(("localhost", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def listener_that(answer: bytes | None) -> Iterator[str]:
    """Sends `answer` to whoever connects, or nothing for ever, and hangs up."""
    listener = socket.create_server(("localhost", 0))
    opened: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if answer is None:
                opened.append(connection)
                continue
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"localhost:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
        for connection in opened:
            connection.close()


def test_unavailable_is_tried_again(server: StubServer) -> None:
    server.refusals.extend([Refusal(grpc.StatusCode.UNAVAILABLE)] * 3)
    with tw.Client(server.address, retry=QUICK) as client:
        client.predict(MODEL, X)
    assert len(server.calls) == 4


def test_until_the_retries_are_used_up(server: StubServer) -> None:
    server.refusals.extend([Refusal(grpc.StatusCode.UNAVAILABLE, "later")] * 9)
    with (
        tw.Client(server.address, retry=QUICK) as client,
        pytest.raises(errors.UnavailableError, match="later"),
    ):
        client.predict(MODEL, X)
    assert len(server.calls) == 4


@pytest.mark.parametrize(
    "status", [code for code in grpc.StatusCode if code.name not in ("OK", "UNAVAILABLE")]
)
def test_nothing_else_is(server: StubServer, status: grpc.StatusCode) -> None:
    server.refusals.append(Refusal(status))
    with tw.Client(server.address, retry=QUICK) as client, pytest.raises(errors.CallError):
        client.predict(MODEL, X)
    assert len(server.calls) == 1


def test_server_says_when(server: StubServer) -> None:
    pushback = (("grpc-retry-pushback-ms", "300"),)
    server.refusals.append(Refusal(grpc.StatusCode.UNAVAILABLE, trailing=pushback))
    started = time.monotonic()
    with tw.Client(server.address, retry=QUICK) as client:
        client.predict(MODEL, X)
    assert time.monotonic() - started >= 0.3
    assert len(server.calls) == 2


def test_server_says_never(server: StubServer) -> None:
    pushback = (("grpc-retry-pushback-ms", "-1"),)
    server.refusals.append(Refusal(grpc.StatusCode.UNAVAILABLE, trailing=pushback))
    with tw.Client(server.address, retry=QUICK) as client, pytest.raises(errors.UnavailableError):
        client.predict(MODEL, X)
    assert len(server.calls) == 1


def test_a_pause_beyond_any_clock_is_too_long(server: StubServer) -> None:
    pushback = (("grpc-retry-pushback-ms", str(2**64 - 1)),)
    server.refusals.append(Refusal(grpc.StatusCode.UNAVAILABLE, "later", trailing=pushback))
    with (
        tw.Client(server.address, retry=QUICK) as client,
        pytest.raises(errors.UnavailableError, match="later"),
    ):
        client.predict(MODEL, X, timeout=20)
    assert len(server.calls) == 1


def test_no_pause_beyond_the_deadline(server: StubServer) -> None:
    server.refusals.append(Refusal(grpc.StatusCode.UNAVAILABLE, "later"))
    slow = tw.Retry(initial_backoff=60, max_backoff=60)
    started = time.monotonic()
    with (
        tw.Client(server.address, retry=slow) as client,
        pytest.raises(errors.UnavailableError, match="later"),
    ):
        client.predict(MODEL, X, timeout=5)
    assert time.monotonic() - started < 4


def test_unreachable_says_why() -> None:
    address = f"localhost:{free_port()}"
    with (
        tw.Client(address, retry=QUICK) as client,
        pytest.raises(errors.UnavailableError) as raised,
    ):
        client.predict(MODEL, X)
    assert str(raised.value) == (
        f"cannot connect to {address}: Connection refused (UNAVAILABLE, model 'echo')"
    )


def test_unknown_host_says_why() -> None:
    with (
        tw.Client("no-such-host.invalid:1", retry=tw.Retry(retries=0)) as client,
        pytest.raises(errors.UnavailableError, match=r"cannot connect to no-such-host"),
    ):
        client.predict(MODEL, X)


def test_not_a_grpc_server() -> None:
    with (
        listener_that(b"HTTP/1.1 400 Bad Request\r\n\r\n") as address,
        tw.Client(address, retry=tw.Retry(retries=0)) as client,
        pytest.raises(errors.UnavailableError) as raised,
    ):
        client.predict(MODEL, X)
    assert address in str(raised.value)


def test_server_that_never_speaks() -> None:
    with (
        listener_that(None) as address,
        tw.Client(address) as client,
        pytest.raises(errors.DeadlineExceededError, match=r"no answer within 0\.3 s") as raised,
    ):
        client.predict(MODEL, X, timeout=0.3)
    assert raised.value.target == address


def test_keepalive_finds_a_server_that_never_speaks() -> None:
    with (
        listener_that(None) as address,
        tw.Client(
            address, keepalive=tw.Keepalive(0.1, timeout=0.1), retry=tw.Retry(retries=0)
        ) as client,
        pytest.raises(errors.UnavailableError, match="was lost"),
    ):
        client.predict(MODEL, X, timeout=20)


def test_connection_lost_during_a_call(server: StubServer) -> None:
    with StubServer() as doomed, tw.Client(doomed.address, retry=tw.Retry(retries=0)) as client:
        doomed.gate.clear()
        failures: list[BaseException] = []

        def call() -> None:
            try:
                client.predict(MODEL, X)
            except errors.TensorWireError as error:
                failures.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        doomed.wait_for_calls(1)
        doomed._server.stop(None)
        thread.join(10)
    assert isinstance(failures[0], (errors.UnavailableError, errors.CancelledError))


def test_calls_go_to_each_server_in_turn(server: StubServer) -> None:
    with StubServer() as other, tw.Client([server.address, other.address]) as client:
        for _ in range(10):
            client.predict(MODEL, X)
        assert (len(server.calls), len(other.calls)) == (5, 5)


def test_retries_go_to_the_other_server(server: StubServer) -> None:
    server.refusals.extend([Refusal(grpc.StatusCode.UNAVAILABLE)] * 100)
    with (
        StubServer() as other,
        tw.Client([server.address, other.address], retry=QUICK) as client,
    ):
        for _ in range(6):
            client.predict(MODEL, X)
        assert len(other.calls) == 6
        assert all(call.cancelled for call in other.calls)


def test_dead_server_among_others_costs_no_call(server: StubServer) -> None:
    dead = f"localhost:{free_port()}"
    never = tw.Retry(retries=0)
    with tw.Client([dead, server.address, dead], retry=never) as client:
        for _ in range(20):
            client.predict(MODEL, X)
    assert len(server.calls) == 20


def test_restarted_server_is_found_again() -> None:
    with StubServer() as first:
        port = first.port
        client = tw.Client(first.address, timeout=20)
        client.predict(MODEL, X)
    with pytest.raises(errors.UnavailableError):
        client.predict(MODEL, X)
    with StubServer(port):
        client.predict(MODEL, X, wait_for_ready=True)
        client.predict(MODEL, X)
    client.close()


def test_wait_for_ready_finds_a_server_that_comes_later() -> None:
    port = free_port()
    replies: list[dict[str, np.ndarray]] = []
    with tw.Client(f"localhost:{port}", wait_for_ready=True) as client:
        thread = threading.Thread(
            target=lambda: replies.append(client.predict(MODEL, X, timeout=30))
        )
        thread.start()
        with StubServer(port) as server:
            thread.join(30)
            assert len(server.calls) == 1
    assert replies[0]["x"].tolist() == [[1, 1]]


def test_wait_for_ready_ends_with_the_deadline() -> None:
    address = f"localhost:{free_port()}"
    with (
        tw.Client(address) as client,
        pytest.raises(errors.DeadlineExceededError) as raised,
    ):
        client.predict(MODEL, X, timeout=0.4, wait_for_ready=True)
    # What encoding the request took is part of the time: some milliseconds on a busy machine.
    told = r"no answer within 0\.(4|3\d+) s; the last attempt: cannot connect to "
    assert re.search(told + re.escape(address), str(raised.value))


def test_wait_until_ready(server: StubServer) -> None:
    from grpc_health.v1 import health_pb2

    server.health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    with tw.Client(server.address) as client:
        with pytest.raises(errors.DeadlineExceededError) as raised:
            client.wait_until_ready(0.2)
        assert str(raised.value).startswith(
            "the server was not ready within 0.2 s: it is NOT_SERVING"
        )
        with pytest.raises(errors.DeadlineExceededError, match="model 'm' was not ready"):
            client.wait_until_ready(0.2, "m")
        thread = threading.Thread(target=client.wait_until_ready, args=(30, MODEL))
        thread.start()
        server.health.set(MODEL, health_pb2.HealthCheckResponse.SERVING)
        thread.join(20)
        assert not thread.is_alive()


def test_wait_until_ready_without_anybody() -> None:
    address = f"localhost:{free_port()}"
    with (
        tw.Client(address) as client,
        pytest.raises(errors.DeadlineExceededError, match="Connection refused"),
    ):
        client.wait_until_ready(0.3)


def test_wait_until_ready_of_a_server_without_health() -> None:
    with StubServer(with_health=False) as server, tw.Client(server.address) as client:
        client.wait_until_ready(10)
        client.wait_until_ready(10, MODEL)
        with pytest.raises(errors.DeadlineExceededError, match="it is unknown to the server"):
            client.wait_until_ready(0.2, "nope")


@pytest.mark.parametrize(
    "make",
    [
        lambda: tw.Retry(retries=-1),
        lambda: tw.Retry(initial_backoff=-1),
        lambda: tw.Retry(max_backoff=float("inf")),
        lambda: tw.Keepalive(0),
    ],
)
def test_settings_that_cannot_be(make) -> None:
    with pytest.raises(errors.ConfigError, match=r"(Retry|Keepalive)\."):
        make()
