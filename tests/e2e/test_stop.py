"""Stopping: what was accepted is answered, and the process ends when and as it should."""

import contextlib
import ctypes
import queue
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from harness.predict import TIMEOUT_SECONDS, PredictionClient, predict_request, refused
from harness.server_process import ServerProcess, model_arguments
from harness.slow_network import SlowNetwork
from tensorwire.stop_signals import TOGETHER_SECONDS

MODELS = ("half_plus_two", "sleep", "mlp")
# So many answers that every thread is at it.
BUSY = 500
stop_signals = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@pytest.fixture
def serve(models: Path, start):
    """Starts a server of a few models with these further arguments."""
    served = model_arguments({name: models / name for name in MODELS})
    return lambda *arguments: start(*served, *arguments).wait_serving()


def begin_sleep(process: ServerProcess, milliseconds: int) -> grpc.Future:
    """A Predict that the server has read when this returns."""
    client = PredictionClient(process.channel())
    request = predict_request("sleep", {"milliseconds": np.int32(milliseconds)})
    future = client.prediction.Predict.future(request, timeout=TIMEOUT_SECONDS)
    # One connection is read in order: when this one is answered, that one was read.
    client.is_well()
    return future


class Load:
    """Threads, each with a connection of its own, that call until they are refused."""

    def __init__(self, process: ServerProcess, threads: int):
        self.answered = 0
        self.failures: Counter[tuple[grpc.StatusCode, str]] = Counter()
        self.wrong = 0
        self._lock = threading.Lock()
        self._busy = threading.Event()
        clients = [PredictionClient(process.channel()) for _ in range(threads)]
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in clients]
        for thread in self._threads:
            thread.start()
        assert self._busy.wait(TIMEOUT_SECONDS)

    def _run(self, client: PredictionClient) -> None:
        x = np.arange(100, dtype=np.float32)
        request = predict_request("half_plus_two", {"x": x})
        while True:
            try:
                # Several at once on the connection, so that some are always in flight.
                calls = [
                    client.prediction.Predict.future(request, timeout=TIMEOUT_SECONDS)
                    for _ in range(8)
                ]
                replies = [call.exception() or call.result() for call in calls]
            except ValueError:
                return  # The channel was closed by the end of the test.
            refused = [reply for reply in replies if isinstance(reply, grpc.RpcError)]
            good = [reply for reply in replies if not isinstance(reply, grpc.RpcError)]
            expected = x * 0.5 + 3
            with self._lock:
                self.answered += len(good)
                if self.answered >= BUSY:
                    self._busy.set()
                self.wrong += sum(list(r.outputs["y"].float_val) != list(expected) for r in good)
                for error in refused:
                    self.failures[error.code(), error.details()] += 1
            if refused:
                return

    def finish(self) -> None:
        for thread in self._threads:
            thread.join(TIMEOUT_SECONDS)
        assert not any(thread.is_alive() for thread in self._threads)


@pytest.mark.parametrize("attempt", range(3))
def test_no_reply_is_lost_under_load(serve, attempt: int) -> None:
    """Every call is answered, or refused with UNAVAILABLE before it was begun."""
    process = serve()
    load = Load(process, 6)
    process.signal(signal.SIGTERM)
    load.finish()
    assert process.wait() == 0
    process.assert_no_crash()
    assert load.answered > 0
    assert load.wrong == 0
    assert {code for code, _ in load.failures} <= {grpc.StatusCode.UNAVAILABLE}, load.failures
    for _, details in load.failures:
        # These are what grpcio says of a call whose stream was cut while it ran.
        for lost in ("Socket closed", "RST_STREAM", "reset by peer", "Broken pipe"):
            assert lost not in details, load.failures


@stop_signals
def test_an_idle_server_stops_at_once(serve, number: signal.Signals) -> None:
    process = serve()
    PredictionClient(process.channel()).is_well()
    began = time.monotonic()
    process.signal(number)
    assert process.wait() == 0
    assert time.monotonic() - began < 5
    process.assert_no_crash()


def test_a_long_request_is_finished(serve) -> None:
    process = serve("--grace", "20s")
    running = begin_sleep(process, 2000)
    process.signal(signal.SIGTERM)
    assert running.result().outputs["slept"].int_val == [2000]
    assert process.wait() == 0
    process.assert_no_crash()


def test_nothing_new_is_taken_while_it_finishes(serve) -> None:
    process = serve()
    health = health_pb2_grpc.HealthStub(process.channel())
    updates = health.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
    next(updates)
    running = begin_sleep(process, 2500)
    process.signal(signal.SIGTERM)
    assert next(updates).status == health_pb2.HealthCheckResponse.NOT_SERVING
    # Health turns first; a connection may slip in until the listener is closed.
    refusal = None
    while refusal is None and not running.done():
        try:
            PredictionClient(process.channel()).is_well()
        except grpc.RpcError as error:
            refusal = error
    assert refusal is not None
    assert refusal.code() is grpc.StatusCode.UNAVAILABLE
    assert not running.done()
    assert running.result().outputs["slept"].int_val == [2500]
    assert process.wait() == 0


def test_a_grace_that_is_too_short(serve) -> None:
    """The request is cut off with an error, not left hanging, and the log says so."""
    process = serve("--grace", "500ms")
    running = begin_sleep(process, 20_000)
    began = time.monotonic()
    process.signal(signal.SIGTERM)
    assert running.exception().code() in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
    )
    assert process.wait() in (0, 1)
    assert 0.4 < time.monotonic() - began < 8
    process.assert_no_crash()
    assert "cut off" in process.stderr, process.report()


def test_no_grace_at_all(serve) -> None:
    process = serve("--grace", "0")
    running = begin_sleep(process, 20_000)
    began = time.monotonic()
    process.signal(signal.SIGTERM)
    assert running.exception() is not None
    process.wait()
    assert time.monotonic() - began < 8
    process.assert_no_crash()


def test_a_signal_that_comes_twice_at_once(serve) -> None:
    """As `timeout` sends it: to the process, and to its group."""
    process = serve("--grace", "20s")
    running = begin_sleep(process, 2000)
    process.signal(signal.SIGTERM)
    process.signal(signal.SIGTERM)
    assert running.result().outputs["slept"].int_val == [2000]
    assert process.wait() == 0
    process.assert_no_crash()


@stop_signals
def test_a_second_signal_ends_it_at_once(serve, number: signal.Signals) -> None:
    process = serve("--grace", "60s")
    health = health_pb2_grpc.HealthStub(process.channel())
    updates = health.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
    next(updates)
    # Kept: grpcio cancels the call of a future that nobody holds.
    running = begin_sleep(process, 25_000)
    process.signal(number)
    # The first has been dealt with when health has turned.
    assert next(updates).status == health_pb2.HealthCheckResponse.NOT_SERVING
    assert not running.done()
    time.sleep(TOGETHER_SECONDS)
    began = time.monotonic()
    process.signal(number)
    status = process.wait()
    assert time.monotonic() - began < 3
    assert status in (128 + number, -number)
    process.assert_no_crash()


def test_watch_streams_end(serve) -> None:
    """A watcher, which never ends by itself, does not hold up the end."""
    process = serve()
    health = health_pb2_grpc.HealthStub(process.channel())
    streams = [
        health.Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS) for _ in range(5)
    ]
    for stream in streams:
        assert next(stream).status == health_pb2.HealthCheckResponse.SERVING
    began = time.monotonic()
    process.signal(signal.SIGTERM)
    for stream in streams:
        rest = []
        try:
            rest.extend(update.status for update in stream)
        except grpc.RpcError as error:
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert rest == [health_pb2.HealthCheckResponse.NOT_SERVING]
    assert process.wait() == 0
    assert time.monotonic() - began < 10
    process.assert_no_crash()


def test_idle_reflection_streams_end(serve) -> None:
    """A client may keep its stream for a next question; one that waits is told where
    its question should go."""
    process = serve()
    question = reflection_pb2.ServerReflectionRequest(list_services="")
    questions = [queue.SimpleQueue() for _ in range(5)]
    streams = []
    for each in questions:
        stub = reflection_pb2_grpc.ServerReflectionStub(process.channel())
        each.put(question)
        stream = stub.ServerReflectionInfo(iter(each.get, None), timeout=TIMEOUT_SECONDS)
        assert next(stream).original_request == question
        streams.append(stream)
    began = time.monotonic()
    process.signal(signal.SIGTERM)
    for stream in streams:
        with refused(grpc.StatusCode.UNAVAILABLE, "the server is stopping"):
            next(stream)
    assert process.wait() == 0
    assert time.monotonic() - began < 5
    process.assert_no_crash()
    assert "cut off" not in process.stderr, process.report()
    for each in questions:
        each.put(None)


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.3, 0.8])
def test_a_signal_during_the_start(models: Path, start, delay: float) -> None:
    """Whenever it comes: a clean end, of a server that was asked to stop."""
    process = start(*model_arguments({"slow_load": models / "slow_load"}))
    threading.Event().wait(delay)
    began = time.monotonic()
    process.signal(signal.SIGTERM)
    status = process.wait()
    # Before Python has taken the signal over, the system's own action ends it.
    assert status in (0, -signal.SIGTERM), process.report()
    assert time.monotonic() - began < 20
    process.assert_no_crash()


def test_a_signal_that_lands_on_another_thread(serve) -> None:
    """Python runs its handlers in the main thread, and one that sleeps in a lock is not
    woken by what another thread took, nor by what came just before it fell asleep."""
    process = serve()
    main = Path(f"/proc/{process.pid}/task/{process.pid}/stat")
    asleep = 0
    while asleep < 50:
        asleep = asleep + 1 if main.read_text().rpartition(")")[2].split()[0] == "S" else 0
        threading.Event().wait(0.01)
    # Found by its name; threads of loading may end while we look.
    found = []
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        with contextlib.suppress(OSError):
            if (task / "comm").read_text().startswith("tensorwire-io-0"):
                found.append(int(task.name))
    (io_thread,) = found
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.tgkill(process.pid, io_thread, signal.SIGTERM) == 0
    assert process.wait(10) == 0
    process.assert_no_crash()


def test_a_slow_reader_gets_all_of_its_reply(serve) -> None:
    """The server has done its part long before the client has it all."""
    process = serve()
    x = np.zeros(8 << 20, np.float32)
    seconds = 6.0
    network = SlowNetwork(process.port, x.nbytes / seconds)
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(network.address, options) as channel:
        began = time.monotonic()
        request = predict_request("half_plus_two", {"x": x})
        future = PredictionClient(channel).prediction.Predict.future(request, timeout=60)
        # Less than the reply can take, more than reading and running the request does.
        while time.monotonic() < began + seconds / 3:
            time.sleep(0.01)
        assert not future.done()
        process.process.send_signal(signal.SIGTERM)
        assert len(future.result().outputs["y"].float_val) == x.size
        assert time.monotonic() - began > seconds * 0.8
    assert process.wait() == 0
    assert "cut off" not in process.stderr
