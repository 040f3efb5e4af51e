"""Cancellations that race completions: whoever wins, nothing stays behind."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import pytest
from h2.errors import ErrorCodes
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from harness import raw_http2
from harness.memory import MIB, resident_bytes
from harness.predict import TIMEOUT_SECONDS, PredictionClient, good_request, predict_request
from harness.queueing import Reading, wait_for, wait_idle
from harness.server_process import ServerProcess, model_arguments

# Twice as many for each of two models: 10,000 in all.
RACES_A_ROUND = 2_500
CHANNELS = 2
TASKS_A_CHANNEL = 6
# One of so many is let go on.
UNCANCELLED = 8
REQUESTS = 64


@dataclass
class Track:
    """The races on one model: what is asked, when it is cancelled, how the races ended."""

    model: str
    requests: Sequence[predict_pb2.PredictRequest]
    answers: Sequence[Sequence[float]]
    # Seconds after which cancellations and completions win about as often.
    even: float = 0.005
    ends: Counter = field(default_factory=Counter)
    left: int = 0


def tracks() -> list[Track]:
    """One model that an I/O thread runs itself, and one that goes to the runners."""
    inputs = [np.float32([at, at + 0.5, -at]) for at in range(REQUESTS)]
    inline = [predict_request("half_plus_two", {"x": x}) for x in inputs]
    turns = np.full(1, 10, np.int32)
    queued = [predict_request("queued", {"x": x[None], "turns": turns}) for x in inputs]
    return [
        Track("half_plus_two", inline, [(x / 2 + 3).tolist() for x in inputs]),
        Track("queued", queued, [(2 * x + 1).tolist() for x in inputs]),
    ]


async def race(
    stub: prediction_service_pb2_grpc.PredictionServiceStub, track: Track, dice: random.Random
) -> None:
    """One call, cancelled at a moment around its end."""
    at = dice.randrange(REQUESTS)
    call = stub.Predict(track.requests[at], timeout=TIMEOUT_SECONDS)
    is_cancelled = False
    is_race = dice.randrange(UNCANCELLED) > 0
    if is_race:
        await asyncio.sleep(dice.uniform(0, 2) * track.even)
        is_cancelled = call.cancel()
    try:
        reply = await call
    except asyncio.CancelledError:
        assert is_cancelled
        track.ends["cancelled"] += 1
        track.even *= 1.01
        return
    assert list(reply.outputs["y"].float_val) == track.answers[at]
    track.ends["answered"] += 1
    if is_race:
        track.even /= 1.01


async def race_on(channel: grpc.aio.Channel, track: Track, seed: int) -> None:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    dice = random.Random(seed)
    while track.left > 0:
        track.left -= 1
        await race(stub, track, dice)


async def run_round(address: str, both: Sequence[Track], seed: int) -> None:
    """So many races on each model at the same time, over connections of their own."""
    for track in both:
        track.left = RACES_A_ROUND
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(CHANNELS)]
    tasks = [
        race_on(channel, track, seed + number)
        for number, (channel, track) in enumerate(
            (channel, track)
            for channel in channels
            for track in both
            for _ in range(TASKS_A_CHANNEL // len(both))
        )
    ]
    await asyncio.gather(*tasks)
    for channel in channels:
        await channel.close()


@pytest.fixture
def server(models: Path, tmp_path: Path, start) -> ServerProcess:
    file = tmp_path / "for_runners"
    file.write_text("num_batch_threads { value: 2 }")
    return start(
        *model_arguments({"half_plus_two": models / "half_plus_two", "queued": models / "work"}),
        f"--batching-parameters=queued={file}",
        "--runner-threads=2",
        "--measure-budget=0",
    ).wait_serving()


def connections(found: Reading) -> float:
    return found.total("tensorwire_connections")


async def test_cancelled_around_their_end(server: ServerProcess) -> None:
    client = PredictionClient(server.channel())
    client.is_well()
    at_rest = connections(Reading(server))
    both = tracks()
    resident = []
    for seed in (1000, 2000):
        await run_round(server.address, both, seed)
        wait_idle(server)
        wait_for(server, lambda found: found.total("tensorwire_open_requests") <= 1)
        wait_for(server, lambda found: connections(found) == at_rest)
        resident.append(resident_bytes(server.pid))

    found = Reading(server)
    for track in both:
        assert sum(track.ends.values()) == 2 * RACES_A_ROUND
        # Both sides won, or there was no race.
        assert min(track.ends["cancelled"], track.ends["answered"]) >= RACES_A_ROUND / 4
        counted = {
            code: found.total("tensorwire_requests_total", model=track.model, code=code)
            for code in ("OK", "CANCELLED")
        }
        assert counted["OK"] >= track.ends["answered"]
        everything = found.total("tensorwire_requests_total", model=track.model)
        assert everything == sum(counted.values())
        assert found.total("tensorwire_batch_failures_total", model=track.model) == 0
    # Where there is a queue, the server saw cancellations before it was done as well.
    assert counted["CANCELLED"] > 0
    after_first, after_second = resident
    assert after_second <= 1.03 * after_first + 4 * MIB
    client.is_well()
    server.stop()


def test_cancelled_in_the_same_breath(server: ServerProcess) -> None:
    """Requests and their cancellations in one write: an I/O thread reads them together,
    before it runs any of what it has gathered."""
    client = PredictionClient(server.channel())
    for _ in range(3):
        client.is_well()
    message = raw_http2.frame(good_request())
    bursts, streams = 20, 50
    with raw_http2.Connection(server.port) as connection:
        for _ in range(bursts):
            for number in range(streams):
                stream = connection.h2.get_next_available_stream_id()
                connection.h2.send_headers(stream, raw_http2.grpc_headers())
                connection.h2.send_data(stream, message, end_stream=True)
                if number % 2:
                    connection.h2.reset_stream(stream, error_code=ErrorCodes.CANCEL)
            connection.flush()
            answer = connection.call(raw_http2.grpc_headers(), message)
            assert answer.grpc_status == 0
        wait_idle(server)
    labels = {"model": "half_plus_two"}
    found = Reading(server)
    counted = {
        code: found.total("tensorwire_requests_total", code=code, **labels)
        for code in ("OK", "CANCELLED")
    }
    assert sum(counted.values()) == found.total("tensorwire_requests_total", **labels)
    assert counted["CANCELLED"] > 0
    client.is_well()
    server.stop()
