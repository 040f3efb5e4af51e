"""BentoML with a batchable API."""

from contestants.contestant import Exchange
from model import Model
from peers.messages import json_rows
from peers.peer import Peer, Place, Start, folder


def peer(model: Model) -> Peer:
    """JSON over HTTP/1.1; each request is itself an array with one row."""
    request, wrong = json_rows(model, batched=True)
    return Peer(
        Exchange("bentoml", "BentoML, HTTP", "/predict", request, wrong),
        venv="bentoml",
        packages=("bentoml", "tensorflow-cpu"),
        start=_start,
        choices=(
            "`@bentoml.api(batchable=True)` with `max_batch_size=128` and its default of 60 s for "
            "`max_latency_ms`; batches of 16 were not faster, and 1 s refused requests at times",
            "one worker and one TensorFlow thread: there is one core",
            "its metrics and access log off",
        ),
        http1=True,
    )


def _start(place: Place) -> Start:
    return Start(
        [
            *[place.program("bentoml"), "serve", "service:Mlp"],
            *["--host", "127.0.0.1", "--port", str(place.port)],
        ],
        {
            "MODEL_PATH": str(place.model),
            "BENTOML_HOME": str(place.work),
            "BENTOML_DO_NOT_TRACK": "True",
        },
        folder("bentoml"),
    )
