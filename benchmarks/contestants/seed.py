"""The seed's own server: a grpcio thread pool over TensorFlow in Python."""

import os
import sys

from contestants.contestant import Contestant, Exchange
from contract import TEXT_PREDICT, Contract, generate_text_service
from model import OUTPUT, Model
from paths import BENCHMARKS, WORK


def contestant(model: Model, contract: Contract) -> Contestant:
    """Started from seed_server/server.py, with code generated from its .proto."""

    def wrong(reply: bytes) -> str | None:
        return model.difference(contract.text_reply(reply))

    generated = WORK / "seed"
    generate_text_service(generated)
    script = BENCHMARKS / "contestants" / "seed_server" / "server.py"
    request = contract.text_request(model.row)
    others = filter(None, [os.environ.get("PYTHONPATH")])
    title = "the seed's server: grpcio and TensorFlow in Python, JSON text"
    return Contestant(
        "seed",
        [sys.executable, str(script), str(model.folder), OUTPUT],
        [Exchange("seed", title, TEXT_PREDICT, request, wrong)],
        environment={"PYTHONPATH": os.pathsep.join([str(generated), *others])},
    )
