"""gRPC's health service tells the truth about models and about stopping."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc

from harness.predict import TIMEOUT_SECONDS, PredictionClient, predict_request, refused
from harness.server_process import ServerProcess, model_arguments
from harness.versions import until
from models.make_models import HEALTHY

State = get_model_status_pb2.ModelVersionStatus
Status = health_pb2.HealthCheckResponse
SERVICES = (
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
    "prediction_service.PredictionService",
)


def health(channel: grpc.Channel) -> health_pb2_grpc.HealthStub:
    return health_pb2_grpc.HealthStub(channel)


def check(channel: grpc.Channel, service: str = "") -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    return health(channel).Check(request, timeout=TIMEOUT_SECONDS, wait_for_ready=True).status


def watch(channel: grpc.Channel, service: str = "") -> Iterator[int]:
    request = health_pb2.HealthCheckRequest(service=service)
    updates = health(channel).Watch(request, timeout=TIMEOUT_SECONDS, wait_for_ready=True)
    return (update.status for update in updates)


def in_flight(process: ServerProcess, milliseconds: int) -> grpc.Future:
    """A Predict that is surely running when this returns; answers its future."""
    client = PredictionClient(process.channel())
    request = predict_request("sleep", {"milliseconds": np.int32(milliseconds)})
    future = client.prediction.Predict.future(request, timeout=TIMEOUT_SECONDS)
    # One connection is read in order: when this one is answered, that one was read.
    client.predict("sleep", {"milliseconds": np.int32(0)})
    return future


@pytest.mark.parametrize("service", ["", *SERVICES])
def test_services_serve(channel: grpc.Channel, service: str) -> None:
    assert check(channel, service) == Status.SERVING
    assert next(watch(channel, service)) == Status.SERVING


@pytest.mark.parametrize("model", ["half_plus_two", "broken_signature", "identity_half"])
def test_a_model_is_a_service(channel: grpc.Channel, model: str) -> None:
    assert check(channel, model) == Status.SERVING
    assert next(watch(channel, model)) == Status.SERVING


def test_an_unknown_service(channel: grpc.Channel) -> None:
    with refused(grpc.StatusCode.NOT_FOUND):
        check(channel, "no.such.Service")
    assert next(watch(channel, "no.such.Service")) == Status.SERVICE_UNKNOWN


def test_list(channel: grpc.Channel) -> None:
    reply = health(channel).List(health_pb2.HealthListRequest(), timeout=TIMEOUT_SECONDS)
    statuses = {name: status.status for name, status in reply.statuses.items()}
    assert set(statuses) >= {"", *SERVICES, *HEALTHY}
    assert set(statuses.values()) == {Status.SERVING}


def test_watch_ends_when_its_client_cancels(channel: grpc.Channel) -> None:
    request = health_pb2.HealthCheckRequest()
    for _ in range(50):
        updates = health(channel).Watch(request, timeout=TIMEOUT_SECONDS)
        assert next(updates).status == Status.SERVING
        updates.cancel()
    assert check(channel) == Status.SERVING


def test_not_serving_while_loading(models: Path, start) -> None:
    served = {name: models / name for name in ("slow_load", "half_plus_two")}
    process = start(*model_arguments(served)).wait_listening()
    channel = process.channel()

    everything = watch(channel)
    assert next(everything) == Status.NOT_SERVING
    assert check(channel, "slow_load") == Status.NOT_SERVING
    assert check(channel, SERVICES[0]) == Status.NOT_SERVING
    slow = get_model_status_pb2.GetModelStatusRequest()
    slow.model_spec.name = "slow_load"
    stub = model_service_pb2_grpc.ModelServiceStub(channel)

    def state() -> int:
        # Before its folder was looked at there is no version.
        with contextlib.suppress(grpc.RpcError):
            (version,) = stub.GetModelStatus(slow, timeout=TIMEOUT_SECONDS).model_version_status
            return version.state
        return State.UNKNOWN

    until(lambda: state() not in (State.UNKNOWN, State.START))
    assert state() == State.LOADING
    with refused(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Latest(slow_load)"):
        PredictionClient(channel).predict("slow_load", {"key": np.array([1])})

    # One model is slow; the other does not wait for it.
    assert Status.SERVING in watch(channel, "half_plus_two")
    assert check(channel) == Status.NOT_SERVING
    PredictionClient(channel).is_well()

    assert next(everything) == Status.SERVING
    assert check(channel, "slow_load") == Status.SERVING
    assert check(channel, SERVICES[0]) == Status.SERVING
    answer = PredictionClient(channel).predict("slow_load", {"key": np.array([1, 2])})
    assert answer["value"].tolist() == [100, -1]
    process.stop()


def test_not_serving_while_draining(models: Path, start) -> None:
    process = start(*model_arguments({"sleep": models / "sleep"})).wait_serving()
    channel = process.channel()
    updates = watch(channel)
    of_the_model = watch(channel, "sleep")
    assert next(updates) == next(of_the_model) == Status.SERVING
    running = in_flight(process, 1500)
    process.signal(signal.SIGTERM)
    assert next(updates) == Status.NOT_SERVING
    assert next(of_the_model) == Status.NOT_SERVING
    assert not running.done()
    assert running.result().outputs["slept"].int_val == [1500]
    assert process.wait() == 0
    process.assert_no_crash()


def test_a_run_that_is_suddenly_long_holds_up_nobody(models: Path, start) -> None:
    """Earlier runs with inputs of the same size took no time at all."""
    process = start(str(models / "sleep"), "--io-threads", "1").wait_serving()
    client = PredictionClient(process.channel())
    for _ in range(50):
        client.predict("sleep", {"milliseconds": np.int32(0)})
    request = predict_request("sleep", {"milliseconds": np.int32(5000)})
    long_run = client.prediction.Predict.future(request, timeout=TIMEOUT_SECONDS)
    for _ in range(20):
        assert check(process.channel()) == Status.SERVING
    assert not long_run.done()
    long_run.result()
    process.stop()
