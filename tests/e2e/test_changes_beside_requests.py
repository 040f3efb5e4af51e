"""Models that are changed while a request to them takes long: nobody else waits for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from harness.predict import TIMEOUT_SECONDS, PredictionClient
from harness.queueing import hold, while_held
from harness.scrape import get
from harness.server_process import ServerProcess, model_arguments
from tensorwire.messages import message_type

Status = health_pb2.HealthCheckResponse
Story = Callable[..., tuple[ServerProcess, PredictionClient]]


@pytest.fixture
def serve(start, models: Path) -> Story:
    def run(*more: str) -> tuple[ServerProcess, PredictionClient]:
        # One that is measured runs inline, where nothing tells that it does.
        quick = ("--measure-budget=0", "--runner-threads=2", "--load-threads=1")
        named = model_arguments({name: models / name for name in ("sleep", *more)})
        process = start(*named, *quick).wait_serving()
        return process, PredictionClient(process.channel())

    return run


def tell(channel: grpc.Channel, method: str, **fields: Any) -> Any:
    """The reply to a change of the models."""
    call = channel.unary_unary(
        f"/tensorwire.ModelRepository/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=message_type(f"tensorwire.{method}Response").FromString,
    )
    request = message_type(f"tensorwire.{method}Request")(**fields)
    return call(request, timeout=TIMEOUT_SECONDS)


def status(channel: grpc.Channel, service: str = "") -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    stub = health_pb2_grpc.HealthStub(channel)
    return stub.Check(request, timeout=TIMEOUT_SECONDS).status


def config(models: Path, name: str) -> dict[str, str]:
    folder = str(models / name)
    return {"name": name, "base_path": folder, "model_platform": "tensorflow"}


def test_a_model_that_is_replaced_holds_up_no_load(serve: Story, models: Path) -> None:
    process, client = serve()
    channel = process.channel()

    def act() -> None:
        tell(channel, "ReloadModel", name="sleep")
        tell(channel, "LoadModel", config=config(models, "half_plus_two"))
        tell(channel, "UnloadModel", name="half_plus_two")

    while_held(process, client, act)
    # Who takes it away does wait, also for what was replaced.
    holding = hold(process, client, 1000)
    tell(channel, "ReloadModel", name="sleep")
    tell(channel, "UnloadModel", name="sleep")
    assert all(call.done() for call in holding)
    assert not any(call.exception() for call in holding)
    process.stop()


def test_health_waits_for_a_model_that_is_added_again_before_it_is_gone(
    serve: Story, models: Path
) -> None:
    process, client = serve("half_plus_two")
    channel = process.channel()

    holding = hold(process, client, 3000)
    tell(channel, "UnloadModel", name="sleep", no_wait=True)
    assert get(process.port, "/readyz").status == 200
    tell(channel, "LoadModel", config=config(models, "sleep"), no_wait=True)
    assert get(process.port, "/readyz").status == 503
    assert status(channel, "sleep") == status(channel) == Status.NOT_SERVING
    assert not any(call.done() for call in holding)
    process.wait_serving()
    assert status(channel, "sleep") == Status.SERVING
    assert all(call.done() and not call.exception() for call in holding)
    process.stop()
