"""PyTriton: the same wheel, in the way that it recommends itself."""

import subprocess

from contestants.contestant import Exchange
from model import Model
from peers.messages import INFER, infer
from peers.peer import Peer, Place, Start, folder

_LIBDIR = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"


def peer(model: Model) -> Peer:
    """A function with the `batch` decorator, bound to a Triton, over gRPC."""
    request, wrong = infer(model)
    return Peer(
        Exchange("pytriton", "PyTriton, gRPC", INFER, request, wrong),
        venv="triton",
        packages=("nvidia-pytriton", "tensorflow-cpu"),
        start=_start,
        choices=(
            "`@batch` and `DynamicBatcher()` with `max_batch_size=128`; smaller batches and "
            "delays of 1 to 20 ms were slower",
            "one TensorFlow thread: there is one core",
            "metrics off; this Python's own libpython by LD_LIBRARY_PATH, as its documentation "
            "says",
        ),
    )


def _start(place: Place) -> Start:
    done = subprocess.run(
        [str(place.python), "-c", _LIBDIR], capture_output=True, text=True, timeout=60
    )
    program = str(folder("pytriton") / "server.py")
    arguments = [str(place.model), str(place.port), str(place.spare_port)]
    return Start(
        [str(place.python), program, *arguments],
        {"LD_LIBRARY_PATH": done.stdout.strip()},
    )
