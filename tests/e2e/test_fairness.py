"""No model starves another: the runners are shared by what the runs cost."""

import re
import statistics
from pathlib import Path

import grpc
import numpy as np

from harness.predict import PredictionClient, predict_request
from harness.queueing import Reading, send_all, sleep_request, until, wait_for, wait_idle
from harness.server_process import model_arguments

RUNNERS = 2
HEAVY_MILLISECONDS = 40
WAITING = 40
TIMINGS = [("tensorwire-timings", "1")]


def spent(call: grpc.Future, phase: str) -> float:
    """Milliseconds of a phase, as the server told."""
    told = dict(call.trailing_metadata())["server-timing"]
    return float(re.search(rf"{phase};dur=([0-9.]+)", told).group(1))


def test_a_light_model_beside_a_heavy_one(models: Path, start, tmp_path: Path) -> None:
    file = tmp_path / "for_runners"
    file.write_text("num_batch_threads { value: 2 }")
    server = start(
        *model_arguments({"sleep": models / "sleep", "light": models / "half_plus_two"}),
        f"--batching-parameters=light={file}",
        f"--runner-threads={RUNNERS}",
        "--measure-budget=0",
    ).wait_serving()
    heavy_client = PredictionClient(server.channel())
    client = PredictionClient(server.channel())
    light = predict_request("light", {"x": np.ones(1, np.float32)})
    for _ in range(3):
        client.send(light)

    heavy = send_all(heavy_client, [sleep_request(HEAVY_MILLISECONDS)] * WAITING, TIMINGS)
    wait_for(server, lambda found: found.queued >= WAITING - RUNNERS - 4)
    waited = []
    while not all(call.done() for call in heavy):
        behind = Reading(server).queued
        (call,) = send_all(client, [light], TIMINGS)
        np.testing.assert_array_equal(call.result().outputs["y"].float_val, [3.5])
        # Near the end there is no queue to be behind.
        if behind >= 8 * RUNNERS:
            waited.append(spent(call, "queue"))
    runs = [spent(call, "execute") for call in heavy if call.result()]
    assert len(waited) >= 3
    # It waits for a run that has begun and not for those that are before it in time.
    assert statistics.median(waited) <= 2 * statistics.median(runs)
    assert max(waited) <= 4 * max(runs)
    wait_idle(server)
    until(lambda: Reading(server), lambda found: found.queued == 0)
    server.stop()
