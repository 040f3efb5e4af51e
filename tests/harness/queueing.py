"""Requests that wait together for a server's runners, and what became of them.

The server has few runners and the `sleep` model, which keeps them busy while a test
queues its requests: they are then there at the same time for certain.
"""

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import grpc
import numpy as np
from tensorflow_serving.apis import predict_pb2

from harness.predict import TIMEOUT_SECONDS, PredictionClient, predict_request
from harness.scrape import get
from harness.server_process import ServerProcess

# Longer than anything that ends by itself takes to end, on a machine that may be busy.
WAIT_SECONDS = 30.0

# The first try to keep a runner busy for long enough; doubled where it was too short.
HOLD_MILLISECONDS = 250

Found = TypeVar("Found")


def until(read: Callable[[], Found], wanted: Callable[[Found], object]) -> Found:
    """The first thing read that is wanted; fails with the last one if none comes."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        found = read()
        if wanted(found):
            return found
        assert time.monotonic() < end, getattr(found, "text", found)
        time.sleep(0.005)


class Reading:
    """`/metrics` at one moment, read only where it is looked at: Prometheus's own parser
    takes longer than a test that polls has."""

    def __init__(self, server: ServerProcess):
        answer = get(server.port)
        assert answer.status == 200, answer.body
        self.text = answer.body.decode()

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have at least these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        samples = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", self.text, re.MULTILINE)
        return sum(
            float(value)
            for having, value in samples
            if all(label in having.split(",") for label in wanted)
        )

    @property
    def queued(self) -> float:
        return self.total("tensorwire_queued_requests")

    def running(self, model: str) -> float:
        return self.total("tensorwire_batches_running", model=model)

    @property
    def in_hand(self) -> list[float]:
        """Requests, rows and bytes in flight, requests queued and batches running."""
        names = ("in_flight_requests", "in_flight_rows", "in_flight_bytes", "queued_requests")
        held = [self.total(f"tensorwire_{name}") for name in names]
        return [*held, self.total("tensorwire_batches_running")]


def wait_for(server: ServerProcess, wanted: Callable[[Reading], object]) -> Reading:
    """The first reading that is wanted."""
    return until(lambda: Reading(server), wanted)


def wait_idle(server: ServerProcess) -> None:
    """Waits until the server has nothing more in hand."""
    wait_for(server, lambda found: not any(found.in_hand))


@dataclass(frozen=True)
class Batches:
    """What was counted of a signature's batches; a difference of two is what ran between."""

    batches: float
    rows: float
    requests: float
    padding: float
    failed: float

    def __sub__(self, other: "Batches") -> "Batches":
        return Batches(
            self.batches - other.batches,
            self.rows - other.rows,
            self.requests - other.requests,
            self.padding - other.padding,
            self.failed - other.failed,
        )


def batches(server: ServerProcess, model: str, signature: str = "serving_default") -> Batches:
    """All that ran so far of a signature, whatever its version."""
    found = Reading(server)
    names = ("rows_count", "rows_sum", "requests_total", "padding_rows_total", "failures_total")
    counts = (
        found.total(f"tensorwire_batch_{name}", model=model, signature=signature) for name in names
    )
    return Batches(*counts)


def send_all(
    client: PredictionClient,
    requests: Iterable[predict_pb2.PredictRequest],
    metadata: Sequence[tuple[str, str]] = (),
) -> list[grpc.Future]:
    """The calls of these requests, all under way."""
    predict = client.prediction.Predict
    return [
        predict.future(request, timeout=TIMEOUT_SECONDS, metadata=list(metadata))
        for request in requests
    ]


def sleep_request(milliseconds: int) -> predict_pb2.PredictRequest:
    return predict_request("sleep", {"milliseconds": np.int32(milliseconds)})


def hold(
    server: ServerProcess, client: PredictionClient, milliseconds: int, runners: int = 1
) -> list[grpc.Future]:
    """Keeps that many runners busy for so long; returns once they are."""
    holding = send_all(client, [sleep_request(milliseconds)] * runners)
    wait_for(server, lambda found: found.running("sleep") == runners)
    return holding


def while_held(
    server: ServerProcess, client: PredictionClient, act: Callable[[], Found], runners: int = 1
) -> Found:
    """What `act` gives, which was done altogether while that many runners were busy.

    Where the machine is so busy that the runners were free before, it is done once more
    with more time: `act` must expect that.
    """
    milliseconds = HOLD_MILLISECONDS
    while True:
        holding = hold(server, client, milliseconds, runners)
        try:
            found = act()
            if not any(call.done() for call in holding):
                return found
        except AssertionError:
            if not any(call.done() for call in holding):
                raise
        wait_idle(server)
        milliseconds *= 2
        assert milliseconds < 1000 * WAIT_SECONDS, "the machine is too busy for this test"


def queue_up(
    server: ServerProcess,
    client: PredictionClient,
    requests: Sequence[predict_pb2.PredictRequest],
    metadata: Sequence[tuple[str, str]] = (),
    runners: int = 1,
) -> list[grpc.Future]:
    """The calls of these requests, which have all waited in the queue at the same time."""

    def act() -> list[grpc.Future]:
        calls = send_all(client, requests, metadata)
        wanted = len(requests)
        wait_for(
            server, lambda found: found.queued == wanted or any(call.done() for call in calls)
        )
        assert not any(call.done() for call in calls)
        return calls

    return while_held(server, client, act, runners)
