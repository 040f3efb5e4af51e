"""The peers, in the order of the report."""

from collections.abc import Callable

from model import Model
from peers.bentoml import peer as bentoml
from peers.litserve import peer as litserve
from peers.mlserver import peer as mlserver
from peers.peer import Peer
from peers.pytriton import peer as pytriton
from peers.ray_serve import peer as ray_serve
from peers.triton import peer as triton

PEERS: dict[str, Callable[[Model], Peer]] = {
    "triton": triton.peer,
    "pytriton": pytriton.peer,
    "mlserver": mlserver.peer,
    "ray-serve": ray_serve.peer,
    "litserve": litserve.peer,
    "bentoml": bentoml.peer,
}
