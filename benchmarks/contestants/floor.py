"""The floor: a bare hyper HTTP/2 echo, benchmarks/floor."""

import subprocess

from contestants.contestant import Contestant, Exchange
from contract import PREDICT, Contract
from model import Model
from paths import REPOSITORY
from trouble import BenchmarkError

BUILD = ["cargo", "build", "--release", "--quiet", "-p", "floor"]


def contestant(model: Model, contract: Contract) -> Contestant:
    """It gets, and echoes, the bytes that tensorwire gets."""
    request = contract.predict_request(model.row, typed=False)
    return echoing("floor", "the floor: bare hyper echo", request)


def echoing(key: str, title: str, request: bytes) -> Contestant:
    """Builds the binary; it echoes `request`."""
    try:
        done = subprocess.run(BUILD, cwd=REPOSITORY, timeout=900)
    except FileNotFoundError as error:
        raise BenchmarkError("cargo is not installed: see https://rustup.rs.") from error
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(BUILD)} failed.")

    def wrong(reply: bytes) -> str | None:
        return None if reply == request else "the echo is not what was sent"

    exchange = Exchange(key, title, PREDICT, request, wrong)
    binary = REPOSITORY / "target" / "release" / "floor"
    return Contestant(key, [str(binary), "0"], [exchange])
