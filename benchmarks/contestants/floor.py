"""The floor: a bare hyper echo, benchmarks/floor, of HTTP/2 or of HTTP/1.1."""

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


def echoing(
    key: str, title: str, request: bytes, method: str = PREDICT, http1: bool = False
) -> Contestant:
    """Builds the binary; it echoes `request`, posted to `method`."""
    try:
        done = subprocess.run(BUILD, cwd=REPOSITORY, timeout=900)
    except FileNotFoundError as error:
        raise BenchmarkError("cargo is not installed: see https://rustup.rs.") from error
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(BUILD)} failed.")

    def wrong(reply: bytes) -> str | None:
        return None if reply == request else "the echo is not what was sent"

    exchange = Exchange(key, title, method, request, wrong, http1)
    binary = REPOSITORY / "target" / "release" / "floor"
    flags = ["--http1"] if http1 else []
    return Contestant(key, [str(binary), *flags, "0"], [exchange])
