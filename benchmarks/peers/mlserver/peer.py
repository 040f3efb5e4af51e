"""MLServer with a custom inference runtime for TensorFlow."""

import json

from contestants.contestant import Exchange
from model import NAME, Model
from peers.messages import INFER, infer
from peers.peer import Peer, Place, Start, folder

BATCHING = {"max_batch_size": 128, "max_batch_time": 0.01}


def peer(model: Model) -> Peer:
    """Its runtime class, found by the model's settings, over gRPC."""
    request, wrong = infer(model)
    return Peer(
        Exchange("mlserver", "MLServer, custom runtime, gRPC", INFER, request, wrong),
        venv="mlserver",
        packages=("mlserver", "tensorflow-cpu"),
        start=_start,
        choices=(
            "adaptive batching with `max_batch_size` 128 and `max_batch_time` 10 ms; without "
            "both it does not batch at all",
            "`parallel_workers` 0, inference in the server's process: on one core a worker "
            "process only adds messages between the two",
            "one TensorFlow thread; `debug` and the metrics endpoint off",
        ),
    )


def _start(place: Place) -> Start:
    settings = {
        "host": "127.0.0.1",
        "grpc_port": place.port,
        "http_port": place.spare_port,
        "metrics_endpoint": None,
        "parallel_workers": 0,
        "debug": False,
    }
    served = {
        "name": NAME,
        "implementation": "runtime.SavedModel",
        "parameters": {"uri": str(place.model)},
        **BATCHING,
    }
    (place.work / "settings.json").write_text(json.dumps(settings))
    (place.work / "model-settings.json").write_text(json.dumps(served))
    command = [place.program("mlserver"), "start", str(place.work)]
    return Start(command, {"PYTHONPATH": str(folder("mlserver"))})
