"""The client's calls: deadlines, metadata, errors, health, closing, threads."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from stub_server import MODEL, Refusal, StubServer

import tensorwire as tw
from harness import text_client
from tensorwire import errors

X = {"x": np.ones((1, 2), np.float32)}


@pytest.mark.parametrize("status", [code for code in grpc.StatusCode if code.value[0]])
def test_every_status_is_its_exception(server: StubServer, status: grpc.StatusCode) -> None:
    server.refusals.append(Refusal(status, "because ü"))
    with (
        tw.Client(server.address, retry=tw.Retry(retries=0)) as client,
        pytest.raises(errors.CallError) as raised,
    ):
        client.predict(MODEL, X)
    error = raised.value
    assert error.code == status.name
    assert (error.details, error.model, error.target) == ("because ü", MODEL, server.address)
    assert error.__cause__ is None and error.__context__ is None


def test_missing_model(client: tw.Client, server: StubServer) -> None:
    with pytest.raises(errors.NotFoundError) as raised:
        client.predict("nope", X)
    assert str(raised.value) == (
        "Servable not found for request: Latest(nope) "
        f"(NOT_FOUND, model 'nope', at {server.address})"
    )


def test_deadline(client: tw.Client, server: StubServer) -> None:
    server.gate.clear()
    started = time.monotonic()
    # The server's timer runs too, and its answer may come first.
    texts = r"no answer within 0\.2 s|Deadline Exceeded"
    with pytest.raises(errors.DeadlineExceededError, match=texts) as raised:
        client.predict(MODEL, X, timeout=0.2)
    assert 0.19 <= time.monotonic() - started < 5
    assert raised.value.target == server.address
    assert server.calls[0].seconds_left is not None and server.calls[0].seconds_left <= 0.2
    assert server.calls[0].cancelled.wait(10)


def test_deadline_of_the_client_and_none(server: StubServer) -> None:
    with tw.Client(server.address, timeout=15) as client:
        client.predict(MODEL, X)
        client.predict(MODEL, X, timeout=None)
    first, second = (call.seconds_left for call in server.calls)
    assert first is not None and 5 < first <= 15
    assert second is None


@pytest.mark.parametrize("timeout", [-1.0, float("nan"), "1", True])
def test_bad_timeout(client: tw.Client, timeout: float) -> None:
    text = f"number of seconds, 0 or more, or None for no limit; got {timeout!r}"
    with pytest.raises(errors.InvalidArgumentError, match=text):
        client.predict(MODEL, X, timeout=timeout)


@pytest.mark.parametrize("timeout", [1e12, 1e300, float("inf")])
def test_timeout_beyond_what_the_protocol_can_say(client: tw.Client, timeout: float) -> None:
    with pytest.raises(errors.InvalidArgumentError, match=r"at most 1e\+11, or None") as raised:
        client.predict(MODEL, X, timeout=timeout)
    assert f"got {timeout!r} (" in str(raised.value)


def test_no_time_at_all(client: tw.Client) -> None:
    with pytest.raises(errors.DeadlineExceededError):
        client.predict(MODEL, X, timeout=0)


def test_metadata_is_sent(server: StubServer) -> None:
    with tw.Client(server.address, metadata={"team": "a", "id-bin": b"\0\xff"}) as client:
        client.predict(MODEL, X, metadata=[("request", "7")])
        client.predict(MODEL, X)
    first, second = (call.metadata for call in server.calls)
    assert (first["team"], first["id-bin"], first["request"]) == ("a", b"\0\xff", "7")
    assert "request" not in second
    assert first["user-agent"].startswith("tensorwire-python")


@pytest.mark.parametrize(
    ("key", "value"),
    [("grpc-timeout", "1S"), ("a b", "c"), ("key", "ü"), ("key-bin", "text"), ("key", b"\0")],
)
def test_metadata_that_cannot_be_sent(client: tw.Client, key: str, value: str | bytes) -> None:
    with pytest.raises(errors.InvalidArgumentError, match=f'metadata key "{key}" can\'t be sent'):
        client.predict(MODEL, X, metadata={key: value})


@pytest.mark.parametrize("target", ["localhost", "localhost:0", "ftp://a:1", "", "a b:1"])
def test_bad_target(target: str) -> None:
    with pytest.raises(errors.InvalidArgumentError, match="is not an address of a server"):
        tw.Client(target)


def test_no_target() -> None:
    with pytest.raises(errors.ConfigError, match="at least one server"):
        tw.Client([])


@pytest.mark.parametrize("target", ["http://localhost:{}", "127.0.0.1:{}", "http://localhost:{}/"])
def test_ways_to_write_a_target(server: StubServer, target: str) -> None:
    with tw.Client(target.format(server.port)) as client:
        client.predict(MODEL, X)


def test_unix_socket(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/tw.sock"
    with StubServer(socket=address), tw.Client(address, timeout=20) as client:
        client.predict(MODEL, X)


def test_health(client: tw.Client, server: StubServer) -> None:
    from grpc_health.v1 import health_pb2

    server.health.set("", health_pb2.HealthCheckResponse.SERVING)
    server.health.set(MODEL, health_pb2.HealthCheckResponse.NOT_SERVING)
    assert client.health() == "SERVING"
    assert client.health(MODEL) == "NOT_SERVING"
    assert client.health("nope") == "SERVICE_UNKNOWN"


def test_models(client: tw.Client, server: StubServer) -> None:
    from grpc_health.v1 import health_pb2

    for name in ["", "tensorflow.serving.PredictionService", MODEL, "gone"]:
        server.health.set(name, health_pb2.HealthCheckResponse.SERVING)
    found = client.models()
    assert [status.name for status in found] == [MODEL, "gone"]
    assert found[0].available and not found[1].versions


def test_models_of_a_server_that_cannot_list_them() -> None:
    with (
        StubServer(with_health=False) as server,
        tw.Client(server.address) as client,
        pytest.raises(errors.UnimplementedError, match="can't list its models"),
    ):
        client.models()


def test_text_service(tmp_path: Path) -> None:
    server = StubServer()
    server.add_text_service(*text_client.generate(tmp_path))
    with server, tw.Client(server.address, timeout=20) as client:
        check_text_service(server, client)


def check_text_service(server: StubServer, client: tw.Client) -> None:
    assert client.predict_text("hello ü") == ":hello ü"
    assert client.predict_text("hello", model="m") == "m:hello"
    with pytest.raises(errors.PredictionError, match="cannot read it") as raised:
        client.predict_text("bad", model="m")
    assert (raised.value.model, raised.value.target) == ("m", server.address)
    with pytest.raises(errors.InvalidArgumentError, match="must be printable ASCII"):
        client.predict_text("hello", model="ü")


def test_no_text_service(client: tw.Client) -> None:
    with pytest.raises(errors.UnimplementedError):
        client.predict_text("hello")


def test_close_ends_calls_under_way(server: StubServer) -> None:
    client = tw.Client(server.address)
    server.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.predict, MODEL, X)
        server.wait_for_calls(1)
        client.close()
        with pytest.raises(errors.CancelledError, match="closed during the call"):
            call.result(10)
    assert server.calls[0].cancelled.wait(10)
    with pytest.raises(errors.FailedPreconditionError, match="the client is closed"):
        client.predict(MODEL, X)
    client.close()


def test_many_threads_share_a_client(client: tw.Client, server: StubServer) -> None:
    def calls(thread: int) -> None:
        for index in range(20):
            value = np.full((1, 2), thread * 100 + index, np.float32)
            np.testing.assert_array_equal(client.predict(MODEL, {"x": value})["x"], value)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(calls, range(16)))
    assert len(server.calls) == 320


def test_calls_of_several_threads_overlap(client: tw.Client, server: StubServer) -> None:
    server.gate.clear()
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(client.predict, MODEL, X) for _ in range(8)]
        server.wait_for_calls(8)
        server.gate.set()
        for call in calls:
            call.result(10)


def test_interpreter_is_free_during_a_call(client: tw.Client, server: StubServer) -> None:
    server.gate.clear()
    thread = threading.Thread(target=client.predict, args=(MODEL, X))
    thread.start()
    server.wait_for_calls(1)  # needs the interpreter lock, which the call must not hold
    server.gate.set()
    thread.join(10)
    assert not thread.is_alive()


def test_says_what_it_is() -> None:
    assert repr(tw.Client(["a:1", "b:2"])) == "Client('a:1', 'b:2')"
    assert repr(tw.AsyncClient("a:1")) == "AsyncClient('a:1')"
