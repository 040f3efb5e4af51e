"""`tensorwire-timings: 1` asks for a call's timings in its trailers."""

import re
import time

import numpy as np
import pytest

from harness.predict import PredictionClient, predict_request

KEYS = {"server-timing", "tensorwire-rows", "tensorwire-batch-rows"}
PHASES = ["decode", "queue", "merge", "execute", "split", "encode", "total"]
# An entry as W3C's Server Timing writes it.
ENTRY = re.compile(r"([a-z]+);dur=(\d+\.\d{3})")


def trailers(client: PredictionClient, request: object, *metadata: tuple[str, str]) -> dict:
    _, call = client.prediction.Predict.with_call(request, metadata=metadata)
    return {key: value for key, value in call.trailing_metadata() if key in KEYS}


def test_where_the_time_went(client: PredictionClient) -> None:
    request = predict_request("sleep", {"milliseconds": np.int32(30)})
    begun = time.monotonic()
    found = trailers(client, request, ("tensorwire-timings", "1"))
    passed = (time.monotonic() - begun) * 1000
    assert set(found) == KEYS
    entries = found["server-timing"].split(", ")
    durations = {}
    for entry in entries:
        name, milliseconds = ENTRY.fullmatch(entry).groups()
        durations[name] = float(milliseconds)
    assert list(durations) == PHASES
    total = durations.pop("total")
    assert 30 <= durations["execute"] <= total <= passed
    # Each is rounded by itself.
    assert sum(durations.values()) <= total + 0.004


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_rows(client: PredictionClient, rows: int) -> None:
    request = predict_request("half_plus_two", {"x": np.ones(rows, np.float32)})
    found = trailers(client, request, ("tensorwire-timings", "1"))
    assert found["tensorwire-rows"] == str(rows)
    assert int(found["tensorwire-batch-rows"]) >= rows


@pytest.mark.parametrize("metadata", [[], [("tensorwire-timings", "0")]])
def test_none_unless_asked(client: PredictionClient, metadata: list) -> None:
    request = predict_request("half_plus_two", {"x": np.ones(1, np.float32)})
    assert trailers(client, request, *metadata) == {}
