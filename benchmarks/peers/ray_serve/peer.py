"""Ray Serve with a gRPC service of one's own, as its guide has it."""

from contestants.contestant import Exchange
from model import Model
from peers.messages import PREDICT_ROW, row
from peers.peer import Peer, Place, Start, folder


def peer(model: Model) -> Peer:
    """A deployment with `serve.batch`, over gRPC. Its HAProxy listens on every interface
    while it runs: Ray knows no other way."""
    request, wrong = row(model)
    return Peer(
        Exchange("ray-serve", "Ray Serve, gRPC", PREDICT_ROW, request, wrong),
        venv="ray_serve",
        packages=("ray", "tensorflow-cpu"),
        start=_start,
        choices=(
            "`@serve.batch(max_batch_size=128, batch_wait_timeout_s=0.01)` and "
            "`max_ongoing_requests=256`, so that the load fits in",
            "`RAY_SERVE_THROUGHPUT_OPTIMIZED=1` and `RAY_SERVE_ENABLE_HA_PROXY=1`, as its guide "
            "to high throughput advises: without HAProxy, through its proxy in Python, it gave a "
            "seventh",
            "one replica, one HAProxy thread and one TensorFlow thread: there is one core",
            "dashboard, usage statistics and access log off",
        ),
    )


def _start(place: Place) -> Start:
    program = str(folder("ray_serve") / "server.py")
    arguments = [str(place.model), str(place.work), str(place.port), str(place.spare_port)]
    return Start(
        [str(place.python), program, *arguments],
        {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
            "RAY_SERVE_ENABLE_HA_PROXY": "1",
            "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        },
    )
