"""Triton's Python backend: tritonserver as the nvidia-pytriton wheel brings it."""

from contestants.contestant import Exchange
from model import Model
from peers.messages import INFER, infer
from peers.peer import Peer, Place, Start, folder


def peer(model: Model) -> Peer:
    """A model.py as the Python backend's documentation has it, over gRPC."""
    request, wrong = infer(model)
    title = "Triton's Python backend, gRPC"
    return Peer(
        Exchange("triton", title, INFER, request, wrong),
        venv="triton",
        packages=("nvidia-pytriton", "tensorflow-cpu"),
        start=_start,
        choices=(
            "`dynamic_batching { }` with `max_batch_size: 128`, all that the load has under way: "
            "batches form while one runs, without a delay, as Triton's guide says to begin",
            "`execute` merges the requests of a batch and runs TensorFlow once for all of them; "
            "run one by one, as in Triton's smallest examples, they get a fraction of this",
            "one instance on the CPU and one TensorFlow thread: there is one core",
            "its stub gets this Python's own libpython by LD_LIBRARY_PATH, as the wheel's "
            "documentation says",
        ),
    )


def _start(place: Place) -> Start:
    program = str(folder("triton") / "serve.py")
    ports = [str(place.port), str(place.spare_port)]
    return Start([str(place.python), program, str(place.model), str(place.work), *ports])
