"""The way of a command from a caller to the control plane and back, with the control plane
played by the test."""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from harness import raw_http2
from tensorwire import _core
from tensorwire.config import EngineConfig, load_config
from tensorwire.messages import new_message
from tensorwire.model import open_engine

TIMEOUT = 20.0
RELOAD = "tensorflow.serving.ModelService/HandleReloadConfigRequest"
LIST = "tensorwire.ModelRepository/ListModels"


@pytest.fixture(scope="module")
def engine() -> _core.Engine:
    return open_engine(EngineConfig())


@pytest.fixture
def listen(engine: _core.Engine) -> Iterator[Callable[..., _core.Server]]:
    started: list[_core.Server] = []

    def start(**settings: object) -> _core.Server:
        config = load_config({"port": 0, **settings}, {})
        started.append(_core.Server(engine, config.listener.to_native()))
        return started[-1]

    yield start
    for server in started:
        server.stop(0.0)


@pytest.fixture
def server(listen: Callable[..., _core.Server]) -> _core.Server:
    return listen()


@pytest.fixture
def channel(server: _core.Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.ports[0]}") as channel:
        yield channel


def reload_request(name: str) -> model_management_pb2.ReloadConfigRequest:
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(name=name, base_path=f"/models/{name}")
    return request


def begin_reload(channel: grpc.Channel, name: str, timeout: float | None = TIMEOUT) -> grpc.Future:
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    return stub.HandleReloadConfigRequest.future(reload_request(name), timeout=timeout)


def taken(server: _core.Server) -> _core.Command:
    command = server.next_command(TIMEOUT)
    assert command is not None
    return command


def refusal(future: grpc.Future) -> tuple[grpc.StatusCode, str]:
    error = future.exception(timeout=TIMEOUT)
    assert isinstance(error, grpc.RpcError)
    return error.code(), error.details()


def test_a_command_carries_the_request_and_its_answer_the_reply(
    server: _core.Server, channel: grpc.Channel
) -> None:
    future = begin_reload(channel, "half")
    command = taken(server)
    assert (command.method, command.is_json) == (RELOAD, False)
    request = model_management_pb2.ReloadConfigRequest.FromString(command.payload)
    assert request == reload_request("half")
    reply = model_management_pb2.ReloadConfigResponse()
    reply.status.error_message = "as told"
    command.answer(reply.SerializeToString())
    assert future.result(timeout=TIMEOUT) == reply


def test_our_own_service_takes_the_same_way(server: _core.Server, channel: grpc.Channel) -> None:
    reply = new_message("tensorwire.ListModelsResponse")
    reply.models.add().config.name = "half"
    call = channel.unary_unary(f"/{LIST}")
    future = call.future(b"", timeout=TIMEOUT)
    command = taken(server)
    assert (command.method, command.payload) == (LIST, b"")
    command.answer(reply.SerializeToString())
    assert future.result(timeout=TIMEOUT) == reply.SerializeToString()


def test_a_failure_is_told_with_its_code_and_words(
    server: _core.Server, channel: grpc.Channel
) -> None:
    future = begin_reload(channel, "half")
    taken(server).fail("FAILED_PRECONDITION", "1 model(s) did not become available")
    expected = grpc.StatusCode.FAILED_PRECONDITION, "1 model(s) did not become available"
    assert refusal(future) == expected


def test_a_long_command_holds_up_no_other(server: _core.Server, channel: grpc.Channel) -> None:
    slow = begin_reload(channel, "slow")
    waiting = taken(server)
    for name in ("a", "b"):
        quick = begin_reload(channel, name)
        command = taken(server)
        assert name.encode() in command.payload
        command.answer(b"")
        quick.result(timeout=TIMEOUT)
    assert not slow.done()
    waiting.answer(b"")
    slow.result(timeout=TIMEOUT)


def test_a_dropped_command_is_answered(server: _core.Server, channel: grpc.Channel) -> None:
    future = begin_reload(channel, "half")
    command = taken(server)
    del command
    code, text = refusal(future)
    assert code == grpc.StatusCode.UNAVAILABLE
    assert text == "the server did not finish it; it may have been done in part"


def test_a_command_is_answered_once(server: _core.Server, channel: grpc.Channel) -> None:
    future = begin_reload(channel, "half")
    command = taken(server)
    command.answer(b"")
    for again in (lambda: command.answer(b""), lambda: command.fail("INTERNAL", "")):
        with pytest.raises(_core.NativeError) as raised:
            again()
        assert raised.value.args[0] == "FAILED_PRECONDITION"
    with pytest.raises(_core.NativeError):
        _ = command.payload
    future.result(timeout=TIMEOUT)


def test_a_command_outlives_its_caller(server: _core.Server, channel: grpc.Channel) -> None:
    late = begin_reload(channel, "late", timeout=0.3)
    command = taken(server)
    assert refusal(late)[0] == grpc.StatusCode.DEADLINE_EXCEEDED
    # The control plane notices nothing: it is to do what it was told.
    assert b"late" in command.payload
    command.answer(b"")
    gone = begin_reload(channel, "gone")
    command = taken(server)
    gone.cancel()
    command.answer(b"")
    # The connection goes on.
    after = begin_reload(channel, "after")
    taken(server).answer(b"")
    after.result(timeout=TIMEOUT)


def test_the_server_tells_the_deadline_itself(server: _core.Server) -> None:
    """To a client that does not give up first by its own clock, as grpcio does."""
    with raw_http2.Connection(server.ports[0]) as connection:
        stream = connection.begin(raw_http2.grpc_headers(f"/{LIST}", grpc_timeout="100m"))
        connection.send(stream, raw_http2.frame(b""), end=True)
        command = taken(server)
        answer = connection.answer(stream)
    assert answer.grpc_status == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    assert answer.grpc_message == "the deadline passed before it was done; it goes on"
    command.answer(b"")


def test_no_more_commands_wait_than_there_is_room_for(
    server: _core.Server, channel: grpc.Channel
) -> None:
    # Calls that are begun before there is a connection may overtake each other.
    grpc.channel_ready_future(channel).result(timeout=TIMEOUT)
    waiting = [begin_reload(channel, str(number)) for number in range(70)]
    # Over one connection, read in order: the last six find no room.
    for future in waiting[64:]:
        assert refusal(future)[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    for _ in range(64):
        taken(server).answer(b"")
    assert server.next_command(0.0) is None
    for future in waiting[:64]:
        future.result(timeout=TIMEOUT)


def test_a_stop_answers_what_waits_and_is_not_held_up(
    server: _core.Server, channel: grpc.Channel
) -> None:
    at_work = begin_reload(channel, "at_work")
    command = taken(server)
    waiting = begin_reload(channel, "waiting")
    awaited: list[_core.Command | None] = []
    second = taken(server)
    waiter = threading.Thread(target=lambda: awaited.append(server.next_command(TIMEOUT)))
    waiter.start()
    started = time.monotonic()
    assert server.stop(TIMEOUT) is True
    assert time.monotonic() - started < TIMEOUT / 2
    waiter.join(TIMEOUT)
    assert awaited == [None]
    for future in (at_work, waiting):
        assert refusal(future) == (grpc.StatusCode.UNAVAILABLE, "the server is stopping")
    for late in (command, second):
        late.answer(b"")
    assert server.next_command(TIMEOUT) is None


def test_switched_off_it_says_how_to_switch_it_on(listen: Callable[..., _core.Server]) -> None:
    server = listen(remote_control=False)
    with grpc.insecure_channel(f"127.0.0.1:{server.ports[0]}") as channel:
        code, text = refusal(begin_reload(channel, "half"))
    assert code == grpc.StatusCode.PERMISSION_DENIED
    assert text.endswith("start it with --remote-control on to allow it")
    assert server.next_command(TIMEOUT) is None


def test_waiting_takes_its_time_and_no_longer(server: _core.Server) -> None:
    started = time.monotonic()
    assert server.next_command(0.05) is None
    assert 0.05 <= time.monotonic() - started < TIMEOUT / 2


def ask(
    server: _core.Server, line: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, Any]]:
    """One request over HTTP/1.1; the status and the JSON of its page."""
    method, path = line.split()
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", server.ports[0], timeout=TIMEOUT)
    ) as connection:
        connection.request(method, path, body, headers)
        page = connection.getresponse()
        return page.status, json.loads(page.read())


@pytest.mark.parametrize(
    ("line", "body", "method", "request_"),
    [
        (
            "POST /v1/models/a%20b:load",
            b'{"basePath": "/models/a", "no_wait": true}',
            "LoadModel",
            {"config": {"name": "a b", "basePath": "/models/a"}, "no_wait": True},
        ),
        ("POST /v1/models/m:unload", b"", "UnloadModel", {"name": "m"}),
        ("POST /v1/models/m:reload", b"{}", "ReloadModel", {"name": "m"}),
        ("GET /v1/config", b"", "GetConfig", {}),
    ],
)
def test_commands_over_rest(
    server: _core.Server, line: str, body: bytes, method: str, request_: dict[str, Any]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, server, line, body)
        command = taken(server)
        assert (command.method, command.is_json) == (f"tensorwire.ModelRepository/{method}", True)
        assert json.loads(command.payload) == request_
        # Python reads it by protobuf's own mapping.
        json_format.Parse(command.payload, new_message(f"tensorwire.{method}Request"))
        command.answer(b'{"as": "told"}')
        assert asked.result(TIMEOUT) == (200, {"as": "told"})


def test_failures_over_rest(server: _core.Server) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, server, "POST /v1/models/m:reload")
        taken(server).fail("NOT_FOUND", "there is no model m")
        assert asked.result(TIMEOUT) == (404, {"error": "there is no model m"})
    status, page = ask(server, "POST /v1/models/m:load", b"[]")
    assert (status, page["error"]) == (400, "the body is not a JSON object: it is an array")


def test_no_web_page_changes_the_models(server: _core.Server) -> None:
    """A site that the user visits can have the browser post to this machine."""
    status, page = ask(
        server, "POST /v1/models/m:load", b'{"base_path": "/x"}', Origin="https://example.org"
    )
    assert status == 403
    assert "from a web page" in page["error"]
    assert server.next_command(0.0) is None


def test_switched_off_over_rest(listen: Callable[..., _core.Server]) -> None:
    server = listen(remote_control=False)
    for line in ("POST /v1/models/m:unload", "GET /v1/config"):
        status, page = ask(server, line)
        assert status == 403
        assert "--remote-control on" in page["error"]
