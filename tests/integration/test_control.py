"""The way of a command from a caller to the control plane and back, with the control plane
played by the test."""

import threading
import time
from collections.abc import Callable, Iterator

import grpc
import pytest
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
