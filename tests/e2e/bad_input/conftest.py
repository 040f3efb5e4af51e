"""A server that is given bad input, and looked at before and after each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorflow_serving.apis import predict_pb2

from harness.memory import MIB, peak_bytes, reset_peak, resident_bytes
from harness.predict import PredictionClient
from harness.raw_http2 import PREDICT, Connection
from harness.server_process import ServerProcess, model_arguments

# Above what the models themselves take.
STAYS_BELOW = 96 * MIB
PEAKS_BELOW = 768 * MIB

MODELS = ("half_plus_two", "mlp", "add", "sleep", "shout", "identity_float", "identity_string")


@pytest.fixture(scope="module")
def target(models: Path, start_for_module) -> Iterator[ServerProcess]:
    """A server of this module's own: what is measured here is its memory."""
    process = start_for_module(*model_arguments({name: models / name for name in MODELS}))
    process.wait_serving()
    well = PredictionClient(process.channel())
    for _ in range(200):
        well.is_well()
    yield process
    process.stop()


@pytest.fixture
def client(target: ServerProcess) -> PredictionClient:
    return PredictionClient(target.channel())


@pytest.fixture
def send_bytes(client: PredictionClient):
    """Predict with any bytes for a request."""
    return client.channel.unary_unary(
        PREDICT,
        request_serializer=None,
        response_deserializer=predict_pb2.PredictResponse.FromString,
    )


@pytest.fixture
def connection(target: ServerProcess) -> Iterator[Connection]:
    with Connection(target.port) as opened:
        yield opened


@pytest.fixture(autouse=True)
def well_after(target: ServerProcess, client: PredictionClient) -> Iterator[None]:
    """The server answers after the test, and its memory is bounded."""
    before = resident_bytes(target.pid)
    reset_peak(target.pid)
    yield
    client.is_well()
    assert target.process.poll() is None
    assert peak_bytes(target.pid) - before < PEAKS_BELOW
    assert resident_bytes(target.pid) - before < STAYS_BELOW
    target.assert_no_crash()
