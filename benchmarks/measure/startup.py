"""From the start of a process to its first right prediction."""

import dataclasses
import time
from dataclasses import dataclass

import model as served
from contestants.contestant import Contestant
from contestants.process import Process
from contestants.running import POLL_SECONDS, START_SECONDS, Running
from model import Model
from trouble import BenchmarkError


@dataclass(frozen=True)
class Sample:
    """Seconds from spawning the process to the answer, in one round."""

    tensorwire: float
    tensorflow: float


def run(model: Model, contestant: Contestant, rounds: int) -> list[Sample]:
    """Both in turn. With several rounds a pair comes first that is not counted: it
    fills the page cache."""
    samples = []
    for number in range(0 if rounds > 1 else 1, rounds + 1):
        sample = Sample(_tensorwire(contestant), _tensorflow(model))
        name = f"start {number} of {rounds}" if number else "start uncounted"
        print(
            f"{name}  tensorwire {sample.tensorwire:.2f} s  "
            f"TensorFlow in Python {sample.tensorflow:.2f} s",
            flush=True,
        )
        if number:
            samples.append(sample)
    return samples


def _tensorwire(contestant: Contestant) -> float:
    """The waiting client is this process, which is up already."""
    exchange = contestant.exchanges[0]
    unwatched = dataclasses.replace(contestant, key="start-tensorwire", health=False)
    started = time.monotonic()
    with Running(unwatched, core=None) as server:
        reply = server.first_reply(exchange)
        elapsed = time.monotonic() - started
    wrong = exchange.wrong(reply)
    if wrong is not None:
        raise BenchmarkError(f"tensorwire's first prediction is wrong: {wrong}")
    return elapsed


def _tensorflow(model: Model) -> float:
    """Until the prediction is printed; what the process does to end is not counted."""
    command = served.predict_command(model.folder, model.row)
    started = time.monotonic()
    line = None
    process = Process("start-tensorflow", command, {})
    try:
        for _ in process.turns(START_SECONDS, POLL_SECONDS):
            line = process.first_line()
            if line is not None:
                break
        elapsed = time.monotonic() - started
    finally:
        process.end()
    wrong = model.difference(float(line or "nan"))
    if wrong is not None:
        raise BenchmarkError(f"TensorFlow's prediction in Python is wrong: {wrong}")
    return elapsed
