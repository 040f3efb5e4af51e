"""LitServe with a LitAPI around the SavedModel."""

from contestants.contestant import Exchange
from model import Model
from peers.messages import json_rows
from peers.peer import Peer, Place, Start, folder


def peer(model: Model) -> Peer:
    """JSON over HTTP/1.1."""
    request, wrong = json_rows(model, batched=False)
    return Peer(
        Exchange("litserve", "LitServe, HTTP", "/predict", request, wrong),
        venv="litserve",
        packages=("litserve", "tensorflow-cpu"),
        start=_start,
        choices=(
            "`max_batch_size=128` and `batch_timeout=0.002`; none and up to 50 ms were not faster",
            "`fast_queue=True`, its ZeroMQ queue between the two processes",
            "one worker, one API server and one TensorFlow thread: there is one core",
        ),
        http1=True,
    )


def _start(place: Place) -> Start:
    program = str(folder("litserve") / "server.py")
    return Start([str(place.python), program, str(place.model), str(place.port)])
